import { writeFile, mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Unstructured } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import { ManualClock, systemClock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import type { WatchEvent } from "../cluster.ts";
import { connectKubernetes } from "./connect-kubernetes.ts";
import { clusterOver, type ConnectedCluster, httpCluster } from "./http-cluster.ts";

const ConfigMap: ResourceType = {
  group: "",
  version: "v1",
  resource: "configmaps",
  kind: "ConfigMap",
  namespaced: true,
};
const KEY = { namespace: "default", name: "a" };
const parts = { random: new SeededRandom(1), log: silentLog };

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
let url: string;
let handler: Handler;
const requests: IncomingMessage[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(request);
    handler(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => {
  requests.length = 0;
});
afterAll(async () => {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
});

function answer(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

async function using<T>(cluster: ConnectedCluster, use: (cluster: ConnectedCluster) => Promise<T>): Promise<T> {
  try {
    return await use(cluster);
  } finally {
    await cluster.close();
  }
}

/** Message of the error that a call ends with. */
async function failureOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "no failure";
  } catch (error) {
    return errorMessage(error);
  }
}

const object = (name: string) => ({ metadata: { name, namespace: "default", resourceVersion: "5" } });

async function collect(events: AsyncIterable<WatchEvent<Unstructured>>): Promise<string[]> {
  const seen: string[] = [];
  for await (const event of events)
    seen.push(
      event.type === "BOOKMARK" ? `BOOKMARK ${event.resourceVersion}` : `${event.type} ${event.object.metadata.name}`,
    );
  return seen;
}

describe("requests", () => {
  it("waits as long as Retry-After says, and tries again", async () => {
    const clock = new ManualClock();
    handler = (_, response) => {
      if (requests.length < 3)
        answer(response, 429, { kind: "Status", apiVersion: "v1", code: 429 }, { "retry-after": "2" });
      else answer(response, 200, object("a"));
    };
    await using(httpCluster({ server: url, clock, ...parts }), async (cluster) => {
      const got = cluster.get(ConfigMap, KEY);
      for (const expected of [1, 2]) {
        // The deadline sleeps too: two sleepers mean that the retry waits.
        while (clock.sleeping < 2) await new Promise(setImmediate);
        expect(requests).toHaveLength(expected);
        await clock.advance(1999);
        expect(requests).toHaveLength(expected);
        await clock.advance(1);
      }
      expect(await got).toMatchObject({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" } });
      expect(clock.sleeping).toBe(0);
    });
  });

  it("gives up a request that is not answered in time", async () => {
    const clock = new ManualClock();
    handler = () => undefined;
    await using(httpCluster({ server: url, clock, ...parts }), async (cluster) => {
      const got = cluster.get(ConfigMap, KEY);
      const failure = failureOf(got);
      const expected = "GET /api/v1/namespaces/default/configmaps/a: no whole answer within 60000 ms";
      while (requests.length === 0) await new Promise(setImmediate);
      await clock.advance(60_000);
      expect(await failure).toBe(expected);
    });
  });

  it("does not repeat a write whose connection broke", async () => {
    handler = (request) => request.socket.destroy();
    await using(httpCluster({ server: url, clock: systemClock, ...parts }), async (cluster) => {
      await expect(
        cluster.create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", ...object("a") }),
      ).rejects.toThrow();
      expect(requests).toHaveLength(1);
    });
  });

  it("asks for new credentials once when the server does not know the old", async () => {
    let token = "old";
    handler = (request, response) => {
      if (request.headers.authorization === "Bearer new") answer(response, 200, object("a"));
      else answer(response, 401, { kind: "Status", apiVersion: "v1", code: 401, reason: "Unauthorized" });
    };
    const endpoint = {
      server: url,
      verifyServer: true,
      credentials: () => Promise.resolve({ headers: { authorization: `Bearer ${token}` } }),
      forget: () => {
        token = "new";
      },
    };
    await using(clusterOver({ endpoint, userAgent: "t", clock: systemClock, ...parts }), async (cluster) => {
      expect(await cluster.get(ConfigMap, KEY)).toMatchObject({ metadata: { name: "a" } });
      token = "old";
      endpoint.forget = () => undefined;
      await expect(cluster.get(ConfigMap, KEY)).rejects.toMatchObject({ code: 401, reason: "Unauthorized" });
      expect(requests).toHaveLength(4);
    });
  });

  it("reads a list without a limit in one answer, compressed where the server does", async () => {
    const list = {
      kind: "ConfigMapList",
      metadata: { resourceVersion: "9" },
      items: Array.from({ length: 3000 }, (_, index) => object(`a-${index}`)),
    };
    for (const compressed of [false, true]) {
      requests.length = 0;
      handler = (request, response) => {
        expect(request.headers["accept-encoding"]).toBe("gzip");
        if (!compressed) answer(response, 200, list);
        else {
          response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" });
          response.end(gzipSync(JSON.stringify(list)));
        }
      };
      await using(httpCluster({ server: url, clock: systemClock, ...parts }), async (cluster) => {
        const { items, resourceVersion } = await cluster.list(ConfigMap, { namespace: "default" });
        expect(items.map((item) => item.metadata.name)).toEqual(list.items.map(({ metadata }) => metadata.name));
        expect(items[2999]).toMatchObject({ apiVersion: "v1", kind: "ConfigMap" });
        expect(resourceVersion).toBe("9");
        expect(requests).toHaveLength(1);
      });
    }
  });

  it("says so when a list breaks off", async () => {
    const whole = gzipSync(JSON.stringify({ metadata: {}, items: [object("a"), object("b")] }));
    const broken: readonly [Handler, RegExp][] = [
      [(_, response) => response.end('{"metadata":{"resourceVersion":"9"},"items":[{"metadata":{}},{"met'), /cut off/],
      [(_, response) => response.end("<html>"), /not JSON|no list/],
      [(_, response) => response.end("[]"), /no list/],
      [
        (_, response) => {
          response.writeHead(200, { "content-encoding": "gzip" });
          response.end(whole.subarray(0, whole.length - 12));
        },
        /unexpected end of file/,
      ],
      [
        (_, response) => {
          response.writeHead(200, { "content-length": "1000" });
          response.write('{"items":[');
          response.socket?.destroy();
        },
        /other side closed|terminated|aborted/,
      ],
    ];
    await using(httpCluster({ server: url, clock: systemClock, ...parts }), async (cluster) => {
      for (const [serve, message] of broken) {
        handler = serve;
        expect(await failureOf(cluster.list(ConfigMap))).toMatch(message);
      }
    });
  });

  it("gives a list its deadline again with every part, and none for silence", async () => {
    const clock = new ManualClock();
    const written = ['{"metadata":{"resourceVersion":"9"},"items":[', '{"metadata":{"name":"a"}}', "]}"];
    let held: ServerResponse | undefined;
    handler = (_, response) => {
      held = response;
      response.write(written[0]);
    };
    await using(httpCluster({ server: url, clock, ...parts }), async (cluster) => {
      const progress = cluster.list(ConfigMap);
      await vi.waitFor(() => expect(held).toBeDefined(), { timeout: 15_000, interval: 5 });
      await clock.advance(59_000);
      held?.write(written[1]);
      held?.end(written[2]);
      expect((await progress).items).toHaveLength(1);
      held = undefined;
      const silent = failureOf(cluster.list(ConfigMap));
      await vi.waitFor(() => expect(held).toBeDefined(), { timeout: 15_000, interval: 5 });
      await clock.advance(60_000);
      await clock.advance(60_000);
      expect(await silent).toMatch(/nothing more of the answer within 60000 ms/);
    });
  });

  it("tells a deletion that waits from one that is done", async () => {
    const deleted = { name: "a", deletionTimestamp: "2026-01-01T00:00:00Z", deletionGracePeriodSeconds: 0 };
    let body: object = { kind: "Status", apiVersion: "v1", status: "Success" };
    handler = (_, response) => answer(response, 200, body);
    await using(httpCluster({ server: url, clock: systemClock, ...parts }), async (cluster) => {
      expect(await cluster.delete(ConfigMap, KEY)).toBeUndefined();
      body = { metadata: deleted };
      expect(await cluster.delete(ConfigMap, KEY)).toBeUndefined();
      body = { metadata: { ...deleted, finalizers: ["x"] } };
      expect(await cluster.delete(ConfigMap, KEY)).toMatchObject({ metadata: { finalizers: ["x"] } });
    });
  });
});

describe("watches", () => {
  const event = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`;
  const watching = (send: (response: ServerResponse) => void): void => {
    handler = (_, response) => {
      response.writeHead(200);
      send(response);
    };
  };
  const watch = (signal = new AbortController().signal, clock = systemClock): Promise<string[]> =>
    using(httpCluster({ server: url, clock, ...parts }), (cluster) => collect(cluster.watch(ConfigMap, {}, signal)));

  it("ends with the server's end", async () => {
    watching((response) => {
      response.write(event("ADDED", object("a")));
      response.end(event("BOOKMARK", { metadata: { resourceVersion: "7" } }));
    });
    expect(await watch()).toEqual(["ADDED a", "BOOKMARK 7"]);
  });

  it("throws 410 as the server tells it, and anything else for a broken connection", async () => {
    watching((response) =>
      response.end(
        event("ERROR", { kind: "Status", apiVersion: "v1", code: 410, reason: "Expired", message: "too old" }),
      ),
    );
    await expect(watch()).rejects.toMatchObject({ code: 410, reason: "Expired", message: "too old" });
    watching((response) => {
      response.write(event("ADDED", object("a")));
      setImmediate(() => response.destroy());
    });
    await expect(watch()).rejects.not.toHaveProperty("code", 410);
    watching((response) => response.end('{"type":"ADDED"'));
    await expect(watch()).rejects.toThrow("ended within a line");
  });

  it("ends without an error when aborted, and the server sees the connection close", async () => {
    const stop = new AbortController();
    const closed = Promise.withResolvers<void>();
    watching((response) => {
      response.once("close", () => closed.resolve());
      response.write(event("ADDED", object("a")));
    });
    const seen = await using(httpCluster({ server: url, clock: systemClock, ...parts }), async (cluster) => {
      const names: string[] = [];
      for await (const each of cluster.watch(ConfigMap, {}, stop.signal)) {
        names.push(each.type);
        stop.abort();
      }
      return names;
    });
    expect(seen).toEqual(["ADDED"]);
    await closed.promise;
  });

  it("gives up a watch that outlives the time the server was asked to end it", async () => {
    const clock = new ManualClock();
    watching((response) => response.write(event("ADDED", object("a"))));
    const seen = watch(undefined, clock);
    const failure = failureOf(seen);
    const expected = "the watch of configmaps did not end in time: the connection is lost";
    while (clock.sleeping !== 1 || requests.length === 0) await new Promise(setImmediate);
    await clock.advance(631_000);
    expect(await failure).toBe(expected);
  });
});

describe("connectKubernetes", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "seam-kubeconfig-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  const kubeconfig = async (user: string): Promise<string> => {
    const path = join(directory, "config");
    const cluster = `{server: "${url}", insecure-skip-tls-verify: true}`;
    await writeFile(
      path,
      `apiVersion: v1\nkind: Config\ncurrent-context: one\nclusters: [{name: c, cluster: ${cluster}}]\nusers: [{name: u, user: ${user}}]\ncontexts: [{name: one, context: {cluster: c, user: u}}]\n`,
    );
    return path;
  };

  it("presents what an exec plugin gives, asked once", async () => {
    const plugin = join(directory, "plugin.sh");
    const credential =
      '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"from-plugin"}}';
    await writeFile(plugin, `#!/bin/sh\necho asked >> ${directory}/asked\necho '${credential}'\n`, { mode: 0o755 });
    const kubeconfigPath = await kubeconfig(
      `{exec: {apiVersion: client.authentication.k8s.io/v1, command: ${plugin}, interactiveMode: Never}}`,
    );
    handler = (_, response) => answer(response, 200, object("a"));
    const cluster = await connectKubernetes({ kubeconfigPath, clock: systemClock, ...parts });
    await using(cluster, async () => {
      await cluster.get(ConfigMap, KEY);
      await cluster.get(ConfigMap, KEY);
    });
    expect(requests.map((request) => request.headers.authorization)).toEqual([
      "Bearer from-plugin",
      "Bearer from-plugin",
    ]);
  });

  it("says which contexts there are", async () => {
    const kubeconfigPath = await kubeconfig("{token: t}");
    await expect(connectKubernetes({ kubeconfigPath, context: "two", clock: systemClock, ...parts })).rejects.toThrow(
      `${kubeconfigPath}: contexts: a context named "two"; choose one of one`,
    );
    await expect(
      connectKubernetes({ kubeconfigPath: join(directory, "none"), clock: systemClock, ...parts }),
    ).rejects.toThrow(/none: a readable kubeconfig \(ENOENT/);
  });

  it("closes with its signal", async () => {
    const stop = new AbortController();
    const kubeconfigPath = await kubeconfig("{token: t}");
    const cluster = await connectKubernetes({ kubeconfigPath, clock: systemClock, signal: stop.signal, ...parts });
    handler = () => undefined;
    const got = cluster.get(ConfigMap, KEY);
    const failure = failureOf(got);
    const expected = "the connection to the API server was closed";
    while (requests.length === 0) await new Promise(setImmediate);
    stop.abort();
    expect(await failure).toBe(expected);
  });
});
