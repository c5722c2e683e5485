import type { Exchange } from "./exchange.ts";

const PLAIN = "text/plain; charset=utf-8";

/** One thing that must be well. */
export interface HealthCheck {
  readonly name: string;
  /** The failure in a few words for the log; undefined when all is well. */
  readonly failure: () => string | undefined;
}

/** The checks of each health endpoint. */
export interface Health {
  /** Whether a restart would help. */
  readonly livez: readonly HealthCheck[];
  /** Whether requests can be answered now. */
  readonly readyz: readonly HealthCheck[];
}

/**
 * Answers `/healthz`, `/livez` and `/readyz`, each with `?verbose` and `?exclude=NAME`, and one check by `/readyz/NAME`.
 *
 * @returns false when there is no such path
 */
export function answerHealth(exchange: Exchange, health: Health, segments: readonly string[]): boolean {
  const [endpoint = "", name, ...more] = segments;
  if (more.length > 0) return false;
  const all = endpoint === "livez" ? health.livez : health.readyz;
  const excluded = new Set(exchange.query.getAll("exclude"));
  const checks = all.filter((check) => (name === undefined ? !excluded.has(check.name) : check.name === name));
  if (name !== undefined && checks.length === 0) return false;
  // Whoever may only see that something is wrong need not learn what: the reason is in the log.
  const lines = checks.map((check) => ({ check, failed: check.failure() !== undefined }));
  const failed = lines.some((line) => line.failed);
  if (!failed && !exchange.query.has("verbose")) {
    exchange.sendText(200, "ok", PLAIN);
    return true;
  }
  const shown = lines.map(({ check, failed }) =>
    failed ? `[-]${check.name} failed: reason withheld\n` : `[+]${check.name} ok\n`,
  );
  const excludedLines = all
    .filter((check) => name === undefined && excluded.has(check.name))
    .map((check) => `[+]${check.name} excluded: ok\n`);
  exchange.sendText(
    failed ? 500 : 200,
    `${[...shown, ...excludedLines].join("")}${endpoint} check ${failed ? "failed" : "passed"}\n`,
    PLAIN,
  );
  return true;
}
