import { isJsonObject, type JsonObject, type JsonValue } from "../../../base/json.ts";
import { AGE, column, NAME, wide } from "./columns.ts";
import { labelsText, selectorText } from "./selector-text.ts";
import { at, listAt, numberAt, orNone, type TableColumn, textAt } from "./table-column.ts";

/** Addresses or ports named in one cell before it says how many more there are. */
const MAX_SHOWN = 3;

function servicePorts(object: JsonObject): string {
  return orNone(
    listAt(object, "spec", "ports")
      .map((port) => {
        const node = numberAt(port, "nodePort");
        return `${textAt(port, "port")}${node > 0 ? `:${node}` : ""}/${textAt(port, "protocol") || "TCP"}`;
      })
      .join(","),
  );
}

function ingressPoints(object: JsonObject): string {
  return listAt(object, "status", "loadBalancer", "ingress")
    .map((point) => textAt(point, "ip") || textAt(point, "hostname"))
    .filter((text) => text !== "")
    .join(",");
}

function serviceExternal(object: JsonObject): string {
  const external = listAt(object, "spec", "externalIPs").map(String);
  switch (textAt(object, "spec", "type")) {
    case "LoadBalancer": {
      const points = ingressPoints(object);
      return [...(points === "" ? [] : [points]), ...external].join(",") || "<pending>";
    }
    case "ExternalName":
      return textAt(object, "spec", "externalName");
    default:
      return orNone(external.join(","));
  }
}

function shortened(texts: readonly string[]): string {
  if (texts.length === 0) return "<none>";
  const more = texts.length - MAX_SHOWN;
  return `${texts.slice(0, MAX_SHOWN).join(",")}${more > 0 ? ` + ${more} more...` : ""}`;
}

function endpoints(object: JsonObject): string {
  return shortened(
    listAt(object, "subsets").flatMap((subset) => {
      const ports = listAt(subset, "ports");
      const addresses = listAt(subset, "addresses").map((address) => textAt(address, "ip"));
      return ports.length === 0
        ? addresses
        : ports.flatMap((port) => addresses.map((address) => `${address}:${textAt(port, "port")}`));
    }),
  );
}

function ingressHosts(object: JsonObject): string {
  const hosts = listAt(object, "spec", "rules")
    .map((rule) => textAt(rule, "host"))
    .filter((host) => host !== "");
  return hosts.length === 0 ? "*" : shortened(hosts);
}

function nodeStatus(object: JsonObject): string {
  const ready = listAt(object, "status", "conditions").find((each) => textAt(each, "type") === "Ready");
  const texts = [ready === undefined ? "Unknown" : textAt(ready, "status") === "True" ? "Ready" : "NotReady"];
  if (at(object, "spec", "unschedulable") === true) texts.push("SchedulingDisabled");
  return texts.join(",");
}

function nodeRoles(object: JsonObject): string {
  const labels = at(object, "metadata", "labels");
  const prefix = "node-role.kubernetes.io/";
  const roles = isJsonObject(labels)
    ? Object.keys(labels)
        .filter((label) => label.startsWith(prefix) && label.length > prefix.length)
        .map((label) => label.slice(prefix.length))
    : [];
  return orNone(roles.sort().join(","));
}

function nodeAddress(type: string): (object: JsonObject) => string {
  return (object) =>
    orNone(
      textAt(
        listAt(object, "status", "addresses").find((address) => textAt(address, "type") === type),
        "address",
      ),
    );
}

const ACCESS_MODES: ReadonlyMap<string, string> = new Map([
  ["ReadWriteOnce", "RWO"],
  ["ReadOnlyMany", "ROX"],
  ["ReadWriteMany", "RWX"],
  ["ReadWriteOncePod", "RWOP"],
]);

function accessModes(modes: readonly JsonValue[]): string {
  return modes.map((mode) => (typeof mode === "string" ? (ACCESS_MODES.get(mode) ?? mode) : "")).join(",");
}

function volumePhase(object: JsonObject): string {
  return textAt(object, "metadata", "deletionTimestamp") === "" ? textAt(object, "status", "phase") : "Terminating";
}

const wideText = (name: string, ...path: readonly string[]): TableColumn =>
  wide(name, (object) => textAt(object, ...path) || "<unknown>");

