import { ConfigMap, type ConfigMapObject } from "../../../api/builtin.ts";
import type { RevocationPush } from "../../../api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import { FIELD_MANAGERS, LABELS, NAMESPACES, assertClusterName } from "../../../api/names.ts";
import type { Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import { isStatus } from "../../../cluster/api-status-error.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import { startInformer } from "../../../controller/cache/informer.ts";
import type { AuditRecord, AuditTrail } from "../../../api/audit-record.ts";
import type { Signer } from "../../../trust/dsse.ts";
import { retryConflicts } from "../mirror/retry-conflicts.ts";
import type { IndexRevocation } from "../../index/index-document.ts";
import { MAX_DETAIL_LENGTH } from "../../session/limits.ts";
import type { AcknowledgedRevocation, RevocationOutbox } from "../ports.ts";
import { revocationAnswered, revocationOrdered } from "./revocation-trail.ts";
import {
  LEDGER_KEY,
  type RevocationLedger,
  type RevocationOrder,
  type RevocationOutcome,
  type RevocationRecord,
  acknowledgeRevocation,
  addRevocation,
  ledgerText,
  readLedger,
  revocationFloors,
  revocationPush,
} from "./revocation-record.ts";

const PREFIX = "federation-revocations-";
/** Label of the ledgers, so that one watch follows them all. */
const LEDGER_LABEL = "seam.ontai.dev/federation-revocations";

/** Options of {@link startRevocationOutbox}. */
export interface RevocationOutboxOptions {
  /** The management cluster. */
  readonly cluster: Cluster;
  /** Signs revocations. */
  readonly signer: Signer;
  /** The hub's own audit log; absent: nothing is recorded. */
  readonly trail?: AuditTrail;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** {@link RevocationOutbox} over one ConfigMap per tenant. */
export interface RunningRevocationOutbox extends RevocationOutbox {
  /** Stores a revocation for one cluster; durable when it resolves, idempotent by its id. */
  add(cluster: string, order: RevocationOrder): Promise<RevocationRecord>;
  /** Floors for a cluster's index. */
  floors(cluster: string): readonly IndexRevocation[];
  /** Every record by cluster, as the watch has seen it. */
  records(): ReadonlyMap<string, readonly RevocationRecord[]>;
  /** Resolves when the watch is closed. */
  readonly closed: Promise<void>;
}

/**
 * Revocations in ConfigMaps `federation-revocations-{cluster}` in `ont-system`, pushed until they are acknowledged.
 *
 * @throws the signal's reason when stopped before the first list
 */
export async function startRevocationOutbox(options: RevocationOutboxOptions): Promise<RunningRevocationOutbox> {
  const outbox = new WatchedRevocationOutbox(options);
  await outbox.synced;
  return outbox;
}

/** A ledger and the object that it was read from. */
interface Held {
  readonly ledger: RevocationLedger;
  readonly configMap: ConfigMapObject;
}

class WatchedRevocationOutbox implements RunningRevocationOutbox {
  readonly synced: Promise<void>;
  readonly closed: Promise<void>;
  readonly #options: RevocationOutboxOptions;
  readonly #held = new Map<string, Held>();
  readonly #listeners = new Set<(cluster: string) => void>();

  constructor(options: RevocationOutboxOptions) {
    this.#options = options;
    const { cluster, clock, random, log, signal } = options;
    const informer = startInformer({
      cluster,
      type: ConfigMap,
      namespace: NAMESPACES.ont,
      labelSelector: `${LEDGER_LABEL}=true`,
      clock,
      random,
      log,
      signal,
    });
    informer.subscribe((event) => {
      const id = event.object.metadata.name.slice(PREFIX.length);
      if (event.type === "DELETED") this.#held.delete(id);
      else this.#hold(id, event.object);
      this.#notify(id);
    });
    this.synced = informer.synced;
    this.closed = informer.closed;
  }

  pending(cluster: string, afterSerial: bigint): readonly RevocationPush[] {
    const records = this.#held.get(cluster)?.ledger.records ?? [];
    return records
      .filter((record) => BigInt(record.serial) > afterSerial && record.outcome?.applied !== true)
      .map(revocationPush);
  }

  subscribe(listener: (cluster: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  floors(cluster: string): readonly IndexRevocation[] {
    return revocationFloors(this.#held.get(cluster)?.ledger.records ?? []);
  }

  records(): ReadonlyMap<string, readonly RevocationRecord[]> {
    return new Map([...this.#held].map(([cluster, { ledger }]) => [cluster, ledger.records]));
  }

  async add(cluster: string, order: RevocationOrder): Promise<RevocationRecord> {
    const parts = { nowMs: this.#options.clock.now(), signer: this.#options.signer };
    const { record, added } = await this.#change(cluster, (ledger) => {
      const { ledger: next, record } = addRevocation(ledger, cluster, order, parts);
      return { next, result: { record, added: next !== ledger } };
    });
    if (added) await this.#tell(revocationOrdered(cluster, record));
    return record;
  }

  async acknowledged(cluster: string, serial: bigint, word: AcknowledgedRevocation): Promise<void> {
    const { applied, detail, effectiveUnixMs } = word;
    const outcome: RevocationOutcome = {
      applied,
      detail: detail.slice(0, MAX_DETAIL_LENGTH),
      atMs: this.#options.clock.now(),
      ...(effectiveUnixMs > 0 ? { effectiveAtMs: effectiveUnixMs } : {}),
    };
    const answered = await this.#change(cluster, (ledger) => {
      const next = acknowledgeRevocation(ledger, Number(serial), outcome);
      return {
        next,
        result: next === ledger ? undefined : next.records.find((held) => held.serial === Number(serial)),
      };
    });
    if (answered !== undefined) await this.#tell(revocationAnswered(cluster, answered, outcome));
  }

  async #tell(record: AuditRecord): Promise<void> {
    await this.#options.trail?.record(record);
  }

  /**
   * Begins with what the watch has told: a fleet-wide order is then one write for each cluster. Whoever else wrote meanwhile makes that
   * write a conflict, and the ledger is read anew; so it is before anybody is told that there was nothing to write.
   */
  async #change<T>(
    cluster: string,
    edit: (ledger: RevocationLedger) => { readonly next: RevocationLedger; readonly result: T },
  ): Promise<T> {
    const key = { namespace: NAMESPACES.ont, name: PREFIX + assertClusterName(cluster) };
    const attempt = async (
      held: ConfigMapObject | undefined,
    ): Promise<{ readonly wrote: boolean; readonly result: T }> => {
      const before = readLedger(held);
      const { next, result } = edit(before);
      if (next === before) return { wrote: false, result };
      this.#hold(cluster, await this.#write(cluster, key, held, next));
      this.#notify(cluster);
      return { wrote: true, result };
    };
    try {
      const first = await attempt(this.#held.get(cluster)?.configMap);
      if (first.wrote) return first.result;
    } catch (error) {
      if (!isStatus(error, "Conflict", "AlreadyExists", "NotFound")) throw error;
    }
    return retryConflicts(this.#options, async () => {
      const held = await ifPresent(this.#options.cluster.get(ConfigMap, key));
      return (await attempt(held)).result;
    });
  }

  #write(
    cluster: string,
    key: { readonly namespace: string; readonly name: string },
    held: ConfigMapObject | undefined,
    ledger: RevocationLedger,
  ): Promise<ConfigMapObject> {
    const options = { fieldManager: FIELD_MANAGERS.hub };
    const data = { [LEDGER_KEY]: ledgerText(ledger) };
    if (held !== undefined) return this.#options.cluster.update(ConfigMap, { ...held, data }, options);
    const metadata = { ...key, labels: { [LEDGER_LABEL]: "true", [LABELS.cluster]: cluster } };
    return this.#options.cluster.create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata, data }, options);
  }

  #hold(cluster: string, configMap: ConfigMapObject): void {
    try {
      const ledger = readLedger(configMap);
      const held = this.#held.get(cluster);
      // Our own write is known before the watch tells it; an older event must not take it back.
      if (held === undefined || !isOlder(ledger, held.ledger)) this.#held.set(cluster, { ledger, configMap });
    } catch (error) {
      this.#options.log.error({ cluster, error: errorMessage(error) }, "revocations of a cluster cannot be read");
    }
  }

  #notify(cluster: string): void {
    for (const listener of this.#listeners) listener(cluster);
  }
}

function isOlder(ledger: RevocationLedger, than: RevocationLedger): boolean {
  if (ledger.lastSerial !== than.lastSerial) return ledger.lastSerial < than.lastSerial;
  return answered(ledger) < answered(than);
}

function answered(ledger: RevocationLedger): number {
  return ledger.records.filter((record) => record.outcome?.applied === true).length;
}
