import { describe, expect, it } from "vitest";
import { ManualClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { systemRandom } from "../../../base/random.ts";
import { type ChannelOwner, type SilentChannelParts, silentChannels, watchSilentChannels } from "./silent-channels.ts";

const owners: Readonly<Record<string, ChannelOwner>> = {
  mine: { holder: "hub-0", term: 3n },
  carried: { holder: "hub-0", term: 4n },
  peers: { holder: "hub-1", term: 5n },
  orphan: { holder: "hub-2", term: 6n },
};

function parts(more: Partial<SilentChannelParts> = {}): SilentChannelParts {
  return {
    replica: "hub-0",
    clusters: () => ["mine", "carried", "peers", "orphan", "never"],
    carries: (cluster) => cluster === "carried",
    owner: (cluster) => owners[cluster],
    alive: (replica) => replica !== "hub-2",
    leads: () => true,
    lost: () => Promise.resolve(),
    ...more,
  };
}

describe("channels that stand as connected and that nobody carries", () => {
  it("are a replica's own to correct, and the leader's when the replica is gone", () => {
    expect([...silentChannels(parts())]).toEqual([
      ["mine", { term: 3n, detail: "not back since replica hub-0 lost its stream or was restarted" }],
      ["orphan", { term: 6n, detail: "not back since replica hub-2 is gone" }],
    ]);
    expect([...silentChannels(parts({ leads: () => false })).keys()]).toEqual(["mine"]);
  });

  it("are said once each, when the agent is missing at two looks, and again until that is durable", async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const said: string[] = [];
    let failing = true;
    let back = false;
    const watching = watchSilentChannels({
      ...parts({
        clusters: () => ["mine", "orphan"],
        carries: (cluster) => back && cluster === "orphan",
        lost: (cluster, term) => {
          said.push(`${cluster} ${term}`);
          return failing ? Promise.reject(new Error("the API server is away")) : Promise.resolve();
        },
      }),
      clock,
      random: systemRandom,
      log: silentLog,
      signal: stop.signal,
    });
    const look = () => clock.advance(50_000);
    await look();
    expect(said).toEqual([]);
    back = true;
    await look();
    expect(said).toEqual(["mine 3"]);
    failing = false;
    await look();
    await look();
    expect(said).toEqual(["mine 3", "mine 3"]);
    stop.abort();
    await watching;
  });
});
