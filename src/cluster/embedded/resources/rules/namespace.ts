import { cloneJson, ensureMap } from "../../json/mutable-json.ts";
import type { KindRules } from "../served-resource.ts";

/** Finalizer in `spec.finalizers` that the namespace life cycle removes when the contents are gone. */
export const NAMESPACE_FINALIZER = "kubernetes";

export const namespaceRules: KindRules = {
  prepareCreate(object) {
    ensureMap(object, "spec")["finalizers"] = [NAMESPACE_FINALIZER];
    object["status"] = { phase: "Active" };
  },
  prepareUpdate(object, old) {
    // spec.finalizers change only through the finalize subresource and by the namespace life cycle.
    if (old["spec"] === undefined) delete object["spec"];
    else object["spec"] = cloneJson(old["spec"]);
  },
  applyDefaults(object) {
    const metadata = ensureMap(object, "metadata");
    const name = metadata["name"];
    if (typeof name === "string") ensureMap(metadata, "labels")["kubernetes.io/metadata.name"] = name;
  },
};
