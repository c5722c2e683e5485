import { create } from "@bufbuild/protobuf";
import { mkdtemp, rm } from "node:fs/promises";
import { connect as connectHttp2 } from "node:http2";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WORLD_NOW_MS, randomQuestion, randomWorld } from "../../../test/oracle/permission-worlds.ts";
import { signedSnapshot, testKey } from "../../../test/oracle/signed-snapshots.ts";
import {
  CheckPermissionRequestSchema,
  PermissionService,
} from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { type GrpcClient, createGrpcClient } from "../../api/grpc/client.ts";
import { ManualClock, systemClock } from "../../base/clock.ts";
import { type JsonObject, isJsonObject } from "../../base/json.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { CertificateAuthority } from "../../trust/ca/certificate-authority.ts";
import { clientCredentials } from "../../trust/tls/client-credentials.ts";
import { fixedTls } from "../../trust/tls/tls-material.ts";
import { type RunningPermissionService, startPermissionService } from "../service/start-permission-service.ts";
import { type SnapshotStore, openSnapshotStore } from "../store/snapshot-store.ts";
import { codeName } from "./wire-names.ts";
import { type PermissionHttp, startPermissionHttp } from "./start-permission-http.ts";
import { MAX_BODY_BYTES } from "./read-json.ts";

interface Certified {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

interface Answer {
  readonly code: number;
  readonly body: JsonObject;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

const REVIEW = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const CONNECT = `/${PermissionService.typeName}`;
const key = testKey();
const stop = new AbortController();
// Worlds have grants that end: the same wall time for everything.
const clock = { ...systemClock, now: () => WORLD_NOW_MS };
const TOKENS = new Map([
  ["good", "system:serviceaccount:ont-system:reader"],
  ["stranger", "system:serviceaccount:hello:hello"],
]);
/** Whose decisions a test looks up in the audit log. */
const LOGGED = "logged-user";
const logged: JsonObject[] = [];
let directory: string;
let ca: CertificateAuthority;
let store: SnapshotStore;
let grpc: RunningPermissionService;
let http: PermissionHttp;
let operator: Certified;
let client: GrpcClient<typeof PermissionService>;
let sequence = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "permission-http-"));
  ca = await CertificateAuthority.create("operators", { clock });
  const server = await ca.issue({
    kind: "server",
    commonName: "t",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
  });
  const tls = fixedTls({ ...server, caPem: ca.certificatePem });
  const common = { clock, log: silentLog, signal: stop.signal };
  store = await openSnapshotStore({ directory, cluster: "tenant-1", keys: key.ring, ...common });
  const listen = { address: "127.0.0.1", port: 0, tls, ...common };
  grpc = await startPermissionService({
    ...listen,
    store,
    cluster: "tenant-1",
    audit: {
      audit: async (event) => {
        if (event["subject"] === LOGGED) logged.push(event);
      },
    },
    random: new SeededRandom(1),
  });
  http = await startPermissionHttp({
    ...listen,
    methods: grpc.methods,
    bodyDeadlineMs: 200,
    authenticateToken: (token) => {
      const name = TOKENS.get(token);
      if (name === undefined) return Promise.resolve({ ok: false, reason: "TokenRefused", detail: "unknown" });
      const principal = { kind: "token", name, groups: [], certificateSerial: "", notAfterMs: Infinity } as const;
      return Promise.resolve({ ok: true, principal });
    },
  });
  operator = await ca.issue({ kind: "operator", user: "ops", groups: ["seam:operators"] });
  client = createGrpcClient(PermissionService, {
    address: `127.0.0.1:${grpc.port}`,
    credentials: clientCredentials({ ...operator, caPem: ca.certificatePem }),
  });
});

afterAll(async () => {
  client.close();
  stop.abort();
  await Promise.all([grpc.closed, http.closed, store.closed]);
  await rm(directory, { recursive: true });
});

