import { isDeepStrictEqual } from "node:util";
import { OutboxStore } from "../../src/federation/outbox/outbox-store.ts";
import type { StatePayload } from "../../src/federation/session/payload.ts";
import type { SpokeRecord, SpokeWrite } from "../../src/federation/session/spoke/record.ts";
import { must } from "./world.ts";

/** One change of an agent's store: what it takes to make it again. */
export type OutboxStep =
  | { readonly kind: "commit"; readonly writes: readonly SpokeWrite[] }
  | { readonly kind: "fact"; readonly key: string; readonly of: StatePayload["case"] }
  | { readonly kind: "audit"; readonly texts: readonly string[] };

/**
 * The real store of an agent, in memory, beside the simulated one: takes the same steps and must say the same at every start. It has no
 * copies; a backup is the list of its steps, and restoring one is taking them again.
 */
export class RealOutbox {
  readonly #cluster: string;
  #store: OutboxStore;

  constructor(cluster: string, storeId: string, auditEpoch: bigint, history: readonly OutboxStep[]) {
    this.#cluster = cluster;
    this.#store = OutboxStore.open({ path: ":memory:", storeId, auditEpoch });
    for (const step of history) this.take(step);
  }

  /** One transaction. */
  take(step: OutboxStep): void {
    const store = this.#store;
    store.begin();
    switch (step.kind) {
      case "commit":
        store.apply(step.writes, 0);
        break;
      case "fact":
        store.putFact(step.key, step.of, Buffer.from(step.key));
        break;
      case "audit":
        store.appendAudit(
          step.texts.map((text) => ({ event: Buffer.from(JSON.stringify({ text })), droppable: false })),
          0,
        );
    }
    store.commit();
  }

  /** A process starts: it must read back what the simulated store holds. */
  check(expected: SpokeRecord): void {
    const { audit, ...found } = this.#store.record();
    const { audit: expectedAudit, ...rest } = expected;
    for (const part of ["storeId", "term", "revocationSerial"] as const) this.#same(part, found[part], rest[part]);
    this.#same("index", found.index?.digest, rest.index?.digest);
    for (const part of ["epoch", "ackedThrough", "firstHeld", "last"] as const)
      this.#same(`audit ${part}`, audit[part], expectedAudit[part]);
    this.#same("items", byText(found.items), byText(rest.items));
    this.#same("bodies", byText(found.blobs), byText(rest.blobs));
    this.#same("reports", found.facts.map(factText).sort(), rest.facts.map(factText).sort());
  }

  /** The numbers of a batch, and whether each report is there to be read. */
  checkBatch(epoch: bigint, from: bigint, sequences: readonly bigint[]): void {
    const found = this.#store.loadAudit(epoch, from, Math.max(1, sequences.length), Infinity);
    if (sequences.length > 0)
      this.#same(
        "audit batch",
        found.map(({ sequence }) => sequence),
        sequences,
      );
  }

  checkFacts(keys: readonly string[], versions: ReadonlyMap<string, bigint>): void {
    const found = new Map(this.#store.loadFacts(keys).map(({ key, reportVersion }) => [key, reportVersion]));
    this.#same("loaded reports", found, versions);
  }

  close(): void {
    this.#store.close();
  }

  #same(what: string, found: unknown, expected: unknown): void {
    must(
      isDeepStrictEqual(found, expected),
      `${this.#cluster}: the real store has other ${what}: ${textOf(found)}, not ${textOf(expected)}`,
    );
  }
}

function factText({ key, kind, reportVersion }: SpokeRecord["facts"][number]): string {
  return `${kind} ${key}@${reportVersion}`;
}

/** Rows in an order of their own, without what JSON does not keep. */
function byText(rows: readonly object[]): readonly string[] {
  return rows.map((row) => JSON.stringify(sorted(row))).sort();
}

function sorted(row: object): object {
  return Object.fromEntries(
    Object.entries(row)
      .filter(([, value]) => value !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]: [string, unknown]) => [
        name,
        typeof value === "object" && value !== null && !Array.isArray(value) ? sorted(value) : value,
      ]),
  );
}

function textOf(value: unknown): string {
  return (
    JSON.stringify(value, (_, part: unknown) =>
      typeof part === "bigint" ? `${part}` : part instanceof Map ? [...part] : part,
    )?.slice(0, 400) ?? "nothing"
  );
}
