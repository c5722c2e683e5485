import { ConfigMap, type ConfigMapObject } from "../../../api/builtin.ts";
import { FIELD_MANAGERS, LABELS, clusterOfNamespace, tenantNamespace } from "../../../api/names.ts";
import type { Clock } from "../../../base/clock.ts";
import { SeamError } from "../../../base/errors.ts";
import { uuidV7 } from "../../../base/ids.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import { type Informer, startInformer } from "../../../controller/cache/informer.ts";
import { itemKey } from "../../index/index-document.ts";
import { MAX_PENDING_RETRIES } from "../../session/limits.ts";
import type { RetryOrder } from "../../session/hub/retry-order.ts";
import { retryConflicts } from "../mirror/retry-conflicts.ts";
import type { RetryOrders } from "../ports.ts";
import { ORDERS_KEY, ordersText, readOrders } from "./retry-order-text.ts";

/** ConfigMap in `seam-tenant-{cluster}`: it goes with its tenant. */
export const RETRIES_NAME = "federation-retries";
/** An equal order that is younger, milliseconds, is the same one: somebody, or a client, asked twice. */
const SAME_ORDER_MS = 60_000;

/** What {@link startRetryOrders} works with. */
export interface RetryOrdersOptions {
  /** The management cluster. */
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** {@link RetryOrders} over one ConfigMap per tenant, the same at every replica. */
export interface RunningRetryOrders extends RetryOrders {
  /**
   * Stores an order; durable when it resolves. There is one order per item: a newer one takes the place of an older one, an equal one
   * of the last minute stands.
   *
   * @throws SeamError `TooManyRetries`, or what the management cluster answered
   */
  order(cluster: string, item: Pick<RetryOrder, "kind" | "name" | "digest">): Promise<RetryOrder>;
  /** Resolves when the watch is closed. */
  readonly closed: Promise<void>;
}

/**
 * Operator's retries in ConfigMaps `federation-retries`: an order given at any replica reaches the agent from whichever it is connected to.
 *
 * @throws the signal's reason when stopped before the first list
 */
export async function startRetryOrders(options: RetryOrdersOptions): Promise<RunningRetryOrders> {
  const orders = new WatchedRetryOrders(options);
  await orders.synced;
  return orders;
}

class WatchedRetryOrders implements RunningRetryOrders {
  readonly synced: Promise<void>;
  readonly closed: Promise<void>;
  readonly #options: RetryOrdersOptions;
  readonly #configMaps: Informer<ConfigMapObject>;

  constructor(options: RetryOrdersOptions) {
    this.#options = options;
    this.#configMaps = startInformer({ ...options, type: ConfigMap, fieldSelector: `metadata.name=${RETRIES_NAME}` });
    this.synced = this.#configMaps.synced;
    this.closed = this.#configMaps.closed;
  }

  pending(cluster: string): readonly RetryOrder[] {
    return readOrders(this.#configMaps.get(keyOf(cluster)));
  }

  subscribe(listener: (cluster: string) => void): () => void {
    return this.#configMaps.subscribe(({ object }) => {
      const cluster = clusterOfNamespace(object.metadata.namespace);
      if (cluster !== undefined) listener(cluster);
    });
  }

  async order(
    cluster: string,
    { kind, name, digest }: Parameters<RunningRetryOrders["order"]>[1],
  ): Promise<RetryOrder> {
    const { clock, random } = this.#options;
    const orderedAtMs = clock.now();
    const order = { id: uuidV7(clock, random), kind, name, digest, orderedAtMs };
    let stands: RetryOrder = order;
    await this.#change(cluster, (before) => {
      const same = before.find((each) => itemKey(each) === itemKey(order) && each.digest === digest);
      if (same !== undefined && orderedAtMs - same.orderedAtMs < SAME_ORDER_MS) {
        stands = same;
        return before;
      }
      stands = order;
      const others = before.filter((each) => itemKey(each) !== itemKey(order));
      if (others.length < MAX_PENDING_RETRIES) return [...others, order];
      throw new SeamError({
        reason: "TooManyRetries",
        object: `${kind}/${name} on ${cluster}`,
        expected: `at most ${MAX_PENDING_RETRIES} retries that wait for one agent`,
        remedy: "wait until the agent is back and has carried them out, or change the content of the item",
      });
    });
    return stands;
  }

  settled(cluster: string, id: string): Promise<void> {
    return this.#change(cluster, (before) =>
      before.some((order) => order.id === id) ? before.filter((order) => order.id !== id) : before,
    );
  }

  #change(cluster: string, edit: (before: readonly RetryOrder[]) => readonly RetryOrder[]): Promise<void> {
    return retryConflicts(this.#options, async () => {
      const key = keyOf(cluster);
      const held = await ifPresent(this.#options.cluster.get(ConfigMap, key));
      const before = readOrders(held);
      const next = edit(before);
      if (next === before) return;
      const data = { [ORDERS_KEY]: ordersText(next) };
      const options = { fieldManager: FIELD_MANAGERS.hub };
      if (held !== undefined) {
        await this.#options.cluster.update(ConfigMap, { ...held, data }, options);
        return;
      }
      const metadata = { ...key, labels: { [LABELS.cluster]: cluster } };
      await this.#options.cluster.create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata, data }, options);
    });
  }
}

function keyOf(cluster: string): { readonly namespace: string; readonly name: string } {
  return { namespace: tenantNamespace(cluster), name: RETRIES_NAME };
}