/** Sends what it is given, right or wrong. */
function send(
  path: string,
  options: {
    readonly body?: string | Uint8Array;
    readonly json?: unknown;
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly identity?: Certified | undefined;
    /** Leaves the request open after the body. */
    readonly unfinished?: boolean;
  } = {},
): Promise<Answer> {
  const { method = "POST", headers = {}, unfinished = false } = options;
  const identity = "identity" in options ? options.identity : operator;
  const body = options.body ?? (options.json === undefined ? "" : JSON.stringify(options.json));
  return new Promise((resolve, reject) => {
    const call = httpsRequest(
      {
        host: "127.0.0.1",
        port: http.port,
        path,
        method,
        agent: false,
        ca: ca.certificatePem,
        ...(identity !== undefined && { cert: identity.certificatePem, key: identity.privateKeyPem }),
        headers: { "content-type": "application/json", ...headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          const value: unknown = text.startsWith("{") ? JSON.parse(text) : { text };
          resolve({
            code: response.statusCode ?? 0,
            body: isJsonObject(value) ? value : {},
            headers: response.headers,
          });
        });
      },
    );
    call.on("error", reject);
    if (unfinished) call.write(body);
    else call.end(body);
  });
}

async function activate(seed: number): Promise<void> {
  sequence += 1;
  const content = { ...randomWorld(new SeededRandom(seed)), targetCluster: "tenant-1" };
  const snapshot = signedSnapshot(content, key, { sequence, issuedAtMs: clock.now() });
  await store.activate(await store.prepare(snapshot.envelope, () => Promise.resolve(snapshot.content)));
}

const review = (spec: JsonObject): JsonObject => ({
  apiVersion: "authorization.k8s.io/v1",
  kind: "SubjectAccessReview",
  spec,
});
const podsOf = (user: string): JsonObject =>
  review({ user, resourceAttributes: { verb: "get", resource: "pods", namespace: "default" } });

it("has no opinion, and says why, while nothing is loaded", async () => {
  const { code, body } = await send(REVIEW, { json: podsOf("alice") });
  expect(code).toBe(200);
  expect(body["status"]).toMatchObject({
    allowed: false,
    denied: false,
    evaluationError: expect.stringContaining("SNAPSHOT_NOT_LOADED") as string,
  });
  const authzen = {
    subject: { type: "user", id: "alice" },
    action: { name: "get" },
    resource: { type: "pods", id: "" },
  };
  expect((await send("/access/v1/evaluation", { json: authzen })).body).toMatchObject({
    decision: false,
    context: { code: "SNAPSHOT_NOT_LOADED" },
  });
});

it("logs the denies of every form as those of gRPC", async () => {
  await send(REVIEW, { json: podsOf(LOGGED) });
  const evaluation = {
    subject: { type: "user", id: LOGGED },
    action: { name: "get" },
    resource: { type: "pods", id: "" },
  };
  await send("/access/v1/evaluation", { json: evaluation });
  await send("/access/v1/evaluations", { json: { evaluations: [evaluation, evaluation] } });
  await send(`${CONNECT}/CheckPermission`, { json: { principal: LOGGED, verb: "get", resource: "pods" } });
  await expect.poll(() => logged.length, { timeout: 15_000 }).toBe(5);
  for (const event of logged)
    expect(event).toMatchObject({ action: "authz.decision", decision: "deny", verb: "get", resource: "pods" });
});

