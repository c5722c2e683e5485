import { cloneJson, ensureMap, isMap, type JsonMap, member, memberMap, memberText } from "../../json/mutable-json.ts";
import { type FieldError, invalidValue, required } from "../../status-errors.ts";
import { collectionId, type KindContext, type KindRules } from "../served-resource.ts";

/** Service addresses come from 10.96.0.0/16, as kubeadm's default range begins. */
const ADDRESSES = 65_534;
const NODE_PORT_FIRST = 30_000;
const NODE_PORTS = 2_768;

function addressAt(index: number): string {
  return `10.96.${index >> 8}.${index & 255}`;
}

/** First free value at or after a random start. */
function allocate(count: number, context: KindContext, used: ReadonlySet<number>): number | undefined {
  const start = Math.floor(context.random() * count);
  for (let i = 0; i < count; i++) {
    const candidate = (start + i) % count;
    if (!used.has(candidate)) return candidate;
  }
  return undefined;
}

function services(context: KindContext): JsonMap[] {
  const specs: JsonMap[] = [];
  for (const service of context.objects(collectionId("", "services"))) {
    const spec = service["spec"];
    if (typeof spec === "object" && spec !== null) specs.push(spec as JsonMap);
  }
  return specs;
}

function allocateAddress(spec: JsonMap, context: KindContext): void {
  const used = new Set<number>();
  for (const other of services(context)) {
    const parts = memberText(other, "clusterIP").split(".").map(Number);
    if (parts[0] === 10 && parts[1] === 96) used.add((parts[2] ?? 0) * 256 + (parts[3] ?? 0) - 1);
  }
  const index = allocate(ADDRESSES, context, used);
  if (index !== undefined) spec["clusterIP"] = addressAt(index + 1);
}

function allocateNodePorts(ports: readonly JsonMap[], context: KindContext): void {
  const used = new Set<number>();
  for (const other of services(context)) {
    const list = other["ports"];
    if (!Array.isArray(list)) continue;
    for (const port of list) if (isMap(port)) used.add(Number(port["nodePort"]) - NODE_PORT_FIRST);
  }
  for (const port of ports) {
    if (port["nodePort"] !== undefined) continue;
    const index = allocate(NODE_PORTS, context, used);
    if (index === undefined) continue;
    used.add(index);
    port["nodePort"] = NODE_PORT_FIRST + index;
  }
}

/** Allocated fields that a client may leave out of an update: they keep their value (core service `patchAllocatedValues`). */
function keepAllocated(object: JsonMap, old: JsonMap): void {
  const spec = ensureMap(object, "spec");
  const before = memberMap(old, "spec") ?? {};
  if ((spec["type"] ?? "ClusterIP") === "ExternalName" || before["type"] === "ExternalName") return;
  for (const field of ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]) {
    const kept = member(before, field);
    if (kept !== undefined && !spec[field]) spec[field] = cloneJson(kept);
  }
  if (spec["type"] !== "NodePort" && spec["type"] !== "LoadBalancer") return;
  const oldPorts = Array.isArray(before["ports"]) ? before["ports"].filter(isMap) : [];
  for (const port of Array.isArray(spec["ports"]) ? spec["ports"].filter(isMap) : []) {
    const same = oldPorts.find(
      (other) => other["port"] === port["port"] && (other["protocol"] ?? "TCP") === (port["protocol"] ?? "TCP"),
    );
    if (port["nodePort"] === undefined && same?.["nodePort"] !== undefined) port["nodePort"] = same["nodePort"];
  }
}

export const serviceRules: KindRules = {
  prepareUpdate: keepAllocated,
  applyDefaults(object, context) {
    const spec = ensureMap(object, "spec");
    const ports = Array.isArray(spec["ports"]) ? spec["ports"].filter(isMap) : [];
    for (const port of ports)
      if (port["targetPort"] === undefined && port["port"] !== undefined) port["targetPort"] = port["port"];
    if (spec["type"] === "ExternalName") return;
    spec["internalTrafficPolicy"] ??= "Cluster";
    if (!spec["clusterIP"]) allocateAddress(spec, context);
    if (typeof spec["clusterIP"] === "string") spec["clusterIPs"] ??= [spec["clusterIP"]];
    // A headless Service without selector takes every family: its addresses are somebody else's.
    const everyFamily = spec["clusterIP"] === "None" && member(spec, "selector") === undefined;
    spec["ipFamilies"] ??= everyFamily ? ["IPv4", "IPv6"] : ["IPv4"];
    spec["ipFamilyPolicy"] ??= everyFamily ? "RequireDualStack" : "SingleStack";
    if (spec["type"] === "NodePort" || spec["type"] === "LoadBalancer") {
      spec["externalTrafficPolicy"] ??= "Cluster";
      if (spec["type"] === "LoadBalancer") spec["allocateLoadBalancerNodePorts"] ??= true;
      allocateNodePorts(ports, context);
    }
  },
  validate(object, old) {
    const errors: FieldError[] = [];
    const spec = memberMap(object, "spec") ?? {};
    const ports = Array.isArray(spec["ports"]) ? spec["ports"] : [];
    if (spec["type"] === "ExternalName") {
      if (!spec["externalName"]) errors.push(required("spec.externalName"));
    } else if (ports.length === 0 && spec["clusterIP"] !== "None") {
      errors.push(required("spec.ports"));
    }
    if (ports.length > 1) {
      ports.forEach((port, i) => {
        if (isMap(port) && !port["name"]) errors.push(required(`spec.ports[${i}].name`));
      });
    }
    const before = old ? memberMap(old, "spec") : undefined;
    if (before?.["clusterIP"] && spec["type"] !== "ExternalName" && before["clusterIP"] !== spec["clusterIP"]) {
      errors.push(invalidValue("spec.clusterIPs[0]", spec["clusterIP"], "may not change once set"));
    }
    return errors;
  },
};
