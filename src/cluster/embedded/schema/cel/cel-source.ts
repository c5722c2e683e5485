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

/** Macros that evaluate an expression for each item of a list or map. */
export const LOOPS: ReadonlySet<string> = new Set(["all", "exists", "exists_one", "existsOne", "filter", "map"]);
/** Function that counts the rounds of loops against the budget of an evaluation; always true. */
export const COUNT_FUNCTION = "seamCountRound";

/** Arguments at the top level of a call. */
function argumentsOf(text: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const literal = at(LITERAL, text, i);
    if (literal !== "") {
      i += literal.length - 1;
      continue;
    }
    const c = text[i] ?? "";
    if ("([{".includes(c)) depth++;
    else if (")]}".includes(c)) depth--;
    else if (c === "," && depth === 0) {
      found.push(text.slice(start, i));
      start = i + 1;
    }
  }
  found.push(text.slice(start));
  return found;
}

/** Arguments of a loop, with each round counted: rules come from anybody, and nested loops over long lists would never end. */
function loopOf(macro: string, text: string): string {
  const [variable = "", ...rest] = argumentsOf(text);
  const [first = "", ...others] = rest.map(adaptSource);
  const transforms = macro === "map" && others.length === 0;
  const counted = transforms ? [`${COUNT_FUNCTION}()`, first] : [`${COUNT_FUNCTION}() && (${first})`, ...others];
  return rest.length === 0 ? text : [variable, ...counted].join(", ");
}

/**
 * Adapts a rule to what the CEL library lacks: `has` behind an index or call, a budget for loops, and `matches`, which becomes our own
 * reading of RE2 syntax that cannot be made to backtrack for ever. String literals are left alone.
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
    if (member && called && LOOPS.has(word)) {
      const end = behindClosing(source, open);
      adapted += `${word}(${loopOf(word, source.slice(open + 1, end - 1))})`;
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
