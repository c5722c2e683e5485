import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { basePackOf, snapshotName } from "../../api/names.ts";
import type { ItemKind } from "../../federation/index/index-document.ts";
import type { PackInstalled } from "../../api/kinds/pack-installed.ts";
import type { ItemProgress } from "./item-levels.ts";

/** Items that an error names one by one. */
const MAX_NAMED_ITEMS = 10;

/** How a person names an item. */
export interface ItemName {
  readonly cluster: string;
  /** Empty: any kind. */
  readonly kind: string;
  /** Item name; for packs also the PackDelivery or base pack name. */
  readonly name: string;
}

/**
 * The item a person means: by its exact name first, then a pack by its PackDelivery or base pack name.
 *
 * @param withheld why items of a kind are not sent to the cluster; undefined when they are
 * @throws GrpcStatusError NOT_FOUND, FAILED_PRECONDITION when it is withheld, or INVALID_ARGUMENT when several items have the name
 */
export function findItem(
  wanted: ItemName,
  items: readonly ItemProgress[],
  installed: readonly PackInstalled[],
  withheld: (kind: ItemKind) => string | undefined,
): ItemProgress {
  const { cluster, kind, name } = wanted;
  const ofKind = items.filter(({ item }) => kind === "" || item.kind === kind);
  const exact = ofKind.filter(({ item }) => item.name === name);
  const found =
    exact.length > 0 ? exact : ofKind.filter(({ item }) => packNames(cluster, item.name, installed).has(name));
  const packs = found.filter(({ item }) => item.kind === "PackInstalled");
  // A pack and its own correction share their name; the pack is what a person means.
  const meant = packs.length === 1 ? packs : found;
  const [one, ...others] = meant;
  if (one === undefined) {
    const why = withheldKinds(wanted, installed)
      .map(withheld)
      .find((text) => text !== undefined);
    if (why !== undefined)
      throw new GrpcStatusError(Status.FAILED_PRECONDITION, {
        reason: "CapabilityMissing",
        object: `item ${kind === "" ? name : `${kind}/${name}`} on ${cluster}`,
        expected: why,
        remedy: `what it declared: seamctl agents ${cluster} -o wide`,
      });
    throw new GrpcStatusError(Status.NOT_FOUND, {
      reason: "ItemNotFound",
      object: `item ${kind === "" ? name : `${kind}/${name}`} on ${cluster}`,
      expected: `must be one of the ${items.length} items of the cluster's index`,
      remedy:
        items.length <= MAX_NAMED_ITEMS
          ? `they are ${items.map(({ item }) => `${item.kind}/${item.name}`).join(", ")}`
          : "FleetService/ListItems lists them",
    });
  }
  if (others.length > 0)
    throw new GrpcStatusError(Status.INVALID_ARGUMENT, {
      reason: "ItemAmbiguous",
      object: `item ${name} on ${cluster}`,
      field: "kind",
      expected: `one kind, found ${meant.map(({ item }) => `${item.kind}/${item.name}`).join(", ")}`,
      remedy: "name it as Kind/name",
    });
  return one;
}

/** Kinds that a name which is in no index may be of. */
function withheldKinds({ cluster, kind, name }: ItemName, installed: readonly PackInstalled[]): readonly ItemKind[] {
  if (name === snapshotName(cluster) && (kind === "" || kind === "PermissionSnapshot")) return ["PermissionSnapshot"];
  if (kind !== "" && kind !== "PackInstalled") return [];
  const isPack = installed.some(
    ({ metadata }) => metadata.name === name || packNames(cluster, metadata.name, installed).has(name),
  );
  return isPack ? ["PackInstalled"] : [];
}

function packNames(cluster: string, itemName: string, installed: readonly PackInstalled[]): ReadonlySet<string> {
  const pack = installed.find(({ metadata }) => metadata.name === itemName);
  const names = new Set<string>();
  if (itemName.endsWith(`-${cluster}`)) names.add(itemName.slice(0, -cluster.length - 1));
  if (pack !== undefined) {
    names.add(pack.spec.clusterPackRef);
    names.add(basePackOf({ metadata: { name: pack.spec.clusterPackRef }, spec: {} }));
  }
  return names;
}
