import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigMap, CustomResourceDefinition } from "../../src/api/builtin.ts";
import type { JsonObject } from "../../src/base/json.ts";
import { ADMIN_TOKEN, type RawAnswer, serveTestApi, type TestApi } from "../support/served-api.ts";

const GROUP = "bad-input.example";
const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
const THINGS = `/apis/${GROUP}/v1/namespaces/default/things`;

/** One request may hold the process for this long: generous for a busy machine, far below what an unbounded one takes. */
const BOUNDED_MS = 10_000;
/** Connections that say nothing; `IDLE_CONNECTIONS=10000` is the long form, by hand. */
const IDLE_CONNECTIONS = Number(process.env["IDLE_CONNECTIONS"] ?? 500);

let test: TestApi;

beforeAll(async () => {
  test = await serveTestApi();
  const spec: JsonObject = {
    type: "object",
    required: ["size"],
    properties: {
      size: { type: "integer", minimum: 1 },
      name: { type: "string", maxLength: 5, pattern: "^[a-z]+$" },
      // As long as the estimate for the rule below lets it be.
      list: { type: "array", maxItems: 1800, items: { type: "string" } },
      slow: { type: "string", pattern: "^(a+)+$" },
      color: { type: "string", enum: ["red"] },
    },
    "x-kubernetes-validations": [
      { rule: "!has(self.list) || self.list.all(x, self.list.all(y, x != y + 'z'))" },
      { rule: "!has(self.name) || self.name.matches('^(a+)+$') || true" },
    ],
  };
  await test.cluster.create(CustomResourceDefinition, {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `things.${GROUP}` },
    spec: {
      group: GROUP,
      scope: "Namespaced",
      names: { plural: "things", kind: "Thing" },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object", properties: { spec } } },
        },
      ],
    },
  });
});
afterAll(async () => {
  expect((await test.send("/readyz")).text).toBe("ok");
  await test.close();
});

/** Sends a body; the server must answer in bounded time. */
async function post(path: string, body: string, type = "application/json"): Promise<RawAnswer> {
  const began = performance.now();
  const answer = await test.send(path, { method: "POST", headers: { "content-type": type }, body });
  expect(performance.now() - began).toBeLessThan(BOUNDED_MS);
  return answer;
}

const refused = (status: number, reason: string, message: RegExp | string): object => ({
  status,
  json: { kind: "Status", status: "Failure", reason, code: status, message: expect.stringMatching(message) as unknown },
});

