import { connect, type ClientHttp2Session, constants, type IncomingHttpHeaders } from "node:http2";
import { connect as connectTls } from "node:tls";
import { gunzipSync } from "node:zlib";
import { request } from "node:https";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigMap } from "../../src/api/builtin.ts";
import { ADMIN_TOKEN, serveTestApi, type TestApi } from "../support/served-api.ts";

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
const authorization = `Bearer ${ADMIN_TOKEN}`;

let test: TestApi;
beforeAll(async () => {
  test = await serveTestApi();
});
afterAll(() => test.close());

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** HTTP/2 code with which the stream ended. */
  readonly code: number;
}

function session(): ClientHttp2Session {
  // What this client still holds of bodies that nobody took counts against its own session.
  const made = connect(test.api.url, { ca: test.ca.certificatePem, maxSessionMemory: 1000 });
  made.on("error", () => undefined); // cut by the server: that is what some tests are about
  return made;
}

function ask(over: ClientHttp2Session, headers: Record<string, string | string[]>, body?: Buffer): Promise<Answer> {
  return new Promise((resolve) => {
    const stream = over.request({ authorization, ...headers });
    let answered: IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    stream.on("response", (response) => (answered = response));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", () => undefined); // told by the code
    stream.on("close", () =>
      resolve({
        status: Number(answered[":status"] ?? 0),
        headers: answered,
        body: Buffer.concat(chunks),
        code: stream.rstCode ?? 0,
      }),
    );
    stream.end(body);
  });
}

