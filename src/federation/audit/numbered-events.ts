import type { ConfigMapObject } from "../../api/builtin.ts";

/** Events of one numbering, as they were read. */
export interface NumberedEvents<Event> {
  readonly epoch: bigint;
  /** At least one. */
  readonly events: readonly ({ readonly sequence: bigint } & Event)[];
}

/** Decimal, below 2⁶³. */
const NUMBER = /^[0-9]{1,18}$/;

/**
 * Reads a list of numbered events from a ConfigMap (`data.epoch`, `data.events`); undefined when anything in it is not what was written: all
 * of it counts or nothing.
 *
 * @param readEvent what an entry has beside its number; undefined when it is not that
 */
export function readNumberedEvents<Event extends object>(
  { data }: ConfigMapObject,
  readEvent: (entry: Readonly<Record<string, unknown>>) => Event | undefined,
): NumberedEvents<Event> | undefined {
  const { epoch = "", events = "" } = data ?? {};
  let list: unknown;
  try {
    list = JSON.parse(events);
  } catch {
    return undefined; // somebody wrote something else there: the caller says so and leaves it
  }
  if (!NUMBER.test(epoch) || !Array.isArray(list) || list.length === 0) return undefined;
  const read: ({ readonly sequence: bigint } & Event)[] = [];
  for (const entry of list as readonly unknown[]) {
    if (typeof entry !== "object" || entry === null) return undefined;
    const fields = entry as Readonly<Record<string, unknown>>;
    const { sequence } = fields;
    if (typeof sequence !== "string" || !NUMBER.test(sequence)) return undefined;
    const event = readEvent(fields);
    if (event === undefined) return undefined;
    read.push({ sequence: BigInt(sequence), ...event });
  }
  return { epoch: BigInt(epoch), events: read };
}
