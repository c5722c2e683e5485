/** Longest pattern that is compiled; beyond it the API server's own limits would have refused the schema. */
const MAX_PATTERN_LENGTH = 64 * 1024;
/** Forms that RE2 does not know and that V8's linear engine cannot run. */
const NOT_RE2 = /\(\?(?:[=!]|<[=!])|\\[1-9]/;

/**
 * Compiles a Go (RE2) pattern for JavaScript: leading inline flags, `(?P<name>`, `\A`, `\z` and POSIX classes are the common forms that
 * differ. Undefined when JavaScript cannot express it; such a pattern is not checked. Plain mode comes first: only there can V8
 * change to its linear engine when a pattern backtracks without end (see `openEmbeddedCluster`).
 */
export function compilePattern(source: string): RegExp | undefined {
  if (source.length > MAX_PATTERN_LENGTH || NOT_RE2.test(source)) return undefined;
  const inline = /^\(\?([ims]+)\)/.exec(source);
  const flags = inline?.[1] ?? "";
  const body = translate(inline ? source.slice(inline[0].length) : source);
  for (const mode of source.includes("\\p{") ? ["u"] : ["", "u"]) {
    try {
      return new RegExp(body, flags + mode);
    } catch {
      continue; // the two modes disagree about escapes: the other one may take it
    }
  }
  return undefined;
}

function translate(source: string): string {
  return source
    .replaceAll("\\A", "^")
    .replaceAll("\\z", "$")
    .replaceAll("(?P<", "(?<")
    .replaceAll("[:alnum:]", "A-Za-z0-9")
    .replaceAll("[:alpha:]", "A-Za-z")
    .replaceAll("[:digit:]", "0-9")
    .replaceAll("[:lower:]", "a-z")
    .replaceAll("[:upper:]", "A-Z")
    .replaceAll("[:xdigit:]", "0-9A-Fa-f")
    .replaceAll("[:space:]", "\\s");
}
