import type { DesiredIndex } from "../../src/federation/hub/ports.ts";
import { Bodies, START_WALL_MS, indexOf } from "../transcript/fixture.ts";

/** Indexes of one tenant: changes, tombstones, another signer, another cluster, expired and of the future. */
export function signedIndexes(): readonly DesiredIndex[] {
  const bodies = new Bodies();
  const specs = [
    "sequence=1 items=a@1:one,b@1:two",
    "sequence=2 items=a@1:one,b@2:three+ref",
    "sequence=3 items=a@1:one,-b@3",
    "sequence=4 items=a@4:four,-b@3,x#40@4:body",
    "sequence=5 items=a@4:four,x#40@4:body floors=a:2",
    "sequence=3 items=a@1:other,b@2:three+ref",
    "sequence=6 by=stranger items=a@4:four",
    "sequence=7 cluster=tenant-2 items=a@4:four",
    "sequence=8 expires=-1 items=a@4:four",
    "epoch=2 sequence=4 items=a@1:four,x#3@1:body",
  ];
  return specs.map((spec) => {
    const args = new Map<string, string>();
    for (const word of spec.split(" ")) {
      const at = word.indexOf("=");
      args.set(word.slice(0, at), word.slice(at + 1));
    }
    return indexOf({ name: "desired", args, words: [], json: "" }, bodies, START_WALL_MS);
  });
}
