/** Duplicates named in one answer. */
const MAX_REPORTED = 100;

interface Level {
  /** Undefined for an array. */
  readonly seen: Set<string> | undefined;
  /** Path of the value at this level. */
  readonly path: string;
  key: string;
  index: number;
}

/**
 * Paths of members that stand more than once in one object, such as `data.a`: `JSON.parse` keeps the last silently.
 *
 * @param text valid JSON; anything else gives an unspecified list
 */
export function duplicateMembers(text: string): readonly string[] {
  const found = new Set<string>();
  const stack: Level[] = [];
  let expectsKey = false;
  for (let i = 0; i < text.length; i++) {
    const level = stack.at(-1);
    switch (text.charCodeAt(i)) {
      case 0x22: {
        const end = endOfString(text, i);
        if (expectsKey && level?.seen !== undefined) {
          const key = memberName(text.slice(i, end + 1));
          if (level.seen.has(key) && found.size < MAX_REPORTED)
            found.add(level.path === "" ? key : `${level.path}.${key}`);
          level.seen.add(key);
          level.key = key;
          expectsKey = false;
        }
        i = end;
        break;
      }
      case 0x7b: // {
        stack.push({ seen: new Set(), path: pathIn(level), key: "", index: 0 });
        expectsKey = true;
        break;
      case 0x5b: // [
        stack.push({ seen: undefined, path: pathIn(level), key: "", index: 0 });
        expectsKey = false;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        stack.pop();
        expectsKey = false;
        break;
      case 0x2c: // ,
        if (level !== undefined) level.index++;
        expectsKey = level?.seen !== undefined;
        break;
      default:
    }
  }
  return [...found];
}

function pathIn(level: Level | undefined): string {
  if (level === undefined) return "";
  if (level.seen === undefined) return `${level.path}[${level.index}]`;
  return level.path === "" ? level.key : `${level.path}.${level.key}`;
}

/** Index of the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  for (let from = start + 1; ;) {
    const quote = text.indexOf('"', from);
    if (quote < 0) return text.length;
    let backslashes = 0;
    while (text.charCodeAt(quote - 1 - backslashes) === 0x5c) backslashes++;
    if (backslashes % 2 === 0) return quote;
    from = quote + 1;
  }
}

function memberName(literal: string): string {
  return literal.includes("\\") ? String(JSON.parse(literal)) : literal.slice(1, -1);
}
