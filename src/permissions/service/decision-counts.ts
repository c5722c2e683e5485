import type { Metrics } from "../../base/metrics.ts";
import type { DecisionCode } from "../decision/decision-code.ts";
import type { Freshness } from "../store/freshness.ts";

/** Counter of answers, by code and freshness. */
const CHECKS_TOTAL = "permission_checks_total";

/** Time for which counts are gathered, milliseconds: far less than anybody looks at metrics. */
const GATHER_MS = 200;

/** Counts answers and hands them to the metrics now and then: finding a labelled series costs more than a decision. */
export class DecisionCounts {
  readonly #metrics: Metrics;
  /** By freshness, then by code; both are closed lists. */
  readonly #counts = new Map<Freshness, Map<DecisionCode, number>>();
  #scheduled = false;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  add(code: DecisionCode, freshness: Freshness): void {
    let byCode = this.#counts.get(freshness);
    if (byCode === undefined) {
      byCode = new Map();
      this.#counts.set(freshness, byCode);
    }
    byCode.set(code, (byCode.get(code) ?? 0) + 1);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setTimeout(() => this.#flush(), GATHER_MS).unref();
  }

  #flush(): void {
    this.#scheduled = false;
    for (const [freshness, byCode] of this.#counts)
      for (const [result, by] of byCode) {
        if (by === 0) continue;
        this.#metrics.count(CHECKS_TOTAL, { result, freshness }, by);
        byCode.set(result, 0);
      }
  }
}
