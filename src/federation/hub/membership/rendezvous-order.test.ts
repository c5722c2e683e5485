import { expect, it } from "vitest";
import { rendezvousOrder } from "./rendezvous-order.ts";

const replicas = ["a", "b", "c", "d"].map((replica) => ({ replica }));
const clusters = Array.from({ length: 4_000 }, (_, i) => `tenant-${i}`);
const first = (cluster: string, of: readonly { readonly replica: string }[]): string =>
  rendezvousOrder(cluster, of)[0]?.replica ?? "";

it("spreads clusters evenly, and moves only what it must when a replica goes", () => {
  const counts = new Map<string, number>();
  for (const cluster of clusters) {
    const chosen = first(cluster, replicas);
    counts.set(chosen, (counts.get(chosen) ?? 0) + 1);
  }
  for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(120);
  const without = replicas.filter(({ replica }) => replica !== "b");
  const elsewhere = clusters.filter((cluster) => first(cluster, replicas) !== "b");
  expect(elsewhere.filter((cluster) => first(cluster, without) !== first(cluster, replicas))).toEqual([]);
});

it("is the same in whatever order the replicas are told", () => {
  for (const cluster of clusters.slice(0, 50))
    expect(rendezvousOrder(cluster, replicas.toReversed())).toEqual(rendezvousOrder(cluster, replicas));
});