it("decides in every form as on gRPC (contract)", async () => {
  const random = new SeededRandom(7);
  let allowed = 0;
  for (let seed = 1; seed <= 6; seed++) {
    await activate(seed);
    const evaluations: JsonObject[] = [];
    const wanted: boolean[] = [];
    for (let n = 0; n < 40; n++) {
      const { user, groups, request } = randomQuestion(random);
      // What no form takes has its own tests below.
      const isPath = request.form === "path";
      if (request.verb === "" || (isPath ? request.path === "" : !/^[^/]+$/.test(request.resource))) continue;
      const check = {
        principal: user,
        groups: [...groups],
        verb: request.verb,
        ...(isPath
          ? { path: request.path }
          : {
              apiGroup: request.apiGroup,
              resource: request.resource,
              subresource: request.subresource,
              resourceName: request.name,
              namespace: request.namespace,
            }),
      };
      const expected = await client.checkPermission({ ...check, deriveGroups: false });
      const attributes = isPath
        ? { nonResourceAttributes: { path: request.path, verb: request.verb } }
        : {
            resourceAttributes: {
              verb: request.verb,
              group: request.apiGroup,
              resource: request.resource,
              subresource: request.subresource,
              name: request.name,
              namespace: request.namespace,
            },
          };
      const sar = await send(REVIEW, { json: review({ user, groups: [...groups], ...attributes }) });
      expect(sar.body["status"]).toEqual({
        allowed: expected.allowed,
        denied: false,
        reason: `${codeName(expected.code)}: ${expected.reason}`,
      });
      const derived = await client.checkPermission(check);
      const connect = await send(`${CONNECT}/CheckPermission`, { json: check });
      expect(connect.body["allowed"] ?? false).toBe(derived.allowed);
      expect(connect.body).toMatchObject({ code: codeName(derived.code), reason: derived.reason });
      const type = isPath
        ? "nonResourceURL"
        : [request.apiGroup, request.resource, request.subresource]
            .slice(0, request.subresource === "" ? 2 : 3)
            .join("/");
      const evaluation = {
        subject: { type: "user", id: user, properties: { groups: [...groups] } },
        action: { name: request.verb },
        resource: { type, id: isPath ? request.path : request.name },
        ...(!isPath && { context: { namespace: request.namespace } }),
      };
      const one = await send("/access/v1/evaluation", { json: evaluation });
      expect(one.body).toMatchObject({ decision: derived.allowed, context: { code: codeName(derived.code) } });
      evaluations.push(evaluation);
      wanted.push(derived.allowed);
      if (derived.allowed) allowed++;
    }
    const { body } = await send("/access/v1/evaluations", { json: { evaluations } });
    expect((body["evaluations"] as readonly JsonObject[]).map(({ decision }) => decision)).toEqual(wanted);
  }
  expect(allowed).toBeGreaterThan(20);
});

describe("callers", () => {
  beforeEach(() => activate(1));

  it("come by client certificate or token, and by nothing else", async () => {
    const json = podsOf("alice");
    const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
    expect((await send(REVIEW, { json, identity: undefined, headers: bearer("good") })).code).toBe(200);
    for (const headers of [{}, bearer("bad"), { authorization: "Basic YTpi" }, { authorization: "Bearer" }]) {
      const { code, body, headers: sent } = await send(REVIEW, { json, identity: undefined, headers });
      expect([code, body["reason"], sent["www-authenticate"]]).toEqual([401, "Unauthorized", "Bearer"]);
    }
    const foreign = await CertificateAuthority.create("others", { clock });
    const identity = await foreign.issue({ kind: "operator", user: "ops", groups: ["seam:operators"] });
    await expect(send(REVIEW, { json, identity })).rejects.toThrow(/socket|ECONNRESET|alert/);
  });

  it("without the right to ask about others get an inability, not a decision", async () => {
    const headers = { authorization: "Bearer stranger" };
    const { body } = await send(REVIEW, { json: podsOf("alice"), identity: undefined, headers });
    expect(body["status"]).toMatchObject({
      allowed: false,
      evaluationError: expect.stringContaining("CALLER_NOT_AUTHORIZED") as string,
    });
  });
});

