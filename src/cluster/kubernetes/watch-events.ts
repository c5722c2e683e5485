import { isJsonObject } from "../../base/json.ts";
import type { KubeObject } from "../../api/object.ts";
import { apiVersionOf, type ResourceType } from "../../api/resource-type.ts";
import type { WatchEvent } from "../cluster.ts";
import { errorOfStatus } from "../status-document.ts";
import type { SharedParts } from "./shared-parts.ts";

const INITIAL_EVENTS_END = "k8s.io/initial-events-end";

/**
 * One line of a watch stream as an event.
 *
 * @throws ApiStatusError for an ERROR event (410 Expired when the watcher must list again); Error for anything unknown
 */
export function watchEventOf<T extends KubeObject>(
  type: ResourceType<T>,
  line: unknown,
  shared: SharedParts,
): WatchEvent<T> {
  if (!isJsonObject(line) || !isJsonObject(line["object"]))
    throw new Error("a watch event is an object with type and object");
  const object = line["object"];
  switch (line["type"]) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      return { type: line["type"], object: typed(type, object, shared) };
    case "BOOKMARK": {
      const metadata = isJsonObject(object["metadata"]) ? object["metadata"] : {};
      const annotations = isJsonObject(metadata["annotations"]) ? metadata["annotations"] : {};
      return {
        type: "BOOKMARK",
        resourceVersion: typeof metadata["resourceVersion"] === "string" ? metadata["resourceVersion"] : "",
        initialEventsEnd: annotations[INITIAL_EVENTS_END] === "true",
      };
    }
    case "ERROR":
      throw errorOfStatus(typeof object["code"] === "number" ? object["code"] : 500, object);
    default:
      throw new Error(`unknown watch event type ${JSON.stringify(line["type"])}`);
  }
}

/** An object of a known type. Items of built-in lists come without apiVersion and kind; they are filled in here. */
export function typed<T extends KubeObject>(type: ResourceType<T>, value: unknown, shared?: SharedParts): T {
  if (!isJsonObject(value) || !isJsonObject(value["metadata"]))
    throw new Error("the API server sent something that is no object");
  const object =
    typeof value["kind"] === "string" ? value : { apiVersion: apiVersionOf(type), kind: type.kind, ...value };
  shared?.share(object);
  return object as unknown as T;
}
