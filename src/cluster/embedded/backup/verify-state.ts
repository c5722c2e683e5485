import type { Unstructured } from "../../../api/object.ts";
import { errorMessage } from "../../../base/errors.ts";
import { isJsonObject, type JsonValue } from "../../../base/json.ts";
import { asCrd, CRD_COLLECTION } from "../crd/crd-controller.ts";
import { cloneMap } from "../json/mutable-json.ts";
import { builtinResources } from "../resources/builtin-table.ts";
import { customResourceDefinitionRules } from "../resources/rules/custom-resource-definition.ts";
import { collectionId, type KindContext } from "../resources/served-resource.ts";
import { CelEngine } from "../schema/cel/cel-engine.ts";
import { storageKey } from "../store/collection.ts";
import type { Revision } from "../store/revision.ts";
import { openState, type StateFile } from "./state-file.ts";

/** What the stored state of a cluster holds and what is wrong with it. */
export interface StateReport {
  readonly file: string;
  readonly bytes: number;
  /** Version of the newest write. */
  readonly version: number;
  /** Objects by resource (`group/resource`), in the order of their names. */
  readonly objects: Readonly<Record<string, number>>;
  /** Rows of the revision log: objects and watch history. */
  readonly revisions: number;
  /** Empty for a state that can be used. */
  readonly problems: readonly string[];
}

/** Problems that are listed one by one; the rest is counted. */
const MAX_PROBLEMS = 50;

/**
 * Reads a backup or the directory of a cluster that does not run, whole: SQLite's integrity check, every row decodes into the object that
 * its key names, versions follow each other without a gap, every kind is known, every CRD is valid.
 *
 * @throws SeamError when it cannot be read at all (see {@link openState})
 */
export function verifyState(path: string): StateReport {
  const state = openState(path);
  try {
    return reportOf(state);
  } finally {
    state.close();
  }
}

function reportOf(state: StateFile): StateReport {
  const broken = state.integrity();
  const check = new StateCheck(state.positions().compacted);
  for (const line of broken) check.problem(`SQLite: ${line}`);
  if (broken.length === 0) for (const chunk of state.revisions()) for (const revision of chunk) check.take(revision);
  return { file: state.file, bytes: state.bytes, version: state.positions().version, ...check.finish() };
}

class StateCheck {
  readonly #compacted: number;
  readonly #problems: string[] = [];
  #more = 0;
  #revisions = 0;
  #last: number;
  /** Version of the newest row per place, with what is needed of the objects later. */
  readonly #live = new Map<string, { readonly version: number; readonly collection: string }>();
  readonly #crds = new Map<string, Unstructured>();

  constructor(compacted: number) {
    this.#compacted = compacted;
    this.#last = compacted;
  }

  problem(text: string): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(text);
    else this.#more++;
  }

  take(revision: Revision): void {
    this.#revisions++;
    const { version, collection, namespace, name, deleted } = revision;
    const place = `${collection} ${storageKey(namespace, name)}`;
    if (version > this.#compacted) {
      if (version !== this.#last + 1) {
        this.problem(`version ${version} (${place}) follows ${this.#last}: what is between them is missing`);
      }
      this.#last = version;
    } else if (deleted || this.#live.has(place)) {
      this.problem(`version ${version} (${place}) should have been dropped when history was compacted`);
    }
    const object = this.#decode(revision, place);
    if (deleted) {
      this.#live.delete(place);
      this.#crds.delete(place);
    } else {
      this.#live.set(place, { version, collection });
      if (collection === CRD_COLLECTION && object) this.#crds.set(place, object);
    }
  }

  #decode({ version, collection, namespace, name, body }: Revision, place: string): Unstructured | undefined {
    let value: JsonValue;
    try {
      value = JSON.parse(body) as JsonValue;
    } catch (error) {
      this.problem(`version ${version} (${place}) does not decode: ${errorMessage(error)}`);
      return undefined;
    }
    const metadata = isJsonObject(value) && isJsonObject(value["metadata"]) ? value["metadata"] : {};
    if (!isJsonObject(value) || typeof value["kind"] !== "string" || typeof value["apiVersion"] !== "string") {
      this.problem(`version ${version} (${place}) is no object with apiVersion and kind`);
      return undefined;
    }
    const slash = value["apiVersion"].indexOf("/");
    const group = slash < 0 ? "" : value["apiVersion"].slice(0, slash);
    const wrong =
      metadata["name"] !== name || (metadata["namespace"] ?? "") !== namespace
        ? "is stored under another name than its own"
        : metadata["resourceVersion"] !== String(version)
          ? `says that its version is ${JSON.stringify(metadata["resourceVersion"])}`
          : typeof metadata["uid"] !== "string" || metadata["uid"] === ""
            ? "has no uid"
            : !collection.startsWith(`${group}/`)
              ? `is of group ${JSON.stringify(group)}`
              : undefined;
    if (wrong) this.problem(`version ${version} (${place}) ${wrong}`);
    return value as unknown as Unstructured;
  }

  finish(): Pick<StateReport, "objects" | "revisions" | "problems"> {
    const known = new Set(builtinResources().map((resource) => resource.collection));
    for (const [place, object] of this.#crds) {
      const crd = asCrd(object);
      try {
        known.add(collectionId(crd.spec.group, crd.spec.names.plural));
        for (const { field, message } of crdErrors(object)) this.problem(`${place}: ${field}: ${message}`);
      } catch (error) {
        this.problem(`${place} cannot be read as a CRD: ${errorMessage(error)}`);
      }
    }
    const objects: Record<string, number> = {};
    for (const { collection } of this.#live.values()) objects[collection] = (objects[collection] ?? 0) + 1;
    for (const [collection, count] of Object.entries(objects)) {
      if (!known.has(collection)) this.problem(`${count} objects of ${collection}, which no CRD defines`);
    }
    const rest = this.#more > 0 ? [`and ${this.#more} more`] : [];
    return {
      objects: Object.fromEntries(Object.entries(objects).toSorted(([a], [b]) => (a < b ? -1 : 1))),
      revisions: this.#revisions,
      problems: [...this.#problems, ...rest],
    };
  }
}

/** A CRD is judged alone: names that two of them want were decided when they were written. */
function crdErrors(object: Unstructured): ReturnType<NonNullable<typeof customResourceDefinitionRules.validate>> {
  const cel = new CelEngine();
  const context: KindContext = {
    now: 0,
    random: () => 0,
    checkRule: (source, oldSelf, schema, root) => cel.check(source, oldSelf, schema, root),
    compileAdmission: () => "dyn",
    objects: () => [],
  };
  return customResourceDefinitionRules.validate?.(cloneMap(object), undefined, context) ?? [];
}
