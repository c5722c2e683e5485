import { ConfigMap } from "../../src/api/builtin.ts";
import { PackReceipt } from "../../src/api/kinds/pack-receipt.ts";
import { RunnerConfig } from "../../src/api/kinds/runner-config.ts";
import { NAMESPACES } from "../../src/api/names.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { startInformer } from "../../src/controller/cache/informer.ts";
import { ITEM_LEVELS_NAME, parseItemLevels } from "../../src/federation/hub/mirror/item-level-store.ts";

/** Watches the shared cluster for as long as the test runs and writes down everything that goes back: a former owner's late write would. */
export class StoreWitness {
  /** What went back, for people; empty when nothing did. */
  readonly faults: string[] = [];
  readonly synced: Promise<void>;
  readonly closed: Promise<void>;

  constructor(cluster: Cluster, signal: AbortSignal) {
    const parts = { cluster, clock: systemClock, random: systemRandom, log: silentLog, signal };
    const receipts = startInformer({ ...parts, type: PackReceipt });
    receipts.subscribe((event) => {
      if (event.type !== "MODIFIED") return;
      const { object, old } = event;
      this.#rises(`${object.metadata.namespace} receipt`, old.spec.serial ?? 0, object.spec.serial ?? 0);
      this.#rises(
        `${object.metadata.namespace} receipt status`,
        Number(old.status?.driftSummary ?? 0),
        Number(object.status?.driftSummary ?? 0),
      );
    });
    const channels = startInformer({ ...parts, type: RunnerConfig, namespace: NAMESPACES.ont });
    channels.subscribe((event) => {
      if (event.type !== "MODIFIED") return;
      const { object, old } = event;
      const [before, after] = [old.status?.federation, object.status?.federation];
      this.#rises(`${object.metadata.name} term`, before?.term ?? 0, after?.term ?? 0);
      if (before?.term === after?.term && before?.sessionId !== after?.sessionId && before?.replica !== after?.replica)
        this.faults.push(`${object.metadata.name}: two replicas with term ${after?.term}`);
    });
    const levels = startInformer({ ...parts, type: ConfigMap, fieldSelector: `metadata.name=${ITEM_LEVELS_NAME}` });
    levels.subscribe((event) => {
      if (event.type !== "MODIFIED") return;
      const before = new Map(parseItemLevels(event.old).map(({ report }) => [report.name, report]));
      for (const { report } of parseItemLevels(event.object)) {
        const old = before.get(report.name);
        const what = `${event.object.metadata.namespace} ${report.name}`;
        this.#rises(`${what} version`, Number(old?.version ?? 0n), Number(report.version));
        if (old?.version === report.version) this.#rises(`${what} level`, old.level, report.level);
      }
    });
    const all = [receipts, channels, levels];
    this.synced = Promise.all(all.map((each) => each.synced)).then(() => undefined);
    this.closed = Promise.all(all.map((each) => each.closed)).then(() => undefined);
  }

  #rises(what: string, before: number, after: number): void {
    if (after < before) this.faults.push(`${what} goes from ${before} back to ${after}`);
  }
}