describe("malformed input", () => {
  beforeEach(() => activate(1));
  const user = "alice";
  const resourceAttributes = { verb: "get", resource: "pods" };

  it.each([
    ["no JSON", { body: "{" }, 400],
    ["no UTF-8", { body: Uint8Array.of(0x22, 0xff, 0x22) }, 400],
    ["no object", { json: [] }, 400],
    ["another kind", { json: { ...podsOf("a"), kind: "Pod" } }, 400],
    ["another version", { json: { ...podsOf("a"), apiVersion: "authorization.k8s.io/v1beta1" } }, 400],
    ["no attributes", { json: review({ user }) }, 400],
    [
      "both attributes",
      { json: review({ user, resourceAttributes, nonResourceAttributes: { path: "/", verb: "get" } }) },
      400,
    ],
    ["an empty path", { json: review({ user, nonResourceAttributes: { path: "", verb: "get" } }) }, 400],
    ["numbers as groups", { json: review({ user, groups: [1], resourceAttributes }) }, 400],
    [
      "a subresource in the resource",
      { json: review({ user, resourceAttributes: { verb: "get", resource: "pods/log" } }) },
      400,
    ],
    [
      "another media type",
      { json: podsOf("a"), headers: { "content-type": "application/vnd.kubernetes.protobuf" } },
      415,
    ],
    ["a compressed body", { json: podsOf("a"), headers: { "content-encoding": "gzip" } }, 415],
    ["a body too large", { body: " ".repeat(MAX_BODY_BYTES + 1) }, 413],
    [
      "a body too large without a length",
      { body: " ".repeat(MAX_BODY_BYTES + 1), headers: { "transfer-encoding": "chunked" } },
      413,
    ],
    ["another method", { method: "PUT", json: podsOf("a") }, 405],
    ["a body that does not come", { body: "{", unfinished: true }, 408],
  ] as const)("of a review is refused: %s", async (_, options, code) => {
    const answer = await send(REVIEW, options);
    expect([answer.code, answer.body["kind"], answer.body["status"]]).toEqual([code, "Status", "Failure"]);
    expect(answer.body["message"]).not.toBe("");
  });

  it("of a value no answer can rest on is an evaluationError", async () => {
    const groups = Array.from({ length: 300 }, (_, at) => `group-${at}`);
    for (const spec of [
      { user: "", resourceAttributes },
      { user: "a".repeat(65_536), resourceAttributes },
      { user: "a\0b", resourceAttributes },
      { user, groups, resourceAttributes },
      { user, resourceAttributes: { ...resourceAttributes, verb: "" } },
      { user, resourceAttributes: { verb: "get" } },
    ]) {
      const { code, body } = await send(REVIEW, { json: review(spec) });
      expect([code, body["status"]]).toEqual([
        200,
        { allowed: false, denied: false, evaluationError: expect.stringMatching(/./) as string },
      ]);
    }
  });

  it("of an evaluation is named; in a batch it spoils no other", async () => {
    const good = { subject: { type: "user", id: user }, action: { name: "get" }, resource: { type: "pods", id: "" } };
    const faults: readonly (readonly [JsonObject, string])[] = [
      [{ ...good, subject: { type: "robot", id: user } }, "subject.type must be user or serviceaccount"],
      [{ ...good, resource: { type: "a//", id: "" } }, "resource.type must be group/resource"],
      [{ ...good, resource: { type: "nonResourceURL", id: "" } }, "resource.id must be the path"],
      [{ action: good.action, resource: good.resource }, "subject is required"],
      [{ ...good, action: { name: 7 } }, "action.name must be a string"],
      [{ ...good, context: { namespace: ["x"] } }, "context.namespace must be a string"],
      [{ ...good, subject: { type: "user", id: "" } }, "principal is required"],
    ];
    for (const [json, message] of faults) {
      const { code, body } = await send("/access/v1/evaluation", { json });
      expect([code, body["message"]]).toEqual([400, expect.stringContaining(message) as string]);
    }
    const { body } = await send("/access/v1/evaluations", {
      json: { ...good, evaluations: [{}, ...faults.slice(0, 1).map(([item]) => item), "x"] },
    });
    expect(body["evaluations"]).toMatchObject([
      { context: { code: expect.stringMatching(/^[A-Z_]+$/) as string } },
      { decision: false, context: { error: { status: 400 } } },
      { decision: false, context: { error: { status: 400 } } },
    ]);
    const tooMany = { ...good, evaluations: Array.from({ length: 1_001 }, () => ({})) };
    expect((await send("/access/v1/evaluations", { json: tooMany })).code).toBe(400);
    const options = { evaluations_semantic: "sometimes" };
    expect((await send("/access/v1/evaluations", { json: { ...good, options, evaluations: [{}] } })).code).toBe(400);
  });

  it("by Connect has the details of the rich error model", async () => {
    const { code, body } = await send(`${CONNECT}/CheckPermission`, { json: { principal: "" } });
    expect([code, body["code"]]).toEqual([400, "invalid_argument"]);
    expect(JSON.stringify(body["details"])).toContain("google.rpc.BadRequest");
    expect((await send(`${CONNECT}/Nothing`, { json: {} })).code).toBe(404);
    expect((await send("/", { method: "GET" })).code).toBe(404);
  });
});

