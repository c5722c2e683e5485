import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { recordedLog } from "../../../test/support/federation-rig.ts";
import { RevocationAckSchema, RevocationPushSchema } from "../../api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import { IndexReportSchema } from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { AcknowledgeSchema } from "../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { Payload } from "./payload.ts";
import { logFrame, traceIdOf, traceparentOf } from "./trace-context.ts";

const of = (payload: Payload): string => traceparentOf({ kind: "message", payload });
const digest = `sha256:${"0123456789abcdef".repeat(4)}`;

describe("trace context of frames", () => {
  it("is the same for all frames about one thing, and valid", () => {
    const push = of({ case: "revocationPush", value: create(RevocationPushSchema, { revocationId: "r-1" }) });
    const ack = of({ case: "revocationAck", value: create(RevocationAckSchema, { revocationId: "r-1" }) });
    expect(push).toBe(ack);
    expect(push).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    const report = of({ case: "indexReport", value: create(IndexReportSchema, { digest }) });
    expect(report).toBe("00-0123456789abcdef0123456789abcdef-0123456789abcdef-00");
    expect(of({ case: "indexReport", value: create(IndexReportSchema) })).toBe("");
    expect(of({ case: "acknowledge", value: create(AcknowledgeSchema) })).toBe("");
  });

  it("is read from a frame only when it is one", () => {
    expect(traceIdOf("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")).toBe(
      "0123456789abcdef0123456789abcdef",
    );
    for (const text of ["", "x", `00-${"0".repeat(32)}-0123456789abcdef-00`, "00-0123-01-00", "a".repeat(10_000)])
      expect(traceIdOf(text)).toBeUndefined();
  });

  it("stands in the log of both sides for what people look for, and not for every frame", () => {
    const { log, lines } = recordedLog();
    logFrame(
      log,
      "revocationPush",
      of({ case: "revocationPush", value: create(RevocationPushSchema, { revocationId: "r-1" }) }),
      "from the hub",
    );
    logFrame(log, "heartBeat", "", "from the hub");
    logFrame(log, undefined, "", "from the hub");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("traceId");
  });
});
