import { Client, Metadata, type ServiceError } from "@grpc/grpc-js";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { signedSnapshot, testKey } from "../../../test/oracle/signed-snapshots.ts";
import { contentOf } from "../../../test/oracle/edge-groups.ts";
import { grpcFailure } from "../../../test/support/grpc-failure.ts";
import { DecisionCode, PermissionService } from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { type GrpcClient, createGrpcClient } from "../../api/grpc/client.ts";
import { methodPath } from "../../api/grpc/service-definition.ts";
import { Status } from "../../api/grpc/status-error.ts";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import { CertificateAuthority } from "../../trust/ca/certificate-authority.ts";
import { clientCredentials } from "../../trust/tls/client-credentials.ts";
import { fixedTls } from "../../trust/tls/tls-material.ts";
import { type SnapshotStore, openSnapshotStore } from "../store/snapshot-store.ts";
import { type RunningPermissionService, startPermissionService } from "./start-permission-service.ts";
import { tokenReviews } from "./token-review.ts";

type Ask = GrpcClient<typeof PermissionService>;

const key = testKey();
const stop = new AbortController();
const TOKEN = "eyJhbGciOiJSUzI1NiJ9.secret-of-a-service-account.signature";
let logged = "";
let directory: string;
let ca: CertificateAuthority;
let store: SnapshotStore;
let service: RunningPermissionService;
let operator: Ask;
let alice: Ask;
const clients: { close(): void }[] = [];

const PODS = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };
const content = contentOf([
  { to: { kind: "User", namespace: "", name: "alice" }, rules: [PODS] },
  { to: { kind: "User", namespace: "", name: "admin" }, rules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }] },
  ...Array.from({ length: 5 }, (_, i) => ({
    to: { kind: "User", namespace: "", name: `user${i}` } as const,
    rules: [PODS],
  })),
]);

async function clientOf(user: string, groups: readonly string[]): Promise<Ask> {
  const issued = await ca.issue({ kind: "operator", user, groups });
  const credentials = clientCredentials({ ...issued, caPem: ca.certificatePem });
  const client = createGrpcClient(PermissionService, { address: `127.0.0.1:${service.port}`, credentials });
  clients.push(client);
  return client;
}

async function activate(sequence: number, name = "admin"): Promise<void> {
  const subjects = content.subjects.filter((subject) => subject.name !== "admin" || name === "admin");
  const changed = { ...content, subjects };
  const snapshot = signedSnapshot(changed, key, { sequence, issuedAtMs: systemClock.now() });
  await store.activate(await store.prepare(snapshot.envelope, () => Promise.resolve(snapshot.content)));
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "hostile-input-"));
  ca = await CertificateAuthority.create("operators", { clock: systemClock });
  const server = await ca.issue({
    kind: "server",
    commonName: "t",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
  });
  const log = pino(
    { level: "trace" },
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        logged += chunk.toString();
        done();
      },
    }),
  );
  const common = { clock: systemClock, log, signal: stop.signal };
  store = await openSnapshotStore({ directory, cluster: "tenant-1", keys: key.ring, ...common });
  await activate(1);
  const down = { create: () => Promise.reject(new Error("connect ECONNREFUSED 127.0.0.1:6443")) };
  service = await startPermissionService({
    address: "127.0.0.1",
    port: 0,
    tls: fixedTls({ ...server, caPem: ca.certificatePem }),
    store,
    cluster: "tenant-1",
    audit: { audit: () => Promise.resolve() },
    authenticateToken: tokenReviews({ cluster: down, ...common }),
    random: systemRandom,
    ...common,
  });
  operator = await clientOf("ops", ["seam:operators"]);
  alice = await clientOf("alice", []);
});

afterAll(async () => {
  for (const client of clients) client.close();
  stop.abort();
  await Promise.all([service.closed, store.closed]);
  await rm(directory, { recursive: true });
});

const getPods = { resource: "pods", verb: "get" };

