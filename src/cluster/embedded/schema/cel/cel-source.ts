const LITERAL = /r?"""[^]*?"""|r?'''[^]*?'''|r"[^"\n]*"|r'[^'\n]*'|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/y;
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;

/** Text matched at `index`, or the empty string. */
function at(pattern: RegExp, source: string, index: number): string {
  pattern.lastIndex = index;
  return pattern.exec(source)?.[0] ?? "";
}

/** Index behind the parenthesis that closes the one at `open`; the end of the text when it is never closed. */
function behindClosing(source: string, open: number): number {
  let depth = 0;
  for (let i = open; i < source.length; i++) {
    const literal = at(LITERAL, source, i);
    if (literal !== "") {
      i += literal.length - 1;
      continue;
    }
    const c = source[i];
    if (c === "(") depth++;
    else if (c === ")" && --depth === 0) return i + 1;
  }
  return source.length;
}

/** `has(a[0].b)` as an optional selection: the library's macro only takes plain member chains. */
function hasOf(argument: string): string {
  const inner = adaptSource(argument);
  const parts = /^(?<object>[^]*?)\.\s*(?<field>[A-Za-z_][A-Za-z0-9_]*)\s*$/.exec(inner)?.groups;
  const object = parts?.["object"] ?? "";
  if (!/[[(]/.test(object)) return `has(${inner})`;
  return `((${object}).?${parts?.["field"] ?? ""}.hasValue())`;
}

/**
 * Adapts a rule to what the CEL library lacks: `has` behind an index or call, and `matches`, which becomes our own reading of RE2 syntax
 * that cannot be made to backtrack for ever. String literals are left alone.
 */
export function adaptSource(source: string): string {
  let adapted = "";
  for (let i = 0; i < source.length;) {
    const literal = at(LITERAL, source, i);
    if (literal !== "") {
      adapted += literal;
      i += literal.length;
      continue;
    }
    const word = at(WORD, source, i);
    if (word === "") {
      adapted += source[i];
      i++;
      continue;
    }
    const member = /\.\s*$/.test(adapted);
    const open = i + word.length + at(/\s*/y, source, i + word.length).length;
    const called = source[open] === "(";
    if (word === "has" && called && !member) {
      const end = behindClosing(source, open);
      adapted += hasOf(source.slice(open + 1, end - 1));
      i = end;
      continue;
    }
    adapted += word === "matches" && called && member ? "matchesRe2" : word;
    i += word.length;
  }
  return adapted;
}

/** Whether a rule names `oldSelf` outside its string literals. */
export function mentionsOldSelf(source: string): boolean {
  for (let i = 0; i < source.length;) {
    const literal = at(LITERAL, source, i);
    const word = literal === "" ? at(WORD, source, i) : "";
    if (word === "oldSelf") return true;
    i += Math.max(literal.length, word.length, 1);
  }
  return false;
}
