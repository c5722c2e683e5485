import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { basePackOf } from "../../api/names.ts";
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
 * @throws GrpcStatusError NOT_FOUND, or INVALID_ARGUMENT when several items have the name
 */
export function findItem(
  wanted: ItemName,
  items: readonly ItemProgress[],
  installed: readonly PackInstalled[],
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
  if (one === undefined)
    throw new GrpcStatusError(Status.NOT_FOUND, {
      reason: "ItemNotFound",
      object: `item ${kind === "" ? name : `${kind}/${name}`} on ${cluster}`,
      expected: `must be one of the ${items.length} items of the cluster's index`,
      remedy:
        items.length <= MAX_NAMED_ITEMS
          ? `they are ${items.map(({ item }) => `${item.kind}/${item.name}`).join(", ")}`
          : "FleetService/ListItems lists them",
    });
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
