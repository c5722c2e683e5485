import { ConfigMap } from "../../../api/builtin.ts";
import { FIELD_MANAGERS, NAMESPACES } from "../../../api/names.ts";
import type { Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { type Random, jittered } from "../../../base/random.ts";
import { isStatus } from "../../../cluster/api-status-error.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import type { Outbox } from "../../outbox/outbox.ts";
import { MAX_SPILL_BYTES, SPILL_LABEL, fitting, readSpill, spillObject } from "./spill-object.ts";

/** Time between two looks at what waits, milliseconds, ±10 %. */
const LOOK_MS = 2_000;
/** Most objects that wait for the agent; further events lie in this replica's own log. */
const MAX_HANDED = 16;
const READ_EVENTS = 1_000;

/** What {@link startAuditHandover} works with. */
export interface AuditHandoverParts {
  readonly clusterId: string;
  /** The tenant cluster. */
  readonly cluster: Cluster;
  /** The log of this replica. */
  readonly outbox: Pick<Outbox, "auditCursor" | "loadAudit" | "apply">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * The way of a replica's audit events to the agent, which numbers and sends them: they are durable here first, lie in ConfigMaps
 * until the agent has them durably in its log and removes those, and only then go from this log. A crash in between hands some over again,
 * with the same event ids.
 */
export function startAuditHandover(parts: AuditHandoverParts): { readonly closed: Promise<void> } {
  const { clock, random, log, signal } = parts;
  const handover = new Handover(parts);
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        await handover.look();
      } catch (error) {
        if (!signal.aborted) log.warn({ error: errorMessage(error) }, "audit events wait on this replica; tried again");
      }
      await clock.sleep(jittered(random, LOOK_MS), signal).catch(() => {
        // the replica stops; its next start goes on
      });
    }
  };
  return { closed: run() };
}

class Handover {
  readonly #parts: AuditHandoverParts;
  /** Highest number that this process has seen lie in a ConfigMap. */
  #handed = 0n;

  constructor(parts: AuditHandoverParts) {
    this.#parts = parts;
  }

  async look(): Promise<void> {
    const { clusterId, cluster, outbox } = this.#parts;
    const { epoch, ackedThrough, last } = await outbox.auditCursor();
    const standing = await this.#standing(epoch);
    // Handed over in order and taken whole: what lies before the oldest that stands is with the agent.
    const [oldest] = standing;
    const taken = oldest === undefined ? this.#handed : oldest.first - 1n;
    if (taken > ackedThrough) await outbox.apply([{ type: "AcknowledgeAudit", epoch, through: taken }]);
    let next = (standing.at(-1)?.through ?? (taken > ackedThrough ? taken : ackedThrough)) + 1n;
    for (let count = standing.length; next <= last && count < MAX_HANDED; count++) {
      const events = fitting(await outbox.loadAudit(epoch, next, READ_EVENTS, MAX_SPILL_BYTES));
      const through = events.at(-1)?.sequence;
      if (through === undefined) return;
      try {
        await cluster.create(ConfigMap, spillObject(clusterId, epoch, events), { fieldManager: FIELD_MANAGERS.agent });
      } catch (error) {
        if (!isStatus(error, "AlreadyExists")) throw error;
      }
      this.#handed = through;
      next = through + 1n;
    }
  }

  /** First and last numbers of ours that the agent has not taken yet, in order. */
  async #standing(epoch: bigint): Promise<readonly { readonly first: bigint; readonly through: bigint }[]> {
    const { items } = await this.#parts.cluster.list(ConfigMap, {
      namespace: NAMESPACES.ont,
      labelSelector: `${SPILL_LABEL}=true`,
    });
    const standing: { readonly first: bigint; readonly through: bigint }[] = [];
    for (const object of items) {
      const spilled = readSpill(object);
      const first = spilled?.events[0]?.sequence;
      const through = spilled?.events.at(-1)?.sequence;
      if (spilled?.epoch !== epoch || first === undefined || through === undefined) continue;
      standing.push({ first, through });
      if (through > this.#handed) this.#handed = through;
    }
    return standing.sort((a, b) => (a.first < b.first ? -1 : 1));
  }
}
