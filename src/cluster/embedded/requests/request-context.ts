import { rfc3339Seconds, type Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import type { Unstructured } from "../../../api/object.ts";
import type { AdmissionCel } from "../admission/admission-cel.ts";
import type { Admission } from "../admission/admission.ts";
import type { BuiltinMembers } from "../resources/builtin-members.ts";
import type { ResourceRegistry } from "../resources/registry.ts";
import type { KindContext } from "../resources/served-resource.ts";
import type { CelEngine } from "../schema/cel/cel-engine.ts";
import type { ObjectStore } from "../store/object-store.ts";

/** What every request works with. */
export interface RequestContext {
  readonly store: ObjectStore;
  readonly registry: ResourceRegistry;
  readonly cel: CelEngine;
  readonly builtinMembers: BuiltinMembers;
  readonly admissionCel: AdmissionCel;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Judges what is about to be stored. */
  readonly admission: Admission;
}

/** `metav1.Time` of now. */
export function nowText(context: RequestContext): string {
  return rfc3339Seconds(context.clock.now());
}

/** The view of the cluster that kind rules get. */
export function kindContext(context: RequestContext): KindContext {
  return {
    now: context.clock.now(),
    random: () => context.random.next(),
    checkRule: (source, oldSelf, schema, root) => context.cel.check(source, oldSelf, schema, root),
    compileAdmission: (expression) => context.admissionCel.compile(expression).type,
    objects: (collection) => objectsOf(context, collection),
  };
}

function* objectsOf(context: RequestContext, id: string): Generator<Unstructured> {
  const collection = context.store.collection(id);
  for (const entry of collection.tipEntries()) yield entry.object;
}
