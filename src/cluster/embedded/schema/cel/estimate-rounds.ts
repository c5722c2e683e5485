import type { ASTNode } from "@marcbachmann/cel-js";
import type { SchemaNode } from "../schema-node.ts";
import { LOOPS } from "./cel-source.ts";

/** Largest request of kube-apiserver: what a list or map without a limit of its own may at most hold (`celconfig.MaxRequestSizeBytes`). */
const MAX_REQUEST_BYTES = 3 * 1024 * 1024;

/** Fewest bytes a value takes in JSON. */
function minBytes(schema: SchemaNode | undefined): number {
  switch (schema?.type) {
    case "boolean":
      return 4;
    case "integer":
    case "number":
      return 1;
    default:
      return 2;
  }
}

/** Most items a list or map of this schema may have; 1 for what is neither. */
export function maxItemsOf(schema: SchemaNode | undefined): number {
  if (schema?.type === "array") {
    return schema.limits.maxItems ?? Math.floor((MAX_REQUEST_BYTES - 2) / (minBytes(schema.items) + 1));
  }
  if (schema?.additional) {
    return schema.limits.maxProperties ?? Math.floor((MAX_REQUEST_BYTES - 2) / (minBytes(schema.additional) + 6));
  }
  return 1;
}

type Scope = ReadonlyMap<string, SchemaNode>;

/**
 * Rounds that the loops of an expression take at most, by the limits of the schema of `self`. A lower bound of what kube-apiserver estimates:
 * what is over the budget here is over it there.
 */
export function estimateRounds(ast: ASTNode, self: SchemaNode): number {
  return rounds(ast, new Map([["self", self]]));
}

function rounds(node: ASTNode, scope: Scope): number {
  if (node.op === "rcall") {
    const [name, receiver, args] = node.args;
    const own = rounds(receiver, scope);
    const [variable, ...bodies] = args;
    if (LOOPS.has(name) && variable?.op === "id") {
      const range = schemaOf(receiver, scope);
      const inner = new Map(scope);
      if (range?.items) inner.set(variable.args, range.items);
      else inner.delete(variable.args);
      const each = bodies.reduce((sum, body) => sum + rounds(body, inner), 0);
      return own + maxItemsOf(range) * Math.max(1, each);
    }
    return args.reduce((sum, arg) => sum + rounds(arg, scope), own);
  }
  return childrenOf(node).reduce((sum, child) => sum + rounds(child, scope), 0);
}

function childrenOf(node: ASTNode): readonly ASTNode[] {
  const found: ASTNode[] = [];
  const collect = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value as readonly unknown[]) collect(item);
    else if (isNode(value)) found.push(value);
  };
  collect(node.args);
  return found;
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === "object" && value !== null && "op" in value && "args" in value;
}

/** Schema of what an expression gives, as far as it is a way through the object. */
function schemaOf(node: ASTNode, scope: Scope): SchemaNode | undefined {
  switch (node.op) {
    case "id":
      return scope.get(node.args);
    case ".":
    case ".?": {
      const [object, name] = node.args;
      const schema = schemaOf(object, scope);
      return schema?.property(unescaped(name)) ?? schema?.additional;
    }
    case "[]":
    case "[?]": {
      const schema = schemaOf(node.args[0], scope);
      return schema?.items ?? schema?.additional;
    }
    case "rcall":
      return node.args[0] === "filter" ? schemaOf(node.args[1], scope) : undefined;
    default:
      return undefined;
  }
}

/** Property name behind its form in rules (see `celName`). */
function unescaped(name: string): string {
  const forms = { underscores: "__", dot: ".", dash: "-", slash: "/" } as const;
  return name.replaceAll(/__(underscores|dot|dash|slash)__/g, (_, word: keyof typeof forms) => forms[word]);
}