/** Columns of nodes, networking and storage, by `group/resource`. */
export const NETWORK_COLUMNS: ReadonlyMap<string, readonly TableColumn[]> = new Map<string, readonly TableColumn[]>([
  [
    "/nodes",
    [
      NAME,
      column("Status", nodeStatus),
      column("Roles", nodeRoles),
      AGE,
      column("Version", (object) => textAt(object, "status", "nodeInfo", "kubeletVersion")),
      wide("Internal-IP", nodeAddress("InternalIP")),
      wide("External-IP", nodeAddress("ExternalIP")),
      wideText("OS-Image", "status", "nodeInfo", "osImage"),
      wideText("Kernel-Version", "status", "nodeInfo", "kernelVersion"),
      wideText("Container-Runtime", "status", "nodeInfo", "containerRuntimeVersion"),
    ],
  ],
  [
    "/services",
    [
      NAME,
      column("Type", (object) => textAt(object, "spec", "type")),
      column("Cluster-IP", (object) => orNone(textAt(object, "spec", "clusterIP"))),
      column("External-IP", serviceExternal),
      column("Port(s)", servicePorts),
      AGE,
      wide("Selector", (object) => labelsText(at(object, "spec", "selector"))),
    ],
  ],
  ["/endpoints", [NAME, column("Endpoints", endpoints), AGE]],
  [
    "discovery.k8s.io/endpointslices",
    [
      NAME,
      column("AddressType", (object) => textAt(object, "addressType")),
      column("Ports", (object) =>
        listAt(object, "ports").length === 0
          ? "<unset>"
          : shortened(listAt(object, "ports").map((port) => textAt(port, "port") || "*")),
      ),
      column("Endpoints", (object) => {
        const addresses = listAt(object, "endpoints").flatMap((each) => listAt(each, "addresses").map(String));
        return addresses.length === 0 ? "<unset>" : shortened(addresses);
      }),
      AGE,
    ],
  ],
  [
    "networking.k8s.io/ingresses",
    [
      NAME,
      column("Class", (object) => orNone(textAt(object, "spec", "ingressClassName"))),
      column("Hosts", ingressHosts),
      column("Address", ingressPoints),
      column("Ports", (object) => (listAt(object, "spec", "tls").length > 0 ? "80, 443" : "80")),
      AGE,
    ],
  ],
  [
    "networking.k8s.io/ingressclasses",
    [
      NAME,
      column("Controller", (object) => textAt(object, "spec", "controller")),
      column("Parameters", (object) => {
        const kind = textAt(object, "spec", "parameters", "kind");
        const group = textAt(object, "spec", "parameters", "apiGroup");
        const name = textAt(object, "spec", "parameters", "name");
        return kind === "" ? "<none>" : `${kind}${group === "" ? "" : `.${group}`}/${name}`;
      }),
      AGE,
    ],
  ],
  [
    "networking.k8s.io/networkpolicies",
    [NAME, column("Pod-Selector", (object) => selectorText(at(object, "spec", "podSelector"))), AGE],
  ],
  [
    "/persistentvolumes",
    [
      NAME,
      column("Capacity", (object) => textAt(object, "spec", "capacity", "storage")),
      column("Access Modes", (object) => accessModes(listAt(object, "spec", "accessModes"))),
      column("Reclaim Policy", (object) => textAt(object, "spec", "persistentVolumeReclaimPolicy")),
      column("Status", volumePhase),
      column("Claim", (object) => {
        const name = textAt(object, "spec", "claimRef", "name");
        return name === "" ? "" : `${textAt(object, "spec", "claimRef", "namespace")}/${name}`;
      }),
      column("StorageClass", (object) => textAt(object, "spec", "storageClassName")),
      column("VolumeAttributesClass", (object) => textAt(object, "spec", "volumeAttributesClassName") || "<unset>"),
      column("Reason", (object) => textAt(object, "status", "reason")),
      AGE,
      wide("VolumeMode", (object) => textAt(object, "spec", "volumeMode") || "<unset>"),
    ],
  ],
  [
    "/persistentvolumeclaims",
    [
      NAME,
      column("Status", volumePhase),
      column("Volume", (object) => textAt(object, "spec", "volumeName")),
      column("Capacity", (object) => textAt(object, "status", "capacity", "storage")),
      column("Access Modes", (object) => accessModes(listAt(object, "status", "accessModes"))),
      column("StorageClass", (object) => textAt(object, "spec", "storageClassName")),
      column("VolumeAttributesClass", (object) => textAt(object, "spec", "volumeAttributesClassName") || "<unset>"),
      AGE,
      wide("VolumeMode", (object) => textAt(object, "spec", "volumeMode") || "<unset>"),
    ],
  ],
  [
    "storage.k8s.io/storageclasses",
    [
      NAME,
      column("Provisioner", (object) => textAt(object, "provisioner")),
      column("ReclaimPolicy", (object) => textAt(object, "reclaimPolicy") || "Delete"),
      column("VolumeBindingMode", (object) => textAt(object, "volumeBindingMode") || "Immediate"),
      column("AllowVolumeExpansion", (object) => String(at(object, "allowVolumeExpansion") === true)),
      AGE,
    ],
  ],
]);
