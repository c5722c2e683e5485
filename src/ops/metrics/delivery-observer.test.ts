import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  ItemReportSchema,
  ItemReport_Level as Level,
  Nack_Class as NackClass,
} from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { ManualClock, rfc3339 } from "../../base/clock.ts";
import { digestOf } from "../../base/digest.ts";
import { nextStoredLevel } from "../../federation/hub/mirror/item-level-text.ts";
import type { IndexItem } from "../../federation/index/index-document.ts";
import type { DesiredIndex } from "../../federation/hub/ports.ts";
import { progressOf } from "../fleet/item-levels.ts";
import { DeliveryObserver } from "./delivery-observer.ts";

const digest = digestOf("body");

function staged(): {
  readonly clock: ManualClock;
  readonly seen: string[];
  sign(sequence: number): void;
  report(version: number, level: Level, nackClass?: NackClass): void;
} {
  const clock = new ManualClock();
  const seen: string[] = [];
  let current: DesiredIndex | undefined;
  const observer = new DeliveryObserver({
    clock,
    desired: { current: () => current, subscribe: () => () => {}, blob: () => Promise.resolve(undefined) },
    metrics: {
      count: (name, labels) => seen.push(`${name} ${labels?.["class"]}`),
      gauge: () => {},
      observe: (_, value, labels) => seen.push(`${labels?.["level"]} ${value}`),
    },
  });
  const items = (version: number): IndexItem => ({ kind: "PackInstalled", name: "web", version, digest, size: 1 });
  return {
    clock,
    seen,
    sign: (sequence) => {
      const document = {
        _type: "FederationIndex/v1" as const,
        cluster: "c",
        epoch: 1,
        sequence,
        issuedAt: rfc3339(clock.now()),
        expiresAt: "2999-01-01T00:00:00Z",
        keyId: "k",
        items: [],
        revocations: [],
      };
      current = {
        document,
        digest,
        envelope: {
          payloadType: "application/vnd.ontai.federation-index.v1+json",
          body: new Uint8Array(),
          signatures: [],
        },
      };
      observer.observe("c", [progressOf(items(sequence), undefined)]);
    },
    report: (version, level, nackClass) => {
      const report = create(ItemReportSchema, {
        kind: "PackInstalled",
        name: "web",
        version: BigInt(version),
        digest,
        level,
        atUnixMs: BigInt(clock.now()),
        ...(nackClass === undefined
          ? {}
          : { nack: { class: nackClass, retryable: false, reason: "SIGNATURE_INVALID" } }),
      });
      observer.observe("c", [progressOf(items(version), nextStoredLevel(undefined, report))]);
    },
  };
}

describe("delivery observer", () => {
  it("observes each level once, from the signing of the version to its report, jumped levels with it", async () => {
    const { clock, seen, sign, report } = staged();
    sign(1);
    await clock.advance(2000);
    report(1, Level.RECEIVED);
    report(1, Level.RECEIVED);
    await clock.advance(1000);
    report(1, Level.HEALTHY);
    report(1, Level.APPLIED);
    expect(seen).toEqual(["received 2", "verified 3", "applied 3", "healthy 3"]);
  });

  it("measures a new version from its own signing", async () => {
    const { clock, seen, sign, report } = staged();
    sign(1);
    report(1, Level.HEALTHY);
    seen.length = 0;
    await clock.advance(60_000);
    sign(2);
    await clock.advance(500);
    report(2, Level.RECEIVED);
    expect(seen).toEqual(["received 0.5"]);
  });

  it("counts a refusal once by its class, and again when it is refused again", async () => {
    const { clock, seen, sign, report } = staged();
    sign(1);
    const refuse = (): void => report(1, Level.UNSPECIFIED, NackClass.UNTRUSTED);
    refuse();
    refuse();
    await clock.advance(1000);
    refuse();
    expect(seen).toEqual(["federation_nacks_total Untrusted", "federation_nacks_total Untrusted"]);
  });
});
