import { setImmediate as turn } from "node:timers/promises";
import type { KubeObject } from "../../api/object.ts";
import type { Clock } from "../../base/clock.ts";
import type { ObjectList } from "../cluster.ts";
import { type Exchange, MIN_GZIP_BYTES } from "./exchange.ts";
import type { Presentation } from "./presentation.ts";

/** Text made in one turn of the event loop: about a millisecond of work. */
const PART_CHARACTERS = 128 * 1024;

/**
 * Answers with a list. A large one is made in parts, between which other requests have their turn, and is never held whole as text.
 *
 * @param signal aborts when the client goes or the server stops
 */
export async function sendList(
  exchange: Exchange,
  list: ObjectList<KubeObject>,
  shown: Presentation,
  parts: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  if (shown.encoding.encoding !== "json" || exchange.pretty || exchange.request.method === "HEAD") {
    exchange.send(200, shown.list(list), shown.encoding);
    return;
  }
  const text = listText(list, shown);
  const first = text.next();
  if (first.done === true) {
    exchange.sendText(200, first.value, shown.encoding.contentType);
    return;
  }
  const stream = exchange.stream(
    shown.encoding.contentType,
    first.value.length >= MIN_GZIP_BYTES,
    parts.clock,
    parts.signal,
  );
  try {
    let part: IteratorResult<string, string> = first;
    for (;;) {
      const taken = stream.write(part.value);
      if ((taken !== true && !(await taken)) || parts.signal.aborted || part.done === true) return;
      await turn();
      part = text.next();
    }
  } finally {
    stream.end();
  }
}

/** The JSON text in parts; what is returned is the last of them. */
function* listText(list: ObjectList<KubeObject>, shown: Presentation): Generator<string, string> {
  const { envelope, member, itemOf } = shown.listForm(list);
  let text = `${JSON.stringify(envelope).slice(0, -1)},"${member}":[`;
  let first = true;
  for (const item of list.items) {
    text += first ? JSON.stringify(itemOf(item)) : `,${JSON.stringify(itemOf(item))}`;
    first = false;
    if (text.length < PART_CHARACTERS) continue;
    yield text;
    text = "";
  }
  return `${text}]}\n`;
}