describe("bad input over REST", () => {
  it("malformed JSON", async () => {
    expect(await post(CONFIG_MAPS, '{"metadata":')).toMatchObject(refused(400, "BadRequest", /json parse error/));
  });

  it("wrong content type", async () => {
    expect(await post(CONFIG_MAPS, "<a/>", "application/xml")).toMatchObject(
      refused(415, "UnsupportedMediaType", /accepted media types include/),
    );
  });

  it("unknown fields of a built-in and of a custom kind", async () => {
    const strict = "?fieldValidation=Strict";
    expect(await post(`${CONFIG_MAPS}${strict}`, '{"metadata":{"name":"u"},"dota":{}}')).toMatchObject(
      refused(400, "BadRequest", 'strict decoding error: unknown field "dota"'),
    );
    expect(await post(`${THINGS}${strict}`, '{"metadata":{"name":"u"},"spec":{"size":1,"sise":1}}')).toMatchObject(
      refused(400, "BadRequest", 'strict decoding error: unknown field "spec.sise"'),
    );
    const warned = await post(`${CONFIG_MAPS}?dryRun=All`, '{"metadata":{"name":"u"},"dota":{}}');
    expect(warned.headers["warning"]).toBe('299 - "unknown field \\"dota\\""');
  });

  it("invalid names", async () => {
    for (const name of ["A", "a_b", "../x", "a b", "x".repeat(254)])
      expect(await post(CONFIG_MAPS, JSON.stringify({ metadata: { name } }))).toMatchObject(
        refused(422, "Invalid", /metadata\.name: Invalid value/),
      );
  });

  it("schema violations: every cause with its field", async () => {
    const spec = { size: 0, name: "TOO LONG", list: ["a", 5], color: "blue" };
    const answer = await post(THINGS, JSON.stringify({ metadata: { name: "v" }, spec }));
    expect(answer).toMatchObject(refused(422, "Invalid", /is invalid: \[/));
    const { details } = answer.json as { details: { causes: { field: string; reason: string }[] } };
    expect(details.causes.map(({ field }) => field).toSorted()).toEqual([
      "<nil>",
      "spec.color",
      "spec.list[1]",
      "spec.name",
      "spec.name",
      "spec.size",
    ]);
  });

  it("CEL that costs too much", async () => {
    const list = Array.from({ length: 1800 }, (_, index) => `k${index}`);
    expect(await post(THINGS, JSON.stringify({ metadata: { name: "c" }, spec: { size: 1, list } }))).toMatchObject(
      refused(422, "Invalid", /actual cost limit exceeded/),
    );
  });

  it("absurd selectors", async () => {
    const select = (selector: string): Promise<RawAnswer> =>
      test.send(`${CONFIG_MAPS}?labelSelector=${encodeURIComponent(selector)}`);
    expect(await select("((((")).toMatchObject(refused(400, "BadRequest", /found '\('/));
    expect(await select(`a in (${"x,".repeat(10_000)}x)`)).toMatchObject(
      refused(400, "BadRequest", "label selector is longer than 16384 bytes"),
    );
    expect(await select("a,".repeat(4000) + "a")).toMatchObject({ status: 200 });
    const fields = await test.send(
      `${CONFIG_MAPS}?fieldSelector=${encodeURIComponent("metadata.name=a,".repeat(900))}`,
    );
    expect(fields.status).toBe(200);
  });

  it("gigantic objects", async () => {
    const large = (bytes: number): string =>
      JSON.stringify({ metadata: { name: "g" }, data: { a: "x".repeat(bytes) } });
    expect(await post(CONFIG_MAPS, large(2 * 1024 * 1024))).toMatchObject(
      refused(422, "Invalid", "Too long: may not be more than 1048576 bytes"),
    );
    expect(await post(CONFIG_MAPS, large(4 * 1024 * 1024))).toMatchObject(
      refused(413, "RequestEntityTooLarge", "limit is 3145728"),
    );
  });

  it("deep nesting, in JSON and in YAML", async () => {
    const deep = "[".repeat(100_000);
    const whole = `{"metadata":{"name":"d"},"data":${deep}${"]".repeat(100_000)}}`;
    expect(await post(CONFIG_MAPS, deep)).toMatchObject(refused(400, "BadRequest", /parse error/));
    expect(await post(CONFIG_MAPS, whole)).toMatchObject(
      refused(400, "BadRequest", "nesting is deeper than 500 levels"),
    );
    expect(await post(CONFIG_MAPS, deep, "application/yaml")).toMatchObject(
      refused(400, "BadRequest", "nesting is deeper than 500 levels"),
    );
    const blocks = Array.from({ length: 700 }, (_, index) => `${" ".repeat(index)}a:`).join("\n");
    // Read to its end; a ConfigMap keeps nothing of it, and has no name.
    expect(await post(CONFIG_MAPS, blocks, "application/yaml")).toMatchObject(
      refused(422, "Invalid", /name or generateName is required/),
    );
  });

  it("YAML of a billion laughs, with cycles, and too large", async () => {
    const laughs = ["a: &a [x,x,x,x,x,x,x,x,x,x]"];
    for (const [index, letter] of "bcdefghij".split("").entries())
      laughs.push(
        `${letter}: &${letter} [${Array(10)
          .fill(`*${"abcdefghij"[index] ?? "a"}`)
          .join(",")}]`,
      );
    expect(await post(CONFIG_MAPS, laughs.join("\n"), "application/yaml")).toMatchObject(
      refused(400, "BadRequest", /yaml parse error/),
    );
    expect(await post(CONFIG_MAPS, "metadata: &a {name: y, labels: *a}", "application/yaml")).toMatchObject({
      status: 400,
    });
    expect(await post(CONFIG_MAPS, "a:\n" + "  - b\n".repeat(100_000), "application/yaml")).toMatchObject(
      refused(413, "RequestEntityTooLarge", "limit of YAML is 262144: send JSON"),
    );
  });

  it("regular expressions that backtrack without end, in schemas and in rules", async () => {
    const slow = `${"a".repeat(50_000)}!`;
    expect(await post(THINGS, JSON.stringify({ metadata: { name: "r" }, spec: { size: 1, slow } }))).toMatchObject(
      refused(422, "Invalid", /spec\.slow in body should match/),
    );
  });

  it("keys that are members of every JavaScript object", async () => {
    const body =
      '{"metadata":{"name":"p","labels":{"constructor":"x"}},"data":{"__proto__":"polluted","toString":"x"}}';
    const answer = await post(CONFIG_MAPS, body);
    expect(answer.status).toBe(201);
    expect(answer.text).toContain('"__proto__":"polluted"');
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
    const patch = await test.send(`${CONFIG_MAPS}/p`, {
      method: "PATCH",
      headers: { "content-type": "application/merge-patch+json" },
      body: '{"data":{"__proto__":null,"constructor":"y"}}',
    });
    expect(patch.json).toMatchObject({ data: { constructor: "y", toString: "x" } });
    expect(patch.text).not.toContain("__proto__");
  });

  it("patches that double the object with every operation", async () => {
    await post(CONFIG_MAPS, '{"metadata":{"name":"bomb"},"data":{"a":"x"}}');
    const operations = Array.from({ length: 60 }, (_, index) => ({
      op: "copy",
      from: "/data",
      path: `/data/k${index}`,
    }));
    const answer = await test.send(`${CONFIG_MAPS}/bomb`, {
      method: "PATCH",
      headers: { "content-type": "application/json-patch+json" },
      body: JSON.stringify(operations),
    });
    expect(answer).toMatchObject(refused(413, "RequestEntityTooLarge", /accumulated size increase of copy/));
  });
});

describe("many and slow clients", () => {
  const connect = (): Promise<TLSSocket> =>
    new Promise((resolve, reject) => {
      const socket = connectTls({ host: "127.0.0.1", port: test.api.port, ca: test.ca.certificatePem });
      socket.once("error", reject);
      socket.once("secureConnect", () => {
        socket.on("error", () => undefined); // cut by the server
        resolve(socket);
      });
    });

  it("a flood of watches: each sees the change, and all of them go", async () => {
    const controller = new AbortController();
    const seen = Array.from({ length: 300 }, async () => {
      for await (const event of test.cluster.watch(
        ConfigMap,
        { namespace: "default", labelSelector: "flood=yes" },
        controller.signal,
      ))
        return event.type;
      return "ended";
    });
    const client = test.connect();
    const remote = Array.from({ length: 100 }, async () => {
      for await (const event of client.watch(
        ConfigMap,
        { namespace: "default", labelSelector: "flood=yes" },
        controller.signal,
      ))
        return event.type;
      return "ended";
    });
    await post(CONFIG_MAPS, '{"metadata":{"name":"flood","labels":{"flood":"yes"}}}');
    expect(new Set(await Promise.all([...seen, ...remote]))).toEqual(new Set(["ADDED"]));
    controller.abort();
  });

  it(`${IDLE_CONNECTIONS} connections that say nothing: memory stays bounded and others are answered`, async () => {
    const before = process.memoryUsage.rss();
    const sockets: TLSSocket[] = [];
    while (sockets.length < IDLE_CONNECTIONS) {
      sockets.push(...(await Promise.all(Array.from({ length: 50 }, connect))));
      expect((await test.send("/readyz")).status).toBe(200);
    }
    const perConnection = (process.memoryUsage.rss() - before) / IDLE_CONNECTIONS;
    // Both ends of every connection are in this process.
    expect(perConnection).toBeLessThan(400 * 1024);
    expect((await test.send(CONFIG_MAPS)).status).toBe(200);
    const open = /^apiserver_connections (\d+)$/m.exec((await test.send("/metrics")).text)?.[1];
    expect(Number(open)).toBeLessThanOrEqual(8192);
    for (const socket of sockets) socket.destroy();
  }, 120_000);

  it("slow loris: headers and bodies that never end are cut, and nobody waits for them", async () => {
    const closed = (socket: TLSSocket): Promise<string> =>
      new Promise((resolve) => {
        let text = "";
        socket.on("data", (data: Buffer) => (text += data.toString()));
        socket.once("close", () => resolve(text));
      });
    const sockets = await Promise.all(Array.from({ length: 20 }, connect));
    const ends = sockets.map(closed);
    for (const socket of sockets) socket.write("GET /readyz HTTP/1.1\r\nHost: a\r\nX-");
    const drip = setInterval(() => {
      for (const socket of sockets) socket.write("a");
    }, 500);
    try {
      expect((await test.send("/readyz")).status).toBe(200);
      for (const text of await Promise.all(ends)) expect(text).toMatch(/^HTTP\/1\.1 408 /);
    } finally {
      clearInterval(drip);
    }
    const half = await connect();
    half.write(
      `POST ${CONFIG_MAPS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\nContent-Length: 100\r\n\r\n{`,
    );
    expect((await test.send("/readyz")).status).toBe(200);
    half.destroy();
  }, 60_000);
});
