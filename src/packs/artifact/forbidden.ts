import { crdOf } from "./scope.ts";
import { groupOf, type PackObject } from "./pack-object.ts";

const GROUPS = new Set(["seam.ontai.dev", "guardian.ontai.dev", "platform.ontai.dev"]);
const KINDS = new Set(["/Node", "certificates.k8s.io/CertificateSigningRequest"]);

/** True for a namespace that no pack may touch (dispatcher §8.8). */
export function isForbiddenNamespace(namespace: string): boolean {
  return namespace === "ont-system" || namespace.startsWith("seam-");
}

/** What is forbidden about an object, in words that follow "a pack may not hold"; undefined when nothing is (dispatcher §8.8). */
export function forbiddenBecause(object: PackObject): string | undefined {
  const group = groupOf(object);
  const { namespace, name } = object.metadata;
  if (GROUPS.has(group)) return `objects of group ${group}`;
  if (KINDS.has(`${group}/${object.kind}`)) return `objects of kind ${object.kind}`;
  if (namespace !== undefined && isForbiddenNamespace(namespace)) return `objects in namespace ${namespace}`;
  if (group === "" && object.kind === "Namespace" && isForbiddenNamespace(name)) return `the namespace ${name}`;
  const crd = crdOf(object);
  if (crd && GROUPS.has(crd.group)) return `a CustomResourceDefinition of group ${crd.group}`;
  return undefined;
}