describe("bad input gets a typed answer, and never one that could be read as yes", () => {
  it("principals that look like others", async () => {
    for (const principal of [
      "\u0430lice",
      "alice\u200b",
      "Alice",
      " alice",
      "alice ",
      "a\u006cice\u0301",
      "alice\n",
      "ａlice",
    ]) {
      const answer = await operator.checkPermission({ principal, ...getPods });
      expect({ principal, ...answer }).toMatchObject({ allowed: false, code: DecisionCode.PRINCIPAL_UNKNOWN });
    }
    expect((await operator.checkPermission({ principal: "alice", ...getPods })).allowed).toBe(true);
  });

  it("§16.19: principals that are empty, 64 KiB long, or hold NUL", async () => {
    const texts = new Map([
      ["", "principal: is required; name it"],
      ["a".repeat(65_536), "principal: has at most 1024 characters, found 65536; shorten it"],
      ["alice\0", "principal: holds no NUL or broken characters; correct it"],
    ]);
    for (const [principal, text] of texts) {
      const error = await grpcFailure(operator.checkPermission({ principal, ...getPods }));
      expect([error.code, error.message]).toEqual([Status.INVALID_ARGUMENT, `CheckPermission: ${text}`]);
    }
  });

  it("callers that call themselves system: something, and borrowed groups", async () => {
    for (const [user, groups] of [
      ["system:masters", []],
      ["system:serviceaccount:default:ont-system", ["system:masters"]],
      ["system:serviceaccount:ont-system:a:b", []],
      ["seam:operators", []],
    ] as const) {
      const caller = await clientOf(user, groups);
      expect((await caller.checkPermission({ principal: "admin", ...getPods })).code).toBe(
        DecisionCode.CALLER_NOT_AUTHORIZED,
      );
      expect((await caller.whoCanDo(getPods)).code).toBe(DecisionCode.CALLER_NOT_AUTHORIZED);
    }
    const borrowed = { principal: "alice", groups: ["seam:operators"], ...getPods };
    expect((await alice.checkPermission(borrowed)).code).toBe(DecisionCode.CALLER_NOT_AUTHORIZED);
    // Nobody is beyond the rules here.
    const master = { principal: "root", groups: ["system:masters"], ...getPods };
    expect(await operator.checkPermission(master)).toMatchObject({
      allowed: false,
      code: DecisionCode.PRINCIPAL_UNKNOWN,
    });
  });

  it("unknown verbs, groups and resources", async () => {
    for (const asked of [
      { verb: "frobnicate", resource: "pods" },
      { verb: "*", resource: "pods" },
      { verb: "get", resource: "*" },
      { verb: "get", resource: "pods", apiGroup: "nowhere.example.org" },
      { verb: "get", path: "/../../healthz" },
    ]) {
      const answer = await operator.checkPermission({ principal: "alice", ...asked });
      expect({ asked, ...answer }).toMatchObject({ allowed: false, code: DecisionCode.NO_MATCHING_RULE });
    }
    const long = await grpcFailure(
      operator.checkPermission({ principal: "alice", resource: "pods", verb: "v".repeat(64) }),
    );
    expect(long.violations.map(({ field }) => field)).toEqual(["verb"]);
  });

  it("batches of none, of too many, and larger than a message may be; the service goes on", async () => {
    const items = (count: number, principal = "alice") =>
      Array.from({ length: count }, (_, i) => ({ correlationId: `${i}`, check: { principal, ...getPods } }));
    expect((await operator.batchCheckPermission({ items: items(1_000) })).results).toHaveLength(1_000);
    for (const count of [0, 1_001]) {
      const error = await grpcFailure(operator.batchCheckPermission({ items: items(count) }));
      expect([error.code, error.violations[0]?.description]).toEqual([
        Status.INVALID_ARGUMENT,
        `has 1 to 1000 entries, found ${count}`,
      ]);
    }
    const huge = await grpcFailure(operator.batchCheckPermission({ items: items(1_000, "p".repeat(16_384)) }));
    expect(huge.code).toBe(Status.RESOURCE_EXHAUSTED);
    const groups = Array.from({ length: 257 }, (_, i) => `g${i}`);
    const crowd = await grpcFailure(operator.checkPermission({ principal: "alice", groups, ...getPods }));
    expect(crowd.violations[0]?.description).toBe("has at most 256 entries, found 257; send fewer");
    expect((await operator.checkPermission({ principal: "alice", ...getPods })).allowed).toBe(true);
  });

  it("page tokens that are forged, cut, of another question, of another process, or of a snapshot that is gone", async () => {
    const first = await operator.whoCanDo({ ...getPods, pageSize: 2 });
    const [body = "", mac = ""] = first.nextPageToken.split(".");
    const claimed = JSON.parse(Buffer.from(body, "base64url").toString()) as object;
    const forged = Buffer.from(JSON.stringify({ ...claimed, o: 0, v: "e1.s1.000000000000" })).toString("base64url");
    for (const pageToken of [`${forged}.${mac}`, `${body}.`, body, "x.y", `${body}.${mac}.z`, "a".repeat(10_000)]) {
      const error = await grpcFailure(operator.whoCanDo({ ...getPods, pageSize: 2, pageToken }));
      expect([error.code, error.violations.map(({ field }) => field)]).toEqual([
        Status.INVALID_ARGUMENT,
        ["pageToken"],
      ]);
    }
    const pageToken = first.nextPageToken;
    const other = await grpcFailure(operator.whoCanDo({ resource: "pods", verb: "list", pageSize: 2, pageToken }));
    expect(other.code).toBe(Status.INVALID_ARGUMENT);
    expect((await operator.whoCanDo({ ...getPods, pageSize: 2, pageToken })).subjects).toHaveLength(2);
    await activate(2, "nobody");
    await activate(3);
    expect((await operator.whoCanDo({ ...getPods, pageSize: 2, pageToken })).code).toBe(DecisionCode.SNAPSHOT_CHANGED);
  });

  it("bytes that are no message", async () => {
    const issued = await ca.issue({ kind: "operator", user: "ops", groups: ["seam:operators"] });
    const raw = new Client(`127.0.0.1:${service.port}`, clientCredentials({ ...issued, caPem: ca.certificatePem }));
    clients.push(raw);
    const identity = (bytes: Buffer): Buffer => bytes;
    const path = methodPath(PermissionService.method.checkPermission);
    const send = (bytes: readonly number[]): Promise<number> =>
      new Promise((resolve) => {
        raw.makeUnaryRequest(
          path,
          identity,
          identity,
          Buffer.from(bytes),
          new Metadata(),
          {},
          (error: ServiceError | null) => resolve(error?.code ?? 0),
        );
      });
    // Cut, no UTF-8, an endless number, a wire type that is gone.
    for (const bytes of [[0x0a, 9, 0x61], [0x0a, 1, 0xff], Array<number>(12).fill(0xff), [0x0b]])
      expect(await send(bytes)).toBe(Status.INTERNAL);
    expect((await operator.checkPermission({ principal: "alice", ...getPods })).allowed).toBe(true);
  });

  it("TokenReview down: every question is answered with no and why, and a certificate still works", async () => {
    const credentials = clientCredentials({ caPem: ca.certificatePem });
    const token = createGrpcClient(PermissionService, { address: `127.0.0.1:${service.port}`, credentials });
    clients.push(token);
    const headers = { authorization: `Bearer ${TOKEN}` };
    const denied = {
      allowed: false,
      code: DecisionCode.CALLER_NOT_AUTHORIZED,
      reason: expect.stringMatching(/token could not be reviewed, the API server does not answer/) as string,
    };
    const question = { principal: "alice", ...getPods };
    expect(await token.checkPermission(question, { headers })).toMatchObject(denied);
    const batch = await token.batchCheckPermission({ items: [{ correlationId: "1", check: question }] }, { headers });
    expect(batch.results).toMatchObject([denied]);
    expect(await token.whoCanDo(getPods, { headers })).toMatchObject({ principals: [], code: denied.code });
    // What is no decision has no way to say no.
    const error = await grpcFailure(token.getStatus({}, { headers }));
    expect([error.code, error.parts?.reason]).toEqual([Status.UNAVAILABLE, "TokenReviewUnavailable"]);
    expect(error.message).not.toContain(TOKEN);
    expect((await grpcFailure(token.checkPermission({ principal: "alice", ...getPods }))).parts?.reason).toBe(
      "CredentialsMissing",
    );
    expect((await alice.checkPermission({ principal: "alice", ...getPods })).allowed).toBe(true);
  });

  it("nothing of it is in the log that is a secret", () => {
    expect(logged).toContain("a bearer token could not be reviewed");
    expect(logged).not.toContain(TOKEN);
    expect(logged).not.toContain("secret-of-a-service-account");
    expect(logged).not.toMatch(/PRIVATE KEY/);
  });
});
