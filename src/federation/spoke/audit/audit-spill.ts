import { ConfigMap, type ConfigMapObject } from "../../../api/builtin.ts";
import { FIELD_MANAGERS, NAMESPACES } from "../../../api/names.ts";
import type { Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { JsonObject } from "../../../base/json.ts";
import type { Log } from "../../../base/log.ts";
import { type Metrics, silentMetrics } from "../../../base/metrics.ts";
import { type Random, jittered } from "../../../base/random.ts";
import { isStatus } from "../../../cluster/api-status-error.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import type { Outbox } from "../../outbox/outbox.ts";
import type { FactOutbox } from "../ports.ts";
import { MAX_SPILL_BYTES, SPILL_LABEL, fitting, readSpill, spillName, spillObject } from "./spill-object.ts";
import { UnacknowledgedAge } from "./unacknowledged-age.ts";

/** How long events wait for the hub before they are copied to the API server, milliseconds. */
const SPILL_AFTER_MS = 60_000;
/** Time between looks, milliseconds, ±10 %. */
const LOOK_MS = 15_000;
/** Most objects at a time: 16 MiB. What does not fit lies in the store alone. */
export const MAX_SPILL_OBJECTS = 64;
/** Events read from the store at a time. */
const READ_EVENTS = 1_000;

/** What {@link startAuditSpill} works with. */
export interface AuditSpillParts {
  readonly clusterId: string;
  /** The tenant's own cluster. */
  readonly cluster: Cluster;
  /** The audit log. */
  readonly outbox: Pick<Outbox, "auditCursor" | "loadAudit">;
  /** Takes over what another store left. */
  readonly facts: Pick<FactOutbox, "audit">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics?: Metrics;
  /** True while other replicas hand their events over: what lies there is looked at every time. Default: never. */
  readonly handedOver?: () => boolean;
  /** Default {@link MAX_SPILL_OBJECTS}. */
  readonly maxObjects?: number;
  readonly signal: AbortSignal;
}

/** One object that stands. */
interface Spilled {
  readonly name: string;
  readonly first: bigint;
  through: bigint;
  object: ConfigMapObject;
}

/**
 * Copies of what no hub has acknowledged for a minute, as ConfigMaps in `ont-system`: an agent whose disk is gone leaves its evidence there.
 * The next store takes it over under numbers of its own - each event says which it had - and an acknowledgement removes what it covers.
 */
export function startAuditSpill(parts: AuditSpillParts): { readonly closed: Promise<void> } {
  const { clock, random, log, signal } = parts;
  const spill = new Spill(parts);
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        await spill.look();
      } catch (error) {
        if (!signal.aborted) log.warn({ error: errorMessage(error) }, "audit events could not be spilled; tried again");
      }
      await clock.sleep(jittered(random, LOOK_MS), signal).catch(() => {
        // the agent stops; what is spilled stays for its next start
      });
    }
  };
  return { closed: run() };
}

class Spill {
  readonly #parts: AuditSpillParts;
  readonly #metrics: Metrics;
  readonly #maxObjects: number;
  readonly #age = new UnacknowledgedAge();
  /** Ours, by first number. */
  #standing: Spilled[] = [];
  #found = false;
  #full = false;

  constructor(parts: AuditSpillParts) {
    this.#parts = parts;
    this.#metrics = parts.metrics ?? silentMetrics;
    this.#maxObjects = parts.maxObjects ?? MAX_SPILL_OBJECTS;
  }

