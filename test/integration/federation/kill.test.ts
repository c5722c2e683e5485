import { type ChildProcess, fork } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ItemReport_Level as Level } from "../../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { FederationRig, until } from "../../support/federation-rig.ts";
import type { AgentChildOptions } from "./agent-child.ts";

const PACKS = 12;
const LAYER_BYTES = 1024 * 1024;

it("resumes an agent that was killed in mid-delivery: nothing is lost, nothing is applied twice but the one under way", async () => {
  const rig = await FederationRig.create(["tenant-1"]);
  for (let i = 0; i < PACKS; i++)
    rig.desired.put("tenant-1", "PackInstalled", `pack-${i}`, Buffer.from(`pack-${i}`), [
      Buffer.alloc(LAYER_BYTES, i + 1),
    ]);
  const { hub } = await rig.hub();
  const options: AgentChildOptions = {
    port: hub.port,
    cluster: "tenant-1",
    tls: await rig.tenantTls("tenant-1"),
    publicKeyPem: rig.publicKeyPem,
    storeDirectory: join(rig.directory, "agent"),
    effectsFile: join(rig.directory, "effects"),
  };
  const children: ChildProcess[] = [];
  const start = (): ChildProcess => {
    const child = fork(join(import.meta.dirname, "agent-child.ts"), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    child.send(options);
    children.push(child);
    return child;
  };
  const reached = (level: number): number =>
    Array.from({ length: PACKS }, (_, i) => rig.facts.item("tenant-1", `PackInstalled/pack-${i}`)?.level ?? 0).filter(
      (found) => found >= level,
    ).length;

  for (const some of [1, 5]) {
    const child = start();
    await until(() => reached(Level.APPLIED) >= some, `${some} packs are applied`, 20_000);
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
  }
  const last = start();
  await until(() => reached(Level.HEALTHY) === PACKS, "every pack is healthy", 20_000);

  const effects = (await readFile(options.effectsFile, "utf8")).trim().split("\n");
  expect(new Set(effects).size).toBe(PACKS);
  // A kill may fall between the effect and its record, for each handler that was running.
  expect(effects.length).toBeLessThanOrEqual(PACKS + 2 * 8);
  last.kill("SIGKILL");
  await new Promise((resolve) => last.once("exit", resolve));
  await rig.close();
});
