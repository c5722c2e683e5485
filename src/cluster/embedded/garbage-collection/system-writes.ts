import type { ObjectKey } from "../../../api/object.ts";
import { isStatus } from "../../api-status-error.ts";
import { ensureMap, type JsonMap } from "../json/mutable-json.ts";
import { finalizersOf } from "../metadata/validate-metadata.ts";
import type { RequestContext } from "../requests/request-context.ts";
import { changeObject } from "../requests/update.ts";
import type { ServedResource } from "../resources/served-resource.ts";

/** Changes the metadata of the object that still has this uid, as the system itself. */
export async function editMetadata(
  context: RequestContext,
  resource: ServedResource,
  key: ObjectKey,
  uid: string | undefined,
  edit: (metadata: JsonMap, object: JsonMap) => void,
): Promise<void> {
  await changeObject(
    context,
    resource,
    key,
    {},
    {
      mutate: (current) => {
        const metadata = ensureMap(current, "metadata");
        if (uid !== undefined) metadata["uid"] = uid; // the write path refuses it when it is another object by now
        edit(metadata, current);
        return current;
      },
      track: () => {},
      subresource: "",
    },
  );
}

export function dropFinalizer(metadata: JsonMap, finalizer: string): void {
  const rest = finalizersOf(metadata).filter((name) => name !== finalizer);
  if (rest.length > 0) metadata["finalizers"] = rest;
  else delete metadata["finalizers"];
}

/** The object went away or became another one meanwhile: what was wanted has happened. */
export async function ignoringGone(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isStatus(error, "NotFound", "Conflict")) throw error;
  }
}
