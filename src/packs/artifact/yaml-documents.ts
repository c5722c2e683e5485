import { LineCounter, type ParsedNode, isScalar, parseAllDocuments, visit, type Document } from "yaml";
import type { JsonValue } from "../../base/json.ts";
import { errorMessage } from "../../base/errors.ts";
import type { PackProblem } from "./pack-problem.ts";

/** One document of a YAML stream with where it starts. */
export interface YamlDocument {
  readonly value: JsonValue;
  readonly file: string;
  /** Line of its first content, from 1. */
  readonly line: number;
}

/** Documents of one file, and everything wrong with it. */
export interface YamlParse {
  readonly documents: readonly YamlDocument[];
  readonly problems: readonly PackProblem[];
  readonly warnings: readonly PackProblem[];
}

/** Times one anchor may multiply by its aliases before the file counts as an alias bomb. */
const MAX_ALIASES = 100;

/** How the parser says that it ran out of stack. */
const TOO_DEEP = /call stack/i;

const BOOLEAN_WORDS = /^(true|True|TRUE|false|False|FALSE)$/;

/**
 * Reads a YAML stream as kubectl does: YAML 1.1 (an unquoted `0644` is octal, `yes` is true), but without timestamps, base-60 numbers
 * and the YAML-only collection types, which JSON does not have. Words that YAML 1.1 alone takes for booleans are warned about.
 */
export function parseYaml(text: string, file: string): YamlParse {
  const lines = new LineCounter();
  const problems: PackProblem[] = [];
  const warnings: PackProblem[] = [];
  const documents: YamlDocument[] = [];
  const lineAt = (offset: number): number => Math.max(1, lines.linePos(offset).line);
  const stream: readonly Document.Parsed[] = parseAllDocuments(text, {
    version: "1.1",
    lineCounter: lines,
    prettyErrors: false,
    strict: true,
    uniqueKeys: true,
    logLevel: "error",
    customTags: (tags) => tags.filter((tag) => typeof tag === "string" || isJsonTag(tag)),
  });
  for (const document of stream) {
    const faults = [...document.errors, ...document.warnings];
    if (faults.some(({ message }) => TOO_DEEP.test(message))) {
      problems.push(tooDeep(file));
      break; // the parser has lost its place
    }
    for (const { message, pos } of faults) problems.push(yamlProblem(file, lineAt(pos[0]), message));
    const contents: ParsedNode | null = document.contents;
    if (document.errors.length + document.warnings.length > 0 || contents === null || isNullScalar(contents)) continue;
    warnAboutWords(document, file, lineAt, warnings);
    const line = lineAt(contents.range[0]);
    try {
      documents.push({ value: document.toJS({ maxAliasCount: MAX_ALIASES }) as JsonValue, file, line });
    } catch (error) {
      problems.push({
        file,
        line,
        reason: "AliasBomb",
        text: `YAML aliases expand too far (${errorMessage(error)})`,
        remedy: "write the repeated parts out, or use fewer aliases",
      });
    }
  }
  return { documents, problems, warnings };
}

/** True when a scalar of this tag is a JSON value. `format: TIME` are base-60 numbers. */
function isJsonTag(tag: { readonly tag: string; readonly format?: string }): boolean {
  const name = tag.tag.replace("tag:yaml.org,2002:", "");
  return tag.format !== "TIME" && !["timestamp", "binary", "omap", "pairs", "set"].includes(name);
}

function isNullScalar(node: ParsedNode): boolean {
  return isScalar(node) && node.value === null;
}

function tooDeep(file: string): PackProblem {
  return {
    file,
    line: 1,
    reason: "TooDeep",
    text: "nests deeper than any Kubernetes object",
    remedy: "flatten it; no API server reads it",
  };
}

function yamlProblem(file: string, line: number, message: string): PackProblem {
  return {
    file,
    line,
    reason: "YamlError",
    text: `YAML error: ${message}`,
    remedy: "correct the YAML; `kubectl apply --dry-run=client -f` shows whether it reads",
  };
}

function warnAboutWords(
  document: Document.Parsed,
  file: string,
  lineAt: (offset: number) => number,
  warnings: PackProblem[],
): void {
  visit(document, {
    Scalar: (_key, node) => {
      if (typeof node.value !== "boolean" || node.source === undefined || BOOLEAN_WORDS.test(node.source)) return;
      warnings.push({
        file,
        line: lineAt(node.range?.[0] ?? 0),
        reason: "AmbiguousBoolean",
        text: `unquoted ${node.source} is read as ${String(node.value)} (YAML 1.1, as kubectl reads it)`,
        remedy: `write "${node.source}" for the word or ${String(node.value)} for the boolean`,
      });
    },
  });
}

/** True when the text of a layer's document is a JSON object: how our own artifacts are written, parsed far faster. */
export function looksLikeJson(text: string): boolean {
  return text.trimStart().startsWith("{");
}
