import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { systemRandom } from "../../../src/base/random.ts";
import { CHAIN_START, auditHash } from "../../../src/federation/audit/audit-chain.ts";
import { openOutbox } from "../../../src/federation/outbox/outbox.ts";

/** Runs the child until it has confirmed `events` numbers more, then kills it without warning. */
async function runAndKill(directory: string, events: number): Promise<{ audit: bigint; fact: bigint }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "outbox-crash-child.ts"), directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const confirmed = { audit: 0n, fact: 0n };
  let seen = 0;
  let rest = "";
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [kind, number] = line.split(" ");
      if (kind !== "audit" && kind !== "fact") continue;
      const value = BigInt(number ?? 0);
      if (value > confirmed[kind]) confirmed[kind] = value;
      seen++;
    }
    if (seen >= events) child.kill("SIGKILL");
  });
  await new Promise<void>((resolve) => child.once("close", () => resolve()));
  return confirmed;
}

it("loses nothing that was confirmed when the process is killed, and repeats no number", async () => {
  const directory = await mkdtemp(join(tmpdir(), "seam-outbox-crash-"));
  let before = 0n;
  for (const events of [50, 400, 5]) {
    const confirmed = await runAndKill(directory, events);
    const outbox = await openOutbox({ directory, clock: systemClock, random: systemRandom });
    const { audit, facts } = await outbox.record();
    expect(audit.last).toBeGreaterThanOrEqual(confirmed.audit);
    expect(audit.last).toBeGreaterThan(before);
    before = audit.last;
    const [capability] = facts;
    expect(capability?.reportVersion).toBeGreaterThanOrEqual(confirmed.fact);
    let previous: Uint8Array = CHAIN_START;
    let next = 1n;
    for (const { sequence, event, hash } of await outbox.loadAudit(audit.epoch, 1n, 1_000_000, 1 << 30)) {
      expect(sequence).toBe(next++);
      expect(Buffer.from(hash).equals(auditHash(previous, sequence, event))).toBe(true);
      previous = hash;
    }
    expect(next - 1n).toBe(audit.last);
    await outbox.close();
  }
  await rm(directory, { recursive: true });
});