  async look(): Promise<void> {
    const { outbox, clock, log } = this.#parts;
    if (!this.#found || this.#parts.handedOver?.() === true) await this.#takeOver();
    const { epoch, ackedThrough, last } = await outbox.auditCursor();
    this.#age.note(clock.monotonic(), last);
    await this.#removeThrough(ackedThrough);
    const old = this.#age.olderThan(clock.monotonic() - SPILL_AFTER_MS);
    let from = (this.#standing.at(-1)?.through ?? ackedThrough) + 1n;
    if (from <= ackedThrough) from = ackedThrough + 1n;
    while (from <= old && !this.#parts.signal.aborted) {
      const next = await this.#spill(epoch, from);
      if (next === undefined) break;
      from = next;
    }
    this.#metrics.gauge("wal_spill_objects", this.#standing.length);
    const full = this.#standing.length >= this.#maxObjects && from <= old;
    if (full && !this.#full)
      log.warn(
        { objects: this.#maxObjects },
        "no more audit events are copied to the API server; the store alone has them",
      );
    this.#full = full;
  }

  /** Writes events from a number on; returns where to go on, or undefined when there is nothing or no room. */
  async #spill(epoch: bigint, from: bigint): Promise<bigint | undefined> {
    const { outbox } = this.#parts;
    const tail = this.#standing.at(-1);
    // The newest object grows until it is full, so that few events in an hour need no object each.
    if (tail !== undefined && tail.through + 1n === from) {
      const grown = fitting(await outbox.loadAudit(epoch, tail.first, READ_EVENTS, MAX_SPILL_BYTES));
      const through = grown.at(-1)?.sequence ?? 0n;
      if (grown[0]?.sequence === tail.first && through > tail.through) {
        tail.object = await this.#write(spillObject(this.#parts.clusterId, epoch, grown), tail.object);
        tail.through = through;
        return through + 1n;
      }
    }
    if (this.#standing.length >= this.#maxObjects) return undefined;
    const events = fitting(await outbox.loadAudit(epoch, from, READ_EVENTS, MAX_SPILL_BYTES));
    const [first] = events;
    const through = events.at(-1)?.sequence;
    if (first === undefined || through === undefined) return undefined;
    const object = await this.#write(spillObject(this.#parts.clusterId, epoch, events), undefined);
    this.#standing.push({ name: object.metadata.name, first: first.sequence, through, object });
    return through + 1n;
  }

  async #write(object: ConfigMapObject, held: ConfigMapObject | undefined): Promise<ConfigMapObject> {
    const { cluster } = this.#parts;
    const options = { fieldManager: FIELD_MANAGERS.agent };
    try {
      if (held !== undefined) return await cluster.update(ConfigMap, { ...held, data: object.data ?? {} }, options);
      return await cluster.create(ConfigMap, object, options);
    } catch (error) {
      // Somebody removed or wrote it: what is there is looked at again, and ours goes on beside it.
      if (isStatus(error, "NotFound") || isStatus(error, "Conflict") || isStatus(error, "AlreadyExists"))
        this.#found = false;
      throw error;
    }
  }

  async #removeThrough(acknowledged: bigint): Promise<void> {
    for (let [oldest] = this.#standing; oldest !== undefined; [oldest] = this.#standing) {
      if (oldest.through > acknowledged) return;
      await this.#delete(oldest.name);
      this.#standing.shift();
    }
  }

  /** What stands already: our own is followed, what another store left is appended to our log and removed. */
  async #takeOver(): Promise<void> {
    const { cluster, outbox, log } = this.#parts;
    const { epoch } = await outbox.auditCursor();
    const { items } = await cluster.list(ConfigMap, {
      namespace: NAMESPACES.ont,
      labelSelector: `${SPILL_LABEL}=true`,
    });
    const standing: Spilled[] = [];
    for (const object of items) {
      const { name } = object.metadata;
      const spilled = readSpill(object);
      const first = spilled?.events[0]?.sequence;
      const through = spilled?.events.at(-1)?.sequence;
      if (
        spilled === undefined ||
        first === undefined ||
        through === undefined ||
        name !== spillName(spilled.epoch, first)
      ) {
        log.warn({ configMap: name }, "is no copy of audit events and is left alone; delete it");
        continue;
      }
      if (spilled.epoch === epoch) standing.push({ name, first, through, object });
      else {
        await this.#adopt(spilled.epoch, spilled.events);
        await this.#delete(name);
        log.warn({ configMap: name, events: spilled.events.length }, "audit events of another store were taken over");
      }
    }
    this.#standing = standing.sort((a, b) => (a.first < b.first ? -1 : 1));
    this.#found = true;
  }

  /** Durable when it resolves. A crash in between appends again, with the same event ids. */
  async #adopt(
    epoch: bigint,
    events: readonly { readonly sequence: bigint; readonly event: JsonObject }[],
  ): Promise<void> {
    await Promise.all(
      events.map(({ sequence, event }) => {
        const { action } = event;
        const numbering = action === "audit.gap" || action === "audit.dropped";
        return this.#parts.facts.audit({
          ...event,
          // A range is one of its own numbering: here it must close nothing.
          ...(numbering && { action: `${action}.adopted` }),
          sourceEpoch: String(epoch),
          sourceSequence: String(sequence),
        });
      }),
    );
  }

  async #delete(name: string): Promise<void> {
    try {
      await this.#parts.cluster.delete(ConfigMap, { namespace: NAMESPACES.ont, name });
    } catch (error) {
      if (!isStatus(error, "NotFound")) throw error;
    }
  }
}
