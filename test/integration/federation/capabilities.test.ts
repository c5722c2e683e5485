import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, it } from "vitest";
import { CapabilityDeclarationSchema } from "../../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { Event } from "../../../src/api/builtin.ts";
import { correctionSecretName } from "../../../src/api/names.ts";
import { rfc3339, systemClock } from "../../../src/base/clock.ts";
import { encodeCorrection } from "../../../src/packs/manifest/correction.ts";
import { type SignedFederation, openSignedFederation } from "../../support/signed-federation.ts";

const CLUSTER = "tenant-1";
/** Watches and timers of a busy machine. */
const PATIENT = { timeout: 30_000, interval: 20 };

let federation: SignedFederation;
beforeEach(async () => {
  federation = await openSignedFederation(CLUSTER, systemClock);
});
afterEach(() => federation.close());

const declare = (names: readonly string[]): Promise<void> =>
  federation.facts.capability(
    CLUSTER,
    create(CapabilityDeclarationSchema, {
      agentVersion: "0.9.0",
      capabilities: names.map((name) => ({ name, version: "0.9.0" })),
    }),
  );

/** An item of a kind that needs pack-apply. */
const order = (pack: string): Promise<void> =>
  federation.put(
    correctionSecretName(pack),
    "correction",
    encodeCorrection({
      _type: "Correction/v1",
      cluster: CLUSTER,
      packInstalled: pack,
      serial: 1,
      correlationId: "c",
      attempt: 1,
      signalName: `drift-${pack}`,
      issuedAt: rfc3339(systemClock.now()),
    }),
  );

const named = (): readonly string[] =>
  (federation.desired.current(CLUSTER)?.document.items ?? [])
    .filter(({ deleted }) => deleted !== true)
    .map(({ name }) => name);

it("sends no agent what it did not declare, says why, and sends it once it does; what stands stays, and silence is no lack", async () => {
  await order("early-tenant-1");
  await expect.poll(named, PATIENT).toEqual(["early-tenant-1"]); // nothing is declared yet
  await declare(["permission-service"]);
  await order("late-tenant-1");
  const told = async () => {
    const { items } = await federation.management.cluster.list(Event);
    return items.filter(({ reason }) => reason === "CapabilityMissing").map(({ message }) => message);
  };
  await expect
    .poll(told, PATIENT)
    .toContain(
      "Correction/late-tenant-1: the agent (0.9.0) did not declare pack-apply, which Correction needs: it is not sent; run a build of the agent that has it",
    );
  expect(named()).toEqual(["early-tenant-1"]);

  await declare(["pack-apply", "permission-service"]);
  await expect.poll(named, PATIENT).toEqual(["early-tenant-1", "late-tenant-1"]);
  await declare(["permission-service"]);
  await order("last-tenant-1");
  await expect.poll(told, PATIENT).toHaveLength(2);
  expect(named()).toEqual(["early-tenant-1", "late-tenant-1"]);
});
