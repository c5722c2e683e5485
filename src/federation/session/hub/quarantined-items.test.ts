import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type ItemReport, ItemReportSchema } from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { digestOf } from "../../../base/digest.ts";
import type { DesiredIndex } from "../../hub/ports.ts";
import { PAYLOAD_TYPES } from "../../../trust/dsse.ts";
import { MAX_UNNAMED_REFUSALS, QuarantinedItems } from "./quarantined-items.ts";

const DIGEST = digestOf(Buffer.from("body"));

function index(...names: string[]): DesiredIndex {
  const items = names.map((name) => ({ kind: "PackInstalled" as const, name, version: 1, digest: DIGEST, size: 4 }));
  return {
    document: {
      _type: "FederationIndex/v1",
      cluster: "tenant-1",
      epoch: 1,
      sequence: 1,
      issuedAt: "2026-01-01T00:00:00Z",
      expiresAt: "2026-01-02T00:00:00Z",
      keyId: "",
      items,
      revocations: [],
    },
    envelope: { payloadType: PAYLOAD_TYPES.index, body: new Uint8Array(), signatures: [] },
    digest: "",
  };
}

const refusal = (name: string, retryable = false): ItemReport =>
  create(ItemReportSchema, {
    kind: "PackInstalled",
    name,
    digest: DIGEST,
    version: 3n,
    nack: { retryable, reason: "DIGEST_MISMATCH" },
  });

describe("QuarantinedItems", () => {
  it("holds what is refused for good until it is reported otherwise", () => {
    const quarantined = new QuarantinedItems();
    quarantined.observe(refusal("web"), [index("web")]);
    expect([...quarantined.entries]).toEqual([
      ["PackInstalled/web", { digest: DIGEST, version: 3, reason: "DIGEST_MISMATCH" }],
    ]);
    quarantined.observe(refusal("web", true), [index("web")]);
    expect(quarantined.entries.size).toBe(0);
  });

  it("keeps refusals of what an index names through any number of invented names", () => {
    const quarantined = new QuarantinedItems();
    const indexes = [index("web", "db"), index("db", "former"), undefined];
    for (const name of ["web", "db", "former"]) quarantined.observe(refusal(name), indexes);
    let most = 0;
    for (let n = 0; n < 5 * MAX_UNNAMED_REFUSALS; n++) {
      quarantined.observe(refusal(`invented-${n}`), indexes);
      most = Math.max(most, quarantined.entries.size);
    }
    expect(most).toBe(MAX_UNNAMED_REFUSALS + 4);
    expect([...quarantined.entries.keys()].slice(0, 3)).toEqual([
      "PackInstalled/web",
      "PackInstalled/db",
      "PackInstalled/former",
    ]);
    quarantined.keepNamed([index("db")]);
    expect([...quarantined.entries.keys()]).toEqual(["PackInstalled/db"]);
  });
});