/** One HTTP/1.1 request with its body as it came over the wire. */
function raw(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ headers: IncomingHttpHeaders; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${test.api.url}${path}`,
      { ca: test.ca.certificatePem, headers: { authorization, ...headers } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
      },
    );
    sent.on("error", reject);
    sent.end();
  });
}

describe("HTTP/2", () => {
  it("is chosen by ALPN, as is HTTP/1.1", async () => {
    const chosen = (protocols: string[]): Promise<string | false | null> =>
      new Promise((resolve, reject) => {
        const socket = connectTls({
          host: "127.0.0.1",
          port: test.api.port,
          ca: test.ca.certificatePem,
          ALPNProtocols: protocols,
        });
        socket.once("error", reject);
        socket.once("secureConnect", () => {
          resolve(socket.alpnProtocol);
          socket.destroy();
        });
      });
    expect(await chosen(["h2", "http/1.1"])).toBe("h2");
    expect(await chosen(["http/1.1"])).toBe("http/1.1");
  });

  it("answers many requests and watches over one connection", async () => {
    const over = session();
    const watch = over.request({ ":path": `${CONFIG_MAPS}?watch=1&labelSelector=h2`, authorization });
    const line = new Promise<string>((resolve) => watch.once("data", (data: Buffer) => resolve(data.toString())));
    await new Promise((resolve) => watch.once("response", resolve));
    const created = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        ask(
          over,
          { ":path": CONFIG_MAPS, ":method": "POST", "content-type": "application/json" },
          Buffer.from(JSON.stringify({ metadata: { name: `h2-${index}`, labels: index === 7 ? { h2: "yes" } : {} } })),
        ),
      ),
    );
    expect(created.map(({ status }) => status)).toEqual(Array(40).fill(201));
    expect(JSON.parse(await line)).toMatchObject({ type: "ADDED", object: { metadata: { name: "h2-7" } } });
    watch.close();
    over.close();
  });

  it("answers a body that is too large or not wanted without waiting for it, and goes on with the connection", async () => {
    const over = session();
    const post = { ":path": CONFIG_MAPS, ":method": "POST", "content-type": "application/json" };
    const large = Buffer.alloc(5 * 1024 * 1024, " ");
    // Over and over: what was cut must not count against the memory of the session for ever.
    for (let times = 0; times < 10; times++)
      expect(await ask(over, post, large)).toMatchObject({ status: 413, code: constants.NGHTTP2_NO_ERROR });
    const announced = await ask(over, { ...post, "content-length": String(large.length) }, large);
    expect(announced).toMatchObject({ status: 413, code: constants.NGHTTP2_NO_ERROR });
    for (let times = 0; times < 10; times++)
      expect(await ask(over, { ...post, ":path": "/nowhere" }, large)).toMatchObject({ status: 405 });
    expect(await ask(over, { ":path": "/readyz" })).toMatchObject({ status: 200 });
    over.close();
  });

  it("keeps repeated impersonation headers apart", async () => {
    const over = session();
    const answer = await ask(
      over,
      {
        ":path": "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        ":method": "POST",
        "content-type": "application/json",
        "impersonate-user": "eve",
        "impersonate-group": ["a, b", "c"],
      },
      Buffer.from(JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" })),
    );
    expect(JSON.parse(answer.body.toString())).toMatchObject({
      status: { userInfo: { username: "eve", groups: ["a, b", "c", "system:authenticated"] } },
    });
    over.close();
  });

  it("bounds streams and headers of one client", async () => {
    const over = session();
    await new Promise((resolve) => over.once("remoteSettings", resolve));
    expect(over.remoteSettings).toMatchObject({ maxConcurrentStreams: 100, maxHeaderListSize: 64 * 1024 });
    const large = await ask(over, { ":path": "/readyz", "x-large": "x".repeat(120 * 1024) });
    expect(large.status === 431 || large.code !== constants.NGHTTP2_NO_ERROR).toBe(true);
    over.destroy();
    const again = session();
    expect(await ask(again, { ":path": "/readyz" })).toMatchObject({ status: 200 });
    again.close();
  });

  it("cuts a client that opens and resets streams without end", async () => {
    const over = session();
    await new Promise((resolve) => over.once("remoteSettings", resolve));
    let opened = 0;
    while (!over.destroyed && opened < 5_000) {
      const streams = Array.from({ length: 50 }, () => {
        const stream = over.request({ ":path": `${CONFIG_MAPS}?watch=1`, authorization });
        stream.on("error", () => undefined); // reset, or cut with the session
        return stream;
      });
      opened += streams.length;
      await Promise.all(
        streams.map(
          (stream) =>
            new Promise<void>((resolve) => {
              stream.once("response", () => resolve());
              stream.once("close", () => resolve());
            }),
        ),
      );
      for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
    }
    expect(over.destroyed).toBe(true);
    const other = session();
    expect(await ask(other, { ":path": "/readyz" })).toMatchObject({ status: 200 });
    other.close();
  });
});

describe("large answers", () => {
  beforeAll(async () => {
    const data = { text: "x".repeat(900) };
    await Promise.all(
      Array.from({ length: 400 }, (_, index) =>
        test.cluster.create(ConfigMap, {
          apiVersion: "v1",
          kind: "ConfigMap",
          metadata: { name: `large-${String(index).padStart(3, "0")}`, namespace: "default", labels: { large: "yes" } },
          data,
        }),
      ),
    );
  });
  const path = `${CONFIG_MAPS}?labelSelector=large`;

  it("are made in parts and compressed for whoever accepts it", async () => {
    const plain = await raw(path);
    expect(plain.headers["transfer-encoding"]).toBe("chunked");
    expect(plain.headers["content-encoding"]).toBeUndefined();
    const compressed = await raw(path, { "accept-encoding": "gzip" });
    expect(compressed.headers["content-encoding"]).toBe("gzip");
    expect(compressed.body.length).toBeLessThan(plain.body.length / 4);
    expect(gunzipSync(compressed.body).equals(plain.body)).toBe(true);
    const list = JSON.parse(plain.body.toString()) as { kind: string; items: { metadata: { name: string } }[] };
    expect(list.kind).toBe("ConfigMapList");
    expect(list.items).toHaveLength(400);
    expect(list.items[399]?.metadata.name).toBe("large-399");
    const refused = await raw(path, { "accept-encoding": "identity, gzip;q=0" });
    expect(refused.headers["content-encoding"]).toBeUndefined();
  });

  it("are the same as a table and as metadata, whole and in parts", async () => {
    for (const as of ["Table", "PartialObjectMetadataList"]) {
      const accept = `application/json;as=${as};v=v1;g=meta.k8s.io`;
      const parts = JSON.parse((await raw(path, { accept })).body.toString()) as Record<string, unknown>;
      const whole = JSON.parse((await raw(`${path}&pretty=1`, { accept })).body.toString()) as object;
      expect(parts).toEqual(whole);
      expect(parts[as === "Table" ? "rows" : "items"]).toHaveLength(400);
    }
  });

  it("compresses large documents, not small ones", async () => {
    const openApi = await raw("/openapi/v2", { "accept-encoding": "gzip" });
    expect(openApi.headers["content-encoding"]).toBe("gzip");
    expect(JSON.parse(gunzipSync(openApi.body).toString())).toMatchObject({ swagger: "2.0" });
    const version = await raw("/version", { "accept-encoding": "gzip" });
    expect(version.headers["content-encoding"]).toBeUndefined();
  });
});

describe("health and metrics", () => {
  it("answers each endpoint, single checks, and verbosely", async () => {
    expect(await test.send("/livez?verbose")).toMatchObject({ text: "[+]ping ok\nlivez check passed\n" });
    expect(await test.send("/readyz/storage")).toMatchObject({ status: 200, text: "ok" });
    expect(await test.send("/readyz/nothing")).toMatchObject({ status: 404 });
    expect((await test.send("/healthz?verbose&exclude=storage")).text).toBe(
      "[+]ping ok\n[+]shutdown ok\n[+]storage excluded: ok\nhealthz check passed\n",
    );
  });

  it("counts requests, watches and objects under their usual names", async () => {
    await test.send(`${CONFIG_MAPS}/nobody`);
    await test.send("/apis/made.up/v1/names");
    await test.send(`${CONFIG_MAPS}?watch=1&timeoutSeconds=1`);
    const { text, headers } = await test.send("/metrics");
    expect(headers["content-type"]).toContain("text/plain");
    const lines = text.split("\n");
    const series = (name: string, ...labels: string[]): string[] =>
      lines.filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)));
    const configMaps = 'group="",version="v1",resource="configmaps",subresource=""';
    expect(series("apiserver_request_total", 'verb="GET"', configMaps, 'scope="resource"', 'code="404"')).toHaveLength(
      1,
    );
    expect(series("apiserver_request_duration_seconds_bucket", 'le="0.005"', 'verb="GET"', configMaps)).toHaveLength(1);
    expect(series("apiserver_longrunning_requests", 'verb="WATCH"', configMaps)[0]).toMatch(/ 0$/);
    expect(series("apiserver_watch_events_total", 'resource="configmaps"')).toHaveLength(1);
    expect(series("apiserver_resource_objects", 'group="",resource="configmaps"')).toHaveLength(1);
    expect(series("apiserver_current_inflight_requests", 'request_kind="readOnly"')[0]).toMatch(/ 1$/);
    expect(series("apiserver_request_total", 'code="0"')).toEqual([]);
    expect(lines.filter((line) => line.includes("made.up"))).toEqual([]);
  });
});
