/** Byte value of the line feed that ends each watch event. */
const LINE_FEED = 0x0a;

/**
 * Parses a stream of JSON values, one per line, as they arrive. Pulls the next chunk only when all values of the last one were
 * taken, so a slow reader slows the sender through TCP.
 *
 * @param maxLineBytes a longer line is an error: nothing may grow without bound
 * @throws Error for a line that is too long, is no JSON, or is cut off by the end of the stream
 */
export async function* jsonLines(chunks: AsyncIterable<Uint8Array>, maxLineBytes: number): AsyncGenerator {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      pending.push(chunk.subarray(start, end));
      pendingBytes += end - start;
      start = end + 1;
      checkLength(pendingBytes, maxLineBytes);
      const line = pending.length === 1 ? (pending[0] ?? new Uint8Array()) : Buffer.concat(pending, pendingBytes);
      pending = [];
      pendingBytes = 0;
      if (line.length > 0) yield parse(line);
    }
    if (start < chunk.length) {
      pending.push(chunk.subarray(start));
      pendingBytes += chunk.length - start;
      checkLength(pendingBytes, maxLineBytes);
    }
  }
  const rest = Buffer.concat(pending, pendingBytes);
  if (rest.toString("utf8").trim() !== "") throw new Error(`the stream ended within a line of ${pendingBytes} bytes`);
}

function checkLength(bytes: number, max: number): void {
  if (bytes > max) throw new Error(`a line of the stream is longer than ${max} bytes`);
}

function parse(line: Uint8Array): unknown {
  const text = Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString("utf8");
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`a line of the stream is not JSON: ${text.slice(0, 80)}`, { cause });
  }
}
