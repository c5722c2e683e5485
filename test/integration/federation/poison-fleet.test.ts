import { expect, it } from "vitest";
import { provePoison } from "../../poison/prove-poison.ts";

/** Agents of the short form; `node test/poison/main.ts` runs 500. */
const AGENTS = 40;
const VICTIM = "tenant-21";

it("sends one poison object once, names it, and hurts nobody else", { timeout: 240_000 }, async () => {
  const report = await provePoison(AGENTS);
  expect(report).toMatchObject({
    poisonSent: 1,
    poisonTried: 1,
    // The agent holds the body: a retry needs no second sending.
    poisonSentAfterRetry: 0,
    poisonTriedAfterRetry: 1,
    busySent: 1,
    busyEarly: 0,
    othersUnmoved: true,
    besideHealthy: true,
  });
  const { version, digest, explained, retried, healed, nothingToRetry } = report;
  expect(explained.code).toBe(1);
  for (const line of [
    `PackInstalled bad on ${VICTIM}: version ${version}, digest ${digest.slice(7, 19)}, 100000 bytes`,
    `quarantined:  yes; lift with: seamctl retry ${VICTIM} PackInstalled/bad`,
    "last error:   POISON: not for any cluster",
    "blocking:     refused by the agent: POISON, not for any cluster; it is not sent again until the content changes or an operator retries",
  ])
    expect(explained.out).toContain(line);
  expect(retried).toMatchObject({ code: 0, out: `PackInstalled/bad on ${VICTIM} is offered again\n` });
  expect(healed.code).toBe(0);
  expect(healed.out).not.toMatch(/quarantined|blocking/);
  expect(nothingToRetry).toMatchObject({
    code: 1,
    out: `PackInstalled/good on ${VICTIM} is not refused: it is healthy; nothing is retried\n`,
  });
});
