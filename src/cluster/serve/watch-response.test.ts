import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Unstructured } from "../../api/object.ts";
import { ManualClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { ApiStatusError } from "../api-status-error.ts";
import type { DiscoveredResource, WatchEvent } from "../cluster.ts";
import { EncodedEvents } from "./encoded-events.ts";
import { Exchange } from "./exchange.ts";
import { Presentation } from "./presentation.ts";
import type { ServedCluster } from "./served-cluster.ts";
import { STUCK_CLIENT_MS } from "./response-stream.ts";
import { streamWatch } from "./watch-response.ts";

const resource: DiscoveredResource = {
  group: "",
  version: "v1",
  resource: "configmaps",
  kind: "ConfigMap",
  namespaced: true,
  singular: "configmap",
  shortNames: [],
  categories: [],
  verbs: ["watch"],
  subresources: [],
};

let server: Server | undefined;
let client: Socket | undefined;

afterEach(async () => {
  client?.destroy();
  await new Promise((resolve) => server?.close(resolve));
});

/** Serves one watch of `events`; resolves with what becomes of it. */
async function serve(
  events: AsyncIterable<WatchEvent<Unstructured>>,
  clock: ManualClock,
  signal = new AbortController().signal,
): Promise<{ readonly outcome: Promise<unknown>; readonly port: number }> {
  const outcome = Promise.withResolvers<unknown>();
  server = createServer((request, response) => {
    const exchange = new Exchange(request, response);
    // Only tables ask the cluster for anything, and this watch shows plain objects.
    const presentation = new Presentation(exchange, {} as ServedCluster, resource, clock, new EncodedEvents());
    streamWatch(exchange, events, presentation, { clock, log: silentLog, signal }).then(
      () => outcome.resolve("ended"),
      (error: unknown) => {
        outcome.resolve(error);
        response.destroy();
      },
    );
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return { outcome: outcome.promise, port: (server.address() as AddressInfo).port };
}

function ask(port: number): Socket {
  client = connect(port, "127.0.0.1");
  client.on("error", () => undefined); // the server cuts it: that is what is tested
  client.write("GET /api/v1/configmaps?watch=1 HTTP/1.1\r\nHost: a\r\n\r\n");
  return client;
}

const object = (name: string, text = ""): Unstructured => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, resourceVersion: "1" },
  data: { text },
});

describe("streamWatch", () => {
  it("takes no event that its client does not take, and cuts a client that takes nothing for 30 s", async () => {
    const clock = new ManualClock();
    let taken = 0;
    const released = Promise.withResolvers<void>();
    const endless = async function* (): AsyncGenerator<WatchEvent<Unstructured>> {
      try {
        for (;;) {
          taken++;
          yield { type: "ADDED", object: object(`a${taken}`, "x".repeat(256 * 1024)) };
        }
      } finally {
        released.resolve();
      }
    };
    const { outcome, port } = await serve(endless(), clock);
    const socket = ask(port);
    socket.pause();
    while (clock.sleeping === 0) await new Promise(setImmediate);
    const before = taken;
    await clock.advance(STUCK_CLIENT_MS - 1);
    for (let turns = 0; turns < 20; turns++) await new Promise(setImmediate);
    // The kernel may have taken a little more; what the watch holds does not grow by itself.
    expect(taken - before).toBeLessThan(100);
    const early = await Promise.race([outcome, Promise.resolve("still waiting")]);
    expect(early).toBe("still waiting");
    await clock.advance(1);
    expect(await outcome).toBe("ended");
    await released.promise;
  });

  it("tells a failure in the stream once events went, and 410 even as the first", async () => {
    const failing = async function* (): AsyncGenerator<WatchEvent<Unstructured>> {
      yield { type: "ADDED", object: object("a") };
      throw new Error("disk on fire");
    };
    const text = async (port: number): Promise<string> => {
      const answer = await fetch(`http://127.0.0.1:${port}/api/v1/configmaps?watch=1`);
      return `${answer.status} ${await answer.text()}`;
    };
    const first = await serve(failing(), new ManualClock());
    expect(await text(first.port)).toMatch(/^200 \{"type":"ADDED".*\n\{"type":"ERROR".*"code":500\}\}\n$/);
    await new Promise((resolve) => server?.close(resolve));
    const expiring = async function* (): AsyncGenerator<WatchEvent<Unstructured>> {
      yield* [];
      throw new ApiStatusError(410, "Expired", "too old");
    };
    const second = await serve(expiring(), new ManualClock());
    expect(await text(second.port)).toMatch(/^200 \{"type":"ERROR".*"reason":"Expired","code":410\}\}\n$/);
  });
});
