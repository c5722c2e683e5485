import type { RequestUser } from "../../request-user.ts";
import { type JsonMap, member, memberMap, memberText } from "../json/mutable-json.ts";
import type { ServedResource } from "../resources/served-resource.ts";

/** A write as validating admission sees it (`admission.k8s.io/v1 AdmissionRequest`). */
export interface AdmissionRequest {
  readonly operation: "CREATE" | "UPDATE" | "DELETE";
  readonly resource: ServedResource;
  readonly subresource: "" | "status" | "scale" | "finalize";
  readonly name: string;
  /** Empty at the cluster scope; a Namespace is in itself. */
  readonly namespace: string;
  readonly user: RequestUser;
  /** What would be stored, in the version of the request; absent for DELETE. */
  readonly object: JsonMap | undefined;
  /** What is stored; absent for CREATE. */
  readonly oldObject: JsonMap | undefined;
  readonly dryRun: boolean;
  readonly fieldManager: string | undefined;
}

/** Writes that come from inside the process, as kube-apiserver's own do. */
const IN_PROCESS: RequestUser = { name: "system:apiserver", groups: ["system:authenticated", "system:masters"] };

/** Fills in what follows from the rest. */
export function admissionRequest(
  parts: Omit<AdmissionRequest, "name" | "namespace" | "user"> & { readonly user: RequestUser | undefined },
): AdmissionRequest {
  const metadata = memberMap(parts.object ?? parts.oldObject ?? {}, "metadata");
  const name = memberText(metadata, "name");
  const isNamespace = parts.resource.kind === "Namespace" && parts.resource.group === "";
  return {
    ...parts,
    name,
    namespace: isNamespace ? name : memberText(metadata, "namespace"),
    user: parts.user ?? IN_PROCESS,
  };
}

/** Labels of an object; without any the empty map. */
export function labelsOf(object: JsonMap | undefined): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  const found = object ? memberMap(memberMap(object, "metadata") ?? {}, "labels") : undefined;
  for (const name of Object.keys(found ?? {})) {
    const value = found ? member(found, name) : undefined;
    if (typeof value === "string") labels[name] = value;
  }
  return labels;
}