it("stops a batch where its semantics say", async () => {
  await activate(1);
  const item = { subject: { type: "user", id: "nobody" }, action: { name: "get" }, resource: { type: "pods", id: "" } };
  const options = { evaluations_semantic: "deny_on_first_deny" };
  const { body } = await send("/access/v1/evaluations", { json: { options, evaluations: [item, item, item] } });
  expect(body["evaluations"]).toHaveLength(1);
});

it("echoes the request id of AuthZEN and leaves out caches", async () => {
  const item = { subject: { type: "user", id: "a" }, action: { name: "get" }, resource: { type: "pods", id: "" } };
  const { headers } = await send("/access/v1/evaluation", { json: item, headers: { "x-request-id": "r-1" } });
  expect([headers["x-request-id"], headers["cache-control"]]).toEqual(["r-1", "no-store"]);
});

it("serves many requests on one HTTP/2 connection, as the API server sends them", async () => {
  await activate(2);
  const session = connectHttp2(`https://localhost:${http.port}`, {
    ca: ca.certificatePem,
    cert: operator.certificatePem,
    key: operator.privateKeyPem,
  });
  const ask = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const stream = session.request({
        ":method": "POST",
        ":path": `${REVIEW}?timeout=30s`,
        "content-type": "application/json",
      });
      let text = "";
      stream.setEncoding("utf8");
      stream.on("data", (chunk: string) => (text += chunk));
      stream.on("end", () => resolve(text));
      stream.on("error", reject);
      stream.end(JSON.stringify(podsOf("alice")));
    });
  const expected = await client.checkPermission(
    create(CheckPermissionRequestSchema, {
      principal: "alice",
      verb: "get",
      resource: "pods",
      namespace: "default",
      deriveGroups: false,
    }),
  );
  for (const text of await Promise.all(Array.from({ length: 50 }, ask)))
    expect(text).toContain(`"reason":"${codeName(expected.code)}`);
  session.close();
});

it("lets answers under way leave when it stops", async () => {
  const manual = new ManualClock(WORLD_NOW_MS);
  const own = new AbortController();
  let release = (): void => {};
  const waiting = new Promise<void>((resolve) => {
    release = resolve;
  });
  const server = await ca.issue({ kind: "server", commonName: "t", dnsNames: [], ipAddresses: ["127.0.0.1"] });
  let asked = (): void => {};
  const reached = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const stopping = await startPermissionHttp({
    address: "127.0.0.1",
    port: 0,
    tls: fixedTls({ ...server, caPem: ca.certificatePem }),
    methods: {
      ...grpc.methods,
      checkPermission: async (request, context) => {
        asked();
        await waiting;
        return grpc.methods.checkPermission(request, context);
      },
    },
    clock: manual,
    log: silentLog,
    signal: own.signal,
  });
  const before = http;
  http = stopping;
  try {
    const answer = send(REVIEW, { json: podsOf("alice") });
    await reached;
    own.abort();
    release();
    expect((await answer).code).toBe(200);
    await stopping.closed;
    await expect(send(REVIEW, { json: podsOf("alice") })).rejects.toThrow("ECONNREFUSED");
  } finally {
    http = before;
  }
});
