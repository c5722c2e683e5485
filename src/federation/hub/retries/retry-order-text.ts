import type { ConfigMapObject } from "../../../api/builtin.ts";
import { isJsonObject } from "../../../base/json.ts";
import { readJsonLines } from "../../../base/json-lines.ts";
import type { RetryOrder } from "../../session/hub/retry-order.ts";

/** Data key: one JSON object per line, oldest first. */
export const ORDERS_KEY = "orders";

/** Text of {@link ORDERS_KEY}. */
export function ordersText(orders: readonly RetryOrder[]): string {
  return orders.map((order) => `${JSON.stringify(order)}\n`).join("");
}

/** Reads the ConfigMap; a line that is no order is left out: somebody edited it, and can give the order anew. */
export function readOrders(configMap: ConfigMapObject | undefined): readonly RetryOrder[] {
  return readJsonLines(configMap?.data?.[ORDERS_KEY] ?? "").flatMap((value) => {
    if (!isJsonObject(value)) return [];
    const { id, kind, name, digest, orderedAtMs } = value;
    if (typeof id !== "string" || typeof kind !== "string" || typeof name !== "string") return [];
    if (typeof digest !== "string" || typeof orderedAtMs !== "number") return [];
    return [{ id, kind, name, digest, orderedAtMs }];
  });
}
