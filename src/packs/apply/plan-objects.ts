import type { DeployedResourceRef } from "../../api/kinds/deployed-resource-ref.ts";
import { ANNOTATIONS } from "../../api/names.ts";
import type { Unstructured } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import { errorMessage } from "../../base/errors.ts";
import type { JsonObject } from "../../base/json.ts";
import { isRetryable, isStatus } from "../../cluster/api-status-error.ts";
import { INJECTED_NAMESPACE } from "../artifact/assemble.ts";
import { groupOf, objectIdentity, objectText, type PackDocument } from "../artifact/pack-object.ts";
import { crdOf } from "../artifact/scope.ts";
import { plannedInventory } from "../order/execution-order.ts";
import { isNamespace } from "../order/kind-rank.ts";
import { ApplyFailure, type ObjectFailure } from "./apply-failure.ts";
import { concurrently } from "./concurrently.ts";
import { ADOPTED, desiredObject, ownerOf, PACK_FIELD_MANAGER } from "./ownership.ts";
import type { ApplyParts, PackApplication } from "./pack-application.ts";
import type { ResourceMapper } from "./resource-mapper.ts";

/** What is to be done about one document. */
export interface PlannedObject {
  readonly document: PackDocument;
  /** Body to apply. */
  readonly desired: JsonObject;
  readonly ref: DeployedResourceRef;
  /** Create: absent. Update: ours, force. Adopt: foreign, force by policy. Leave: an injected namespace that exists already. */
  readonly action: "create" | "update" | "adopt" | "leave";
  /** True when the live object carries this very content already. */
  readonly unchanged: boolean;
  readonly live?: Unstructured;
}

/**
 * Looks at every object on the target before anything is written (dispatcher §8.3 step 5): whose is it, is its kind served, may it be
 * adopted. All problems are found, not only the first.
 *
 * @throws ApplyFailure `KindNotServed`, `AdoptionRefused` (not retryable), `TargetUnreachable` (retryable)
 */
export async function planObjects(
  parts: ApplyParts,
  mapper: ResourceMapper,
  application: PackApplication,
  documents: readonly PackDocument[],
): Promise<ReadonlyMap<string, PlannedObject>> {
  const refs = new Map(
    plannedInventory(documents, application.executionOrder).map((ref) => [
      `${groupOf(ref)}/${ref.kind}/${ref.namespace ?? ""}/${ref.name}`,
      ref,
    ]),
  );
  const fromPack = new Set(
    documents.flatMap(({ object }) => {
      const crd = crdOf(object);
      return crd ? [`${crd.group}/${crd.kind}`] : [];
    }),
  );
  const planned = new Map<string, PlannedObject>();
  const failures = { kind: [] as ObjectFailure[], adoption: [] as ObjectFailure[] };
  await concurrently(documents, async (document) => {
    parts.signal.throwIfAborted();
    const { object } = document;
    const identity = objectIdentity(object);
    const who = objectText({ kind: object.kind, ...object.metadata });
    const ref = refs.get(identity);
    if (ref === undefined) throw new Error(`${who} is missing from its own plan`);
    const type = await mapper.find(object);
    if (type === undefined && !fromPack.has(`${groupOf(object)}/${object.kind}`)) {
      failures.kind.push({ object: who, message: `the cluster serves no kind ${object.kind} in ${object.apiVersion}` });
      return;
    }
    const live = type && (await getLive(parts, type, object.metadata, who));
    const action = actionFor(application, document, live);
    if (action === "refuse") {
      failures.adoption.push({ object: who, message: `exists and is not this pack's${ownerText(live)}` });
      return;
    }
    const adopted = action === "adopt" || live?.metadata.annotations?.[ADOPTED] === "true";
    planned.set(identity, {
      document,
      desired: desiredObject(document, application, adopted),
      ref,
      action,
      unchanged: action === "update" && live?.metadata.annotations?.[ANNOTATIONS.contentHash] === document.contentHash,
      ...(live === undefined ? {} : { live }),
    });
  });
  const refused = { step: "plan", category: "ValidationFailure", retryable: false } as const;
  if (failures.kind.length > 0)
    throw new ApplyFailure({
      ...refused,
      reason: "KindNotServed",
      failures: failures.kind,
      remedy: "install what serves these kinds first, or correct their apiVersion",
    });
  if (failures.adoption.length > 0)
    throw new ApplyFailure({
      ...refused,
      reason: "AdoptionRefused",
      failures: failures.adoption,
      remedy: "remove the objects, or set lifecyclePolicies.adoption to Adopt",
    });
  return planned;
}

async function getLive(
  parts: ApplyParts,
  type: ResourceType,
  key: { readonly namespace?: string; readonly name: string },
  who: string,
): Promise<Unstructured | undefined> {
  try {
    return await parts.cluster.get(
      type,
      type.namespaced && key.namespace ? { namespace: key.namespace, name: key.name } : { name: key.name },
    );
  } catch (error) {
    if (isStatus(error, "NotFound")) return undefined;
    const retryable = isRetryable(error);
    throw new ApplyFailure({
      step: "plan",
      reason: retryable ? "TargetUnreachable" : "ReadRefused",
      category: "ExternalDependencyFailure",
      retryable,
      failures: [{ object: who, message: errorMessage(error) }],
    });
  }
}

function actionFor(
  application: PackApplication,
  { object }: PackDocument,
  live: Unstructured | undefined,
): PlannedObject["action"] | "refuse" {
  if (live === undefined) return "create";
  if (ownerOf(live, application.packInstalled) === "ours") return "update";
  // An injected namespace only has to exist: several packs may need the same one, and none of them may own it over the others.
  if (isNamespace(object) && object.metadata.annotations?.[INJECTED_NAMESPACE] === "true") return "leave";
  return application.lifecyclePolicies.adoption === "Adopt" ? "adopt" : "refuse";
}

function ownerText(live: Unstructured | undefined): string {
  const managers = [...new Set((live?.metadata.managedFields ?? []).map((entry) => entry.manager))];
  const others = managers.filter((manager) => manager !== PACK_FIELD_MANAGER);
  return others.length === 0 ? "" : ` (written by ${others.slice(0, 3).join(", ")})`;
}
