import { describe, expect, it } from "vitest";
import { digestOf } from "../../base/digest.ts";
import { silentLog } from "../../base/log.ts";
import type { IndexItem } from "../index/index-document.ts";
import { MAX_RUNNING_HANDLERS } from "../session/limits.ts";
import { HandlerRunner } from "./handler-runner.ts";
import type { ItemHandler } from "./ports.ts";

const bodyOf = (i: number): Uint8Array => Buffer.from(`body ${i}`);
const itemOf = (i: number): IndexItem => ({
  kind: "PackInstalled",
  name: `item-${i}`,
  version: 1,
  digest: digestOf(bodyOf(i)),
  size: bodyOf(i).length,
});

function harness() {
  const read: string[] = [];
  const seen: string[] = [];
  const ended: (() => void)[] = [];
  const handler: ItemHandler = {
    kind: "PackInstalled",
    verify: async ({ body }) => {
      seen.push(Buffer.from(body).toString());
      return { ok: true };
    },
    apply: async () => ({ ok: true }),
    healthy: async () => ({ ok: true }),
    remove: async () => ({ ok: true }),
  };
  const runner = new HandlerRunner({
    cluster: "tenant-1",
    handlers: [handler],
    outbox: {
      readBlob: async (digest) => {
        read.push(digest);
        return bodyOf([...Array(MAX_RUNNING_HANDLERS + 1).keys()].find((i) => itemOf(i).digest === digest) ?? -1);
      },
    },
    log: silentLog,
    done: () => ended.shift()?.(),
    waiting: () => {},
  });
  const verify = (i: number): Promise<void> =>
    new Promise((resolve) => {
      ended.push(resolve);
      runner.run(i + 1, "verify", itemOf(i));
    });
  return { runner, verify, read, seen };
}

describe("HandlerRunner", () => {
  it("gives a handler the body that became durable just now, without asking the store", async () => {
    const { runner, verify, read, seen } = harness();
    runner.arrived(digestOf(bodyOf(0)), bodyOf(0));
    await verify(0);
    expect(seen).toEqual(["body 0"]);
    expect(read).toEqual([]);
  });

  it("holds no more bodies than handlers run at a time, and reads the others", async () => {
    const { runner, verify, read, seen } = harness();
    for (let i = 0; i <= MAX_RUNNING_HANDLERS; i++) runner.arrived(digestOf(bodyOf(i)), bodyOf(i));
    await verify(0);
    expect(read).toEqual([itemOf(0).digest]);
    await verify(MAX_RUNNING_HANDLERS);
    expect(read).toHaveLength(1);
    expect(seen).toEqual(["body 0", `body ${MAX_RUNNING_HANDLERS}`]);
  });
});
