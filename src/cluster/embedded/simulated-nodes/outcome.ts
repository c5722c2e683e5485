import type { KubeObject, ObjectMeta } from "../../../api/object.ts";

/** Annotation on a workload or its pod template: how it shall end. */
export const OUTCOME_ANNOTATION = "simulated.seam.ontai.dev/outcome";

/** `ready` by the kind's rules, `fail` as broken workloads do, `hang` for ever on the way. */
export type Outcome = "ready" | "fail" | "hang";

function parse(text: string | undefined): Outcome | undefined {
  return text === "ready" || text === "fail" || text === "hang" ? text : undefined;
}

/** What the annotation asks for; the object's own goes before its template's. */
export function outcomeOf(object: KubeObject, template?: { readonly metadata?: Partial<ObjectMeta> }): Outcome {
  return (
    parse(object.metadata.annotations?.[OUTCOME_ANNOTATION]) ??
    parse(template?.metadata?.annotations?.[OUTCOME_ANNOTATION]) ??
    "ready"
  );
}
