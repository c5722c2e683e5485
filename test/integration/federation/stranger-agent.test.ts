import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { ItemReport_Level as Level } from "../../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { ed25519Signer } from "../../../src/trust/dsse.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { MemoryDesiredStates } from "../../support/federation-ports.ts";
import { FederationRig, until } from "../../support/federation-rig.ts";
import { findProgram } from "../../support/find-program.ts";

const AGENT = join(import.meta.dirname, "../../../examples/agent/agent.py");
const PYTHON = process.env["SEAM_PYTHON"] ?? findProgram("python3");
const READY =
  PYTHON !== undefined &&
  spawnSync(PYTHON, ["-c", "import grpc, grpc_tools, cryptography"], { stdio: "ignore" }).status === 0;
/** A cold start of Python compiles the messages and imports gRPC. */
const START_MS = 30_000;

let opened: FederationRig | undefined;
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await opened?.close();
  opened = undefined;
});

async function create(): Promise<FederationRig> {
  opened = await FederationRig.create(["tenant-1"]);
  return opened;
}

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  text(): string;
}

async function start(rig: FederationRig, cluster: string, ...more: readonly string[]): Promise<Run> {
  const tls = join(rig.directory, "tls");
  await mkdir(tls, { recursive: true });
  const { certificatePem, privateKeyPem, caPem } = await rig.tenantTls(cluster);
  await writeFile(join(tls, "tls.crt"), certificatePem);
  await writeFile(join(tls, "tls.key"), privateKeyPem);
  await writeFile(join(tls, "ca.crt"), caPem);
  await writeFile(join(tls, "signing-key.pem"), rig.publicKeyPem);
  const args = ["--hub", `localhost:${rig.port}`, "--cluster", cluster, "--tls", tls];
  args.push("--key", join(tls, "signing-key.pem"), "--state", join(rig.directory, "stranger"), ...more);
  const child = spawn(PYTHON ?? "", [AGENT, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (text += data.toString()));
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  return { child, ended, text: () => text };
}

describe("the example agent in another language", () => {
  it("is at most 150 lines, and knows nothing of this house but proto/", () => {
    const source = readFileSync(AGENT, "utf8");
    expect(source.trimEnd().split("\n").length).toBeLessThanOrEqual(150);
    expect(source).not.toContain("src/");
  });

  describe.skipIf(!READY)("with Python and the packages of examples/agent/requirements.txt (.ci/python-agent)", () => {
    it(
      "verifies an index, fetches its bodies, is acknowledged, and goes on after a restart",
      { timeout: 90_000 },
      async () => {
        const rig = await create();
        const large = Buffer.alloc(700_000, "large");
        rig.desired.put("tenant-1", "PackInstalled", "web", Buffer.from("small enough to ride with the offer"));
        const version = rig.desired.put("tenant-1", "PackInstalled", "db", large);
        const { hub } = await rig.hub();
        const first = await start(rig, "tenant-1", "--once");
        expect([await first.ended, first.text()]).toEqual([
          0,
          "received PackInstalled/db version 2\nreceived PackInstalled/web version 1\n",
        ]);
        await until(
          () => rig.facts.item("tenant-1", "PackInstalled/db")?.level === Level.RECEIVED,
          "the report is stored",
        );
        expect(hub.view.agent("tenant-1")?.held?.digest).toBe(rig.desired.current("tenant-1")?.digest);
        const state = join(rig.directory, "stranger");
        expect(await readdir(state)).toHaveLength(4); // the index, the term and two bodies
        expect(await readFile(join(state, "index.json"))).toEqual(
          Buffer.from(rig.desired.current("tenant-1")?.envelope.body ?? []),
        );

        const second = await start(rig, "tenant-1", "--once");
        expect(await second.ended).toBe(0);
        expect(version).toBe(2);
      },
    );

    it("follows changes, refuses what a stranger signed and keeps what it has", { timeout: 90_000 }, async () => {
      const rig = await create();
      rig.desired.put("tenant-1", "PackInstalled", "web", Buffer.from("one"));
      const { hub, stop } = await rig.hub();
      const agent = await start(rig, "tenant-1");
      await until(() => agent.text().includes("web version 1"), "the first version", START_MS);
      rig.desired.put("tenant-1", "PackInstalled", "web", Buffer.from("two"));
      await until(() => agent.text().includes("web version 2"), "the second version");
      await until(() => hub.view.agent("tenant-1")?.held?.sequence === 2, "the hub knows");
      await stop();

      const stranger = new MemoryDesiredStates(ed25519Signer(generateKeyPairSync("ed25519").privateKey), systemClock);
      for (const text of ["one", "two", "three"]) stranger.put("tenant-1", "PackInstalled", "web", Buffer.from(text));
      const other = await rig.hub({ desired: stranger });
      await until(() => other.hub.view.agent("tenant-1")?.refusedIndex !== undefined, "the refusal", START_MS);
      expect(other.hub.view.agent("tenant-1")?.refusedIndex).toMatchObject({ reason: "UNKNOWN_KEY", sequence: 3 });
      expect(other.hub.view.agent("tenant-1")?.held?.sequence).toBe(2);
      expect(agent.child.exitCode).toBeNull();
    });
  });
});
