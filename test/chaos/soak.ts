import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../../src/base/clock.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { openOciLayout } from "../../src/packs/store/oci-layout.ts";
import { publishPack } from "../../src/roles/publish-pack.ts";
import { MeshProcess } from "../support/mesh-process.ts";
import { randomVersion, versionText, writeVersion } from "./pack-model.ts";

/** `node test/chaos/soak.ts`: what the processes of a mesh use while nothing happens and while packs are published without end (Linux). */
const { values } = parseArgs({
  options: {
    tenants: { type: "string", default: "10" },
    "idle-seconds": { type: "string", default: "90" },
    "publish-seconds": { type: "string", default: "120" },
    "publish-every-ms": { type: "string", default: "2000" },
    "port-offset": { type: "string", default: "9500" },
  },
});

/** What a process uses at one moment. */
interface Sample {
  readonly rssBytes: number;
  readonly files: number;
  readonly cpuSeconds: number;
  readonly delayMs: number;
  readonly diskBytes: number;
  readonly walBytes: number;
}

const SAMPLE_MS = 5_000;
/** `sysconf(_SC_CLK_TCK)` of every Linux there is. */
const TICKS_PER_SECOND = 100;

const parent = mkdtempSync(join(tmpdir(), "seam-soak-"));
const mesh = new MeshProcess({
  directory: join(parent, "mesh"),
  tenants: Number(values.tenants),
  portOffset: Number(values["port-offset"]),
});
const names = ["management", ...mesh.tenants];
try {
  mesh.start();
  await mesh.ready(180_000);
  await phase("idle", Number(values["idle-seconds"]), async () => {});
  const work = join(parent, "work");
  const random = new SeededRandom(7);
  const store = await openOciLayout(mesh.layout.packs, systemClock);
  let minor = 0;
  await phase("publishing", Number(values["publish-seconds"]), async () => {
    const version = randomVersion(random, "soak", ++minor, mesh.tenants);
    writeVersion(work, version);
    const request = { directory: work, name: "soak", version: versionText(version), to: version.targets };
    await publishPack(request, store, mesh.management);
    await systemClock.sleep(Number(values["publish-every-ms"]));
  });
  console.log(`${minor} versions published`);
  await mesh.ready(60_000);
  await phase("idle again", Number(values["idle-seconds"]), async () => {});
} finally {
  await mesh.stop();
  rmSync(parent, { recursive: true, force: true });
}

/** Does `work` again and again for a time, samples every process meanwhile, and prints how the end compares with the beginning. */
async function phase(title: string, seconds: number, work: () => Promise<void>): Promise<void> {
  const until = systemClock.monotonic() + seconds * 1000;
  const samples = new Map<string, Sample[]>(names.map((name) => [name, []]));
  const sampling = (async () => {
    while (systemClock.monotonic() < until) {
      for (const name of names) samples.get(name)?.push(await sample(name));
      await systemClock.sleep(SAMPLE_MS);
    }
  })();
  while (systemClock.monotonic() < until) {
    await work();
    await systemClock.sleep(10);
  }
  await sampling;
  console.log(`\n${title}, ${seconds} s`);
  for (const name of names) {
    const all = samples.get(name) ?? [];
    const [first, last] = [all[0], all.at(-1)];
    if (first === undefined || last === undefined) continue;
    const cpu = ((last.cpuSeconds - first.cpuSeconds) / seconds) * 100;
    const delay = Math.max(...all.map(({ delayMs }) => delayMs));
    const wal = Math.max(...all.map(({ walBytes }) => walBytes));
    console.log(
      [
        name.padEnd(11),
        `cpu ${cpu.toFixed(1).padStart(5)} %`,
        `rss ${mib(first.rssBytes)} -> ${mib(last.rssBytes)} MiB`,
        `files ${first.files} -> ${last.files}`,
        `loop delay at most ${delay.toFixed(0)} ms`,
        `disk ${mib(first.diskBytes)} -> ${mib(last.diskBytes)} MiB`,
        `wal at most ${mib(wal)} MiB`,
      ].join("  "),
    );
  }
}

async function sample(name: string): Promise<Sample> {
  const pid = mesh.pidOf(name);
  if (pid === undefined) throw new Error(`${name} does not run`);
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const metrics = await mesh.metrics(name);
  const delay = /event_loop_delay_seconds\{[^}]*quantile="(?:max|1|0\.99)"[^}]*\} (\S+)/.exec(metrics)?.[1];
  const files = filesBelow(name === "management" ? mesh.layout.management : mesh.layout.tenant(name));
  const bytes = (pick: (file: string) => boolean): number =>
    files.filter(([file]) => pick(file)).reduce((sum, [, size]) => sum + size, 0);
  return {
    rssBytes: Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024,
    files: readdirSync(`/proc/${pid}/fd`).length,
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    delayMs: Number(delay ?? 0) * 1000,
    diskBytes: bytes(() => true),
    walBytes: bytes((file) => file.endsWith("-wal")),
  };
}

function filesBelow(directory: string): readonly (readonly [string, number])[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    if (!entry.isFile()) return [];
    const file = join(entry.parentPath, entry.name);
    try {
      return [[file, statSync(file).size] as const];
    } catch {
      return []; // gone meanwhile
    }
  });
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
