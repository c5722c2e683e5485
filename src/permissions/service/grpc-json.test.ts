import { mkdtemp, rm } from "node:fs/promises";
import { type ClientHttp2Session, type IncomingHttpHeaders, connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { signedSnapshot, testKey } from "../../../test/oracle/signed-snapshots.ts";
import { oneGrant } from "../../../test/support/snapshot-bench.ts";
import { PermissionService } from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { createGrpcClient } from "../../api/grpc/client.ts";
import { Status } from "../../api/grpc/status-error.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { CertificateAuthority } from "../../trust/ca/certificate-authority.ts";
import { clientCredentials } from "../../trust/tls/client-credentials.ts";
import { type TlsMaterial, fixedTls } from "../../trust/tls/tls-material.ts";
import { type SnapshotStore, openSnapshotStore } from "../store/snapshot-store.ts";
import { type RunningPermissionService, startPermissionService } from "./start-permission-service.ts";

const stop = new AbortController();
const key = testKey();
let directory: string;
let store: SnapshotStore;
let service: RunningPermissionService;
let operator: TlsMaterial;
let session: ClientHttp2Session;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "grpc-json-"));
  const common = { clock: systemClock, log: silentLog, signal: stop.signal };
  const ca = await CertificateAuthority.create("t", { clock: systemClock });
  const names = { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };
  const server = await ca.issue({ kind: "server", commonName: "t", ...names });
  operator = {
    ...(await ca.issue({ kind: "operator", user: "ops", groups: ["seam:operators"] })),
    caPem: ca.certificatePem,
  };
  store = await openSnapshotStore({ directory, cluster: "tenant-1", keys: key.ring, ...common });
  const signed = signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: systemClock.now() });
  await store.activate(await store.prepare(signed.envelope, () => Promise.resolve(signed.content)));
  service = await startPermissionService({
    address: "127.0.0.1",
    port: 0,
    tls: fixedTls({ ...server, caPem: ca.certificatePem }),
    store,
    cluster: "tenant-1",
    audit: { audit: () => Promise.resolve() },
    random: new SeededRandom(1),
    ...common,
  });
  session = connect(`https://127.0.0.1:${service.port}`, {
    ca: operator.caPem,
    cert: operator.certificatePem,
    key: operator.privateKeyPem,
  });
});

afterAll(async () => {
  session.close();
  stop.abort();
  await Promise.all([service.closed, store.closed]);
  await rm(directory, { recursive: true });
});

interface Answer {
  readonly contentType: string | undefined;
  readonly messages: readonly unknown[];
  readonly status: number;
  readonly text: string;
}

/** One call in gRPC's own frames, with whatever content type and bytes. */
function call(method: string, body: string, contentType = "application/grpc+json"): Promise<Answer> {
  const payload = Buffer.from(body);
  const frame = Buffer.alloc(5 + payload.length);
  frame.writeUInt32BE(payload.length, 1);
  payload.copy(frame, 5);
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "POST",
      ":path": `/ontai.security.v1alpha1.PermissionService/${method}`,
      "content-type": contentType,
      te: "trailers",
    });
    const chunks: Buffer[] = [];
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    stream.on("response", (value) => (headers = value));
    stream.on("trailers", (value) => (trailers = value));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("end", () => {
      const messages: unknown[] = [];
      for (let rest = Buffer.concat(chunks); rest.length >= 5; rest = rest.subarray(5 + rest.readUInt32BE(1)))
        messages.push(JSON.parse(rest.subarray(5, 5 + rest.readUInt32BE(1)).toString()));
      const end = trailers["grpc-status"] === undefined ? headers : trailers;
      resolve({
        contentType: headers["content-type"],
        messages,
        status: Number(end["grpc-status"]),
        text: decodeURIComponent(String(end["grpc-message"] ?? "")),
      });
    });
    stream.end(frame);
  });
}

const QUESTION = { principal: "alice", verb: "get", resource: "pods", namespace: "team-1" };

it("answers JSON with JSON, by the same names, as it answers protobuf with protobuf", async () => {
  const answer = await call("CheckPermission", JSON.stringify(QUESTION));
  expect(answer).toMatchObject({
    contentType: "application/grpc+json",
    status: Status.OK,
    messages: [{ allowed: true, code: "ALLOWED", meta: { sequence: "1", freshness: "FRESH" } }],
  });
  const named = await call("CheckPermission", JSON.stringify({ ...QUESTION, api_group: "apps", resource_name: "x" }));
  expect(named.messages).toMatchObject([{ code: "NO_MATCHING_RULE" }]);
  const client = createGrpcClient(PermissionService, {
    address: `127.0.0.1:${service.port}`,
    credentials: clientCredentials(operator),
  });
  expect(await client.checkPermission(QUESTION)).toMatchObject({ allowed: true });
  client.close();
});

it("answers batches, statuses and streams too", async () => {
  const items = [1, 2].map((i) => ({
    correlationId: `${i}`,
    check: { ...QUESTION, verb: i === 1 ? "get" : "delete" },
  }));
  expect((await call("BatchCheckPermission", JSON.stringify({ items }))).messages).toMatchObject([
    {
      results: [
        { correlationId: "1", allowed: true },
        { correlationId: "2", code: "NO_MATCHING_RULE" },
      ],
    },
  ]);
  expect((await call("GetStatus", "{}")).messages).toMatchObject([{ cluster: "tenant-1" }]);
  const stream = await call("LookupResources", JSON.stringify({ principal: "alice", verb: "get" }));
  expect(stream).toMatchObject({
    contentType: "application/grpc+json",
    status: Status.OK,
    messages: [{ code: "ALLOWED", resources: [{ resource: "pods" }] }],
  });
});

it("refuses what is no JSON form of the message by its fault, and no such content type at all", async () => {
  for (const [body, fault] of [
    ["{", /CheckPermissionRequest: the JSON form of ontai\.security\.v1alpha1\.CheckPermissionRequest/],
    ['{"princpal":"alice"}', /princpal/],
    ['{"groups":"admins"}', /groups/],
    ["{}", /principal/],
  ] as const)
    expect(await call("CheckPermission", body)).toMatchObject({
      status: Status.INVALID_ARGUMENT,
      messages: [],
      text: expect.stringMatching(fault) as string,
    });
  const other = await call("CheckPermission", JSON.stringify(QUESTION), "application/json");
  expect([other.messages, other.status]).toEqual([[], Number.NaN]);
  expect((await call("CheckPermission", JSON.stringify(QUESTION))).messages).toMatchObject([{ allowed: true }]);
});
