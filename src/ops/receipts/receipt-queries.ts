import { create } from "@bufbuild/protobuf";
import {
  type Receipt,
  type WatchReceiptsResponse,
  WatchReceiptsResponseSchema,
} from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import type { PackReceipt } from "../../api/kinds/pack-receipt.ts";
import { isClusterName, tenantNamespace } from "../../api/names.ts";
import { keyOf, keyText } from "../../api/object.ts";
import type { Clock } from "../../base/clock.ts";
import { BY_CLUSTER, type FleetSources } from "../fleet/fleet-sources.ts";
import { coalescedChanges } from "../watch/coalesced-changes.ts";
import { receiptRow } from "./receipt-row.ts";

/** Which receipts; empty members mean all. */
export interface ReceiptFilter {
  readonly cluster: string;
  /** PackDelivery or base pack name. */
  readonly pack: string;
}

/** What ReceiptService answers, whichever way it is asked. */
export class ReceiptQueries {
  readonly #sources: FleetSources;
  readonly #clock: Clock;

  constructor(sources: FleetSources, clock: Clock) {
    this.#sources = sources;
    this.#clock = clock;
  }

  /** @throws GrpcStatusError NOT_FOUND when the tenant has reported none */
  get(cluster: string, name: string): Receipt {
    const mirror = isClusterName(cluster)
      ? this.#sources.receipts.get({ namespace: tenantNamespace(cluster), name })
      : undefined;
    if (mirror !== undefined) return receiptRow(mirror);
    throw new GrpcStatusError(Status.NOT_FOUND, {
      reason: "ReceiptNotFound",
      object: `receipt ${name} of ${cluster}`,
      expected: "a receipt that the tenant has reported",
      remedy: `see how far the item has come: seamctl explain ${cluster} ${name}`,
    });
  }

  /** Sorted by cluster and name. */
  list(filter: ReceiptFilter): readonly Receipt[] {
    return this.#matching(filter)
      .map(receiptRow)
      .sort((a, b) => compare(a.cluster, b.cluster) || compare(a.name, b.name));
  }

  /** All receipts first, then each change, coalesced. */
  async *watch(filter: ReceiptFilter, signal: AbortSignal): AsyncGenerator<WatchReceiptsResponse> {
    let known = new Map<string, PackReceipt>();
    const changes = coalescedChanges(
      (listener) => this.#sources.receipts.subscribe(({ object }) => listener(keyText(keyOf(object)))),
      this.#clock,
      signal,
    );
    let first = true;
    for await (const changed of changes) {
      void changed; // which keys changed is known better from the versions held
      const present = new Map(this.#matching(filter).map((mirror) => [keyText(keyOf(mirror)), mirror]));
      const receipts = [...present].flatMap(([key, mirror]) => (known.get(key) === mirror ? [] : [receiptRow(mirror)]));
      const removed = [...known].filter(([key]) => !present.has(key)).map(([, mirror]) => removedName(mirror));
      known = present;
      if (first || receipts.length > 0 || removed.length > 0)
        yield create(WatchReceiptsResponseSchema, { receipts, removed });
      first = false;
    }
  }

  #matching({ cluster, pack }: ReceiptFilter): readonly PackReceipt[] {
    const mirrors =
      cluster === "" ? this.#sources.receipts.list() : this.#sources.receipts.byIndex(BY_CLUSTER, cluster);
    return pack === "" ? mirrors : mirrors.filter((mirror) => isOfPack(mirror, pack));
  }
}

function isOfPack({ metadata, spec }: PackReceipt, pack: string): boolean {
  return spec.clusterPackRef === pack || metadata.name === `${pack}-${spec.targetClusterRef}`;
}

function removedName(mirror: PackReceipt): string {
  return `${mirror.spec.targetClusterRef}/${mirror.metadata.name}`;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
