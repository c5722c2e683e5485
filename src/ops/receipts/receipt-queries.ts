import { create } from "@bufbuild/protobuf";
import {
  type Receipt,
  type WatchReceiptsResponse,
  type WatchedRow,
  WatchReceiptsResponseSchema,
} from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import type { PackReceipt } from "../../api/kinds/pack-receipt.ts";
import { isClusterName, tenantNamespace } from "../../api/names.ts";
import { keyOf, keyText } from "../../api/object.ts";
import type { Clock } from "../../base/clock.ts";
import { BY_CLUSTER, type FleetSources } from "../fleet/fleet-sources.ts";
import { coalescedChanges } from "../watch/coalesced-changes.ts";
import { resumedFrom } from "../watch/resumed.ts";
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

  /** All receipts first, or those that differ from what the caller has; then each change, coalesced. @throws GrpcStatusError */
  async *watch(
    filter: ReceiptFilter & { readonly have: readonly WatchedRow[] },
    signal: AbortSignal,
  ): AsyncGenerator<WatchReceiptsResponse> {
    const resumed = resumedFrom(filter.have);
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
      const differs = ([key, mirror]: readonly [string, PackReceipt]): boolean =>
        first ? resumed.get(nameOf(mirror)) !== mirror.metadata.resourceVersion : known.get(key) !== mirror;
      const receipts = [...present].filter(differs).map(([, mirror]) => receiptRow(mirror));
      const removed = first
        ? [...missing(resumed, present)]
        : [...known].filter(([key]) => !present.has(key)).map(([, mirror]) => nameOf(mirror));
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

/** Names the caller has that are not there any more. */
function missing(resumed: ReadonlyMap<string, string>, present: ReadonlyMap<string, PackReceipt>): readonly string[] {
  const names = new Set([...present.values()].map(nameOf));
  return [...resumed.keys()].filter((name) => !names.has(name));
}

function nameOf(mirror: PackReceipt): string {
  return `${mirror.spec.targetClusterRef}/${mirror.metadata.name}`;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
