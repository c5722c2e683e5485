import { credentials } from "@grpc/grpc-js";
import { mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { signedSnapshot, testKey } from "../../../test/oracle/signed-snapshots.ts";
import { oneGrant } from "../../../test/support/snapshot-bench.ts";
import { DecisionCode, PermissionService } from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { type GrpcClient, createGrpcClient } from "../../api/grpc/client.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { CertificateAuthority } from "../../trust/ca/certificate-authority.ts";
import { type TlsMaterial, fixedTls } from "../../trust/tls/tls-material.ts";
import type { Authentication } from "../../trust/tls/tls-listener.ts";
import { type SnapshotStore, openSnapshotStore } from "../store/snapshot-store.ts";
import { type RunningPermissionService, startPermissionService } from "./start-permission-service.ts";

const stop = new AbortController();
const key = testKey();
let directory: string;
let tls: TlsMaterial;
let store: SnapshotStore;
let client: GrpcClient<typeof PermissionService>;

const authenticateToken = (token: string): Promise<Authentication> => {
  if (token === "down") return Promise.resolve({ ok: false, reason: "TokenReviewUnavailable", detail: "no answer" });
  if (token !== "good") return Promise.resolve({ ok: false, reason: "TokenRefused", detail: "unknown" });
  const name = "system:serviceaccount:ont-system:reader";
  const principal = { kind: "token", name, groups: [], certificateSerial: "", notAfterMs: Infinity } as const;
  return Promise.resolve({ ok: true, principal });
};

function start(socket: string, signal: AbortSignal, tokens = true): Promise<RunningPermissionService> {
  return startPermissionService({
    address: "127.0.0.1",
    port: 0,
    socket,
    tls: fixedTls(tls),
    store,
    cluster: "tenant-1",
    audit: { audit: () => Promise.resolve() },
    ...(tokens && { authenticateToken }),
    clock: systemClock,
    random: new SeededRandom(1),
    log: silentLog,
    signal,
  });
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "socket-"));
  const ca = await CertificateAuthority.create("t", { clock: systemClock });
  const names = { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };
  tls = { ...(await ca.issue({ kind: "server", commonName: "t", ...names })), caPem: ca.certificatePem };
  store = await openSnapshotStore({
    directory: join(directory, "snapshots"),
    cluster: "tenant-1",
    keys: key.ring,
    clock: systemClock,
    log: silentLog,
    signal: stop.signal,
  });
  const signed = signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: systemClock.now() });
  await store.activate(await store.prepare(signed.envelope, () => Promise.resolve(signed.content)));
  client = createGrpcClient(PermissionService, {
    address: `unix:${join(directory, "p.sock")}`,
    credentials: credentials.createInsecure(),
  });
});

afterAll(async () => {
  client.close();
  stop.abort();
  await store.closed;
  await rm(directory, { recursive: true });
});

const question = { principal: "alice", verb: "get", resource: "pods" };

function ask(token?: string): Promise<unknown> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return client
    .checkPermission(question, { headers })
    .then(({ allowed, code }) => [allowed, code])
    .catch((error: unknown) => (error instanceof GrpcStatusError ? [error.code, error.parts?.reason] : error));
}

it("answers on a socket to who has a token, and goes away with the service", async () => {
  const path = join(directory, "p.sock");
  const own = new AbortController();
  const service = await start(path, own.signal);
  expect((await stat(path)).mode & 0o777).toBe(0o660);
  expect(await ask("good")).toEqual([true, DecisionCode.ALLOWED]);
  expect(await ask("forged")).toEqual([Status.UNAUTHENTICATED, "TokenRefused"]);
  expect(await ask()).toEqual([Status.UNAUTHENTICATED, "CredentialsMissing"]);
  expect(await ask("down")).toEqual([false, DecisionCode.CALLER_NOT_AUTHORIZED]);
  await expect(start(path, own.signal)).rejects.toThrow(
    `socket ${path}: path: a free path, but another program listens there; stop that program or choose another path`,
  );
  own.abort();
  await service.closed;
  await expect(stat(path)).rejects.toThrow("ENOENT");
});

it("takes the place of a socket whose process is gone, and of no other file", async () => {
  const stale = join(directory, "stale.sock");
  // A process that is killed leaves its socket: the file of a listener that was moved stays when the listener closes.
  const left = createServer().listen(join(directory, "left.sock"));
  await new Promise((resolve) => left.once("listening", resolve));
  await rename(join(directory, "left.sock"), stale);
  await new Promise((resolve) => left.close(resolve));
  expect((await stat(stale)).isSocket()).toBe(true);
  const own = new AbortController();
  const service = await start(stale, own.signal);
  own.abort();
  await service.closed;

  const file = join(directory, "file");
  await writeFile(file, "somebody's");
  const other = new AbortController();
  await expect(start(file, other.signal)).rejects.toThrow("another file lies there; choose another path");
  await expect(start(join(directory, "x".repeat(120)), other.signal)).rejects.toThrow("a path of at most 107 bytes");
  await expect(start(join(directory, "t.sock"), other.signal, false)).rejects.toThrow(
    "PermissionService: socket: a cluster that issues tokens: callers on a Unix socket are known by nothing else",
  );
  other.abort();
});
