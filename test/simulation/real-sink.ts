import { auditHash, gapEvent } from "../../src/federation/audit/audit-chain.ts";
import { AuditStore } from "../../src/federation/audit/audit-store.ts";
import type { AuditAppendResult, AuditSinkPosition } from "../../src/federation/hub/ports.ts";
import { must } from "./world.ts";

/** Hash before every event: the sink checks each event's own hash, and leaves the chain to whoever reads it. */
const PREVIOUS = new Uint8Array(32);

/** One event as simulated agents write it; `closes` when it is a record of lost numbers. */
export interface SimulatedEvent {
  readonly sequence: bigint;
  readonly text: string;
  readonly closes: readonly [bigint, bigint] | undefined;
}

/** The real audit store, in memory, beside the simulated sink of one tenant: takes the same batches and must give the same answers. */
export class RealSink {
  readonly #cluster: string;
  readonly #store: AuditStore;

  constructor(cluster: string) {
    this.#cluster = cluster;
    this.#store = AuditStore.open(":memory:");
  }

  /**
   * Appends a batch and compares the answer. `forked`: two logs give the same numbers; records of lost numbers then count differently,
   * and what is refused is compared alone.
   */
  append(epoch: bigint, events: readonly SimulatedEvent[], expected: AuditAppendResult, forked: boolean): void {
    this.#store.begin();
    const found = this.#store.append(this.#cluster, { epoch, events: events.map(sinkEvent) }, 0);
    this.#store.commit();
    const refused = (result: AuditAppendResult): string => result.rejected.map(({ sequence }) => sequence).join(" ");
    must(
      (forked || found.contiguousThrough === expected.contiguousThrough) && refused(found) === refused(expected),
      `${this.#cluster}: the real sink is at ${found.contiguousThrough} and refused [${refused(found)}], not at ` +
        `${expected.contiguousThrough} with [${refused(expected)}]`,
    );
  }

  /** Compares the resume point of a log. */
  check(epoch: bigint, expected: AuditSinkPosition): void {
    const { contiguousThrough } = this.#store.position(this.#cluster, epoch);
    must(
      contiguousThrough === expected.contiguousThrough,
      `${this.#cluster}: the real sink resumes at ${contiguousThrough}, not at ${expected.contiguousThrough}`,
    );
  }

  close(): void {
    this.#store.close();
  }
}

function sinkEvent({ sequence, text, closes }: SimulatedEvent): Parameters<AuditStore["append"]>[1]["events"][number] {
  const event =
    closes === undefined
      ? Buffer.from(JSON.stringify({ text }))
      : gapEvent({ from: closes[0], to: closes[1] }, "lost", `lost ${text}`);
  return { sequence, event, hash: auditHash(PREVIOUS, sequence, event), prevHash: PREVIOUS };
}
