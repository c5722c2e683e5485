import type { KubeObject } from "../../../api/object.ts";
import { matchesFields, parseFieldSelector } from "./field-selector.ts";
import { matchesLabels, parseLabelSelector } from "./label-selector.ts";

/** The part of a list or watch that decides per object. */
export interface SelectorText {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/** Decides whether an object belongs to a list or watch; undefined selects everything. */
export type Selector = ((object: KubeObject) => boolean) | undefined;

/** Compiles namespace, label and field selectors into one predicate. @throws ApiStatusError 400 */
export function compileSelector(text: SelectorText, selectableFields: ReadonlySet<string>, custom: boolean): Selector {
  const labels = parseLabelSelector(text.labelSelector ?? "");
  const fields = parseFieldSelector(text.fieldSelector ?? "", selectableFields, custom);
  const { namespace } = text;
  if (!namespace && labels.length === 0 && fields.length === 0) return undefined;
  return (object) =>
    (!namespace || object.metadata.namespace === namespace) &&
    (labels.length === 0 || matchesLabels(labels, object.metadata.labels)) &&
    (fields.length === 0 || matchesFields(fields, object));
}
