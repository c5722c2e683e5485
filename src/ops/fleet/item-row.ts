import { create } from "@bufbuild/protobuf";
import { type Item, ItemSchema } from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import type { ItemProgress } from "./item-levels.ts";
import { member } from "./wire-timestamp.ts";

/** One item of one agent as the fleet shows it. */
export function itemRow(cluster: string, progress: ItemProgress): Item {
  const { item, level, nack, quarantined } = progress;
  return create(ItemSchema, {
    cluster,
    kind: item.kind,
    name: item.name,
    version: BigInt(item.version),
    digest: item.digest,
    size: BigInt(item.size),
    deleted: item.deleted === true,
    level,
    quarantined,
    ...member("nack", nack),
  });
}
