import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { grpcFailure } from "../../../test/support/grpc-failure.ts";
import {
  type PermissionClient,
  type PermissionSide,
  SUBJECTS,
  contractContent,
  permissionContract,
} from "../../../test/support/permission-contract.ts";
import { signedSnapshot, testKey } from "../../../test/oracle/signed-snapshots.ts";
import { Health, HealthCheckResponse_ServingStatus as Serving } from "../../api/gen/grpc/health/v1/health_pb.ts";
import {
  Consistency_Mode,
  DecisionCode,
  PermissionService,
} from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { createGrpcClient } from "../../api/grpc/client.ts";
import { systemClock } from "../../base/clock.ts";
import type { JsonObject } from "../../base/json.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { CertificateAuthority } from "../../trust/ca/certificate-authority.ts";
import { clientCredentials } from "../../trust/tls/client-credentials.ts";
import { fixedTls } from "../../trust/tls/tls-material.ts";
import type { SnapshotContent } from "../snapshot/content.ts";
import { type SnapshotStore, openSnapshotStore } from "../store/snapshot-store.ts";
import { type RunningPermissionService, startPermissionService } from "./start-permission-service.ts";

const key = testKey();

/** A tenant's service over a real store. */
interface TenantSide extends PermissionSide {
  readonly store: SnapshotStore;
  readonly service: RunningPermissionService;
  credentialsOf(user: string): Promise<ReturnType<typeof clientCredentials>>;
}

async function openTenantSide(): Promise<TenantSide> {
  const stop = new AbortController();
  const events: JsonObject[] = [];
  const clients: { close(): void }[] = [];
  const directory = await mkdtemp(join(tmpdir(), "permission-service-"));
  const ca = await CertificateAuthority.create("operators", { clock: systemClock });
  const server = await ca.issue({
    kind: "server",
    commonName: "tenant-1",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
  });
  const common = { clock: systemClock, log: silentLog, signal: stop.signal };
  const store = await openSnapshotStore({ directory, cluster: "tenant-1", keys: key.ring, ...common });
  const service = await startPermissionService({
    address: "127.0.0.1",
    port: 0,
    tls: fixedTls({ ...server, caPem: ca.certificatePem }),
    store,
    cluster: "tenant-1",
    audit: {
      audit: (event) => {
        events.push(event);
        return Promise.resolve();
      },
    },
    random: new SeededRandom(1),
    ...common,
  });
  let sequence = 0;
  const credentialsOf = async (user: string, groups: readonly string[] = []) =>
    clientCredentials({ ...(await ca.issue({ kind: "operator", user, groups })), caPem: ca.certificatePem });
  return {
    cluster: "tenant-1",
    store,
    service,
    events,
    credentialsOf,
    async activate(content: SnapshotContent) {
      sequence += 1;
      const snapshot = signedSnapshot(content, key, { sequence, issuedAtMs: systemClock.now() });
      await store.activate(await store.prepare(snapshot.envelope, () => Promise.resolve(snapshot.content)));
    },
    version: () => store.current?.statement.version ?? "",
    sequence: () => sequence,
    async clientOf(user, groups) {
      const credentials = await credentialsOf(user, groups);
      const client = createGrpcClient(PermissionService, { address: `127.0.0.1:${service.port}`, credentials });
      clients.push(client);
      return client;
    },
    async close() {
      for (const client of clients) client.close();
      stop.abort();
      await Promise.all([service.closed, store.closed]);
      await rm(directory, { recursive: true });
    },
  };
}

permissionContract("PermissionService of a tenant, by the contract", openTenantSide);

describe("PermissionService of a tenant", () => {
  const listPods = { resource: "pods", verb: "list" };
  let side: TenantSide;
  let operator: PermissionClient;

  beforeAll(async () => {
    side = await openTenantSide();
    operator = await side.clientOf("ops", ["seam:operators"]);
  });

  afterAll(() => side.close());

  it("is healthy once it decides", async () => {
    expect(side.service.health.get(PermissionService.typeName)).toBe(Serving.NOT_SERVING);
    await side.activate(contractContent(SUBJECTS));
    expect(side.service.health.get(PermissionService.typeName)).toBe(Serving.SERVING);
  });

  it("needs no name of its cluster, and has nothing to say of another one", async () => {
    expect((await operator.checkPermission({ principal: "alice", ...listPods })).allowed).toBe(true);
    expect((await operator.getStatus({ cluster: "tenant-1" })).cluster).toBe("tenant-1");
    expect((await grpcFailure(operator.getStatus({ cluster: "tenant-2" }))).message).toBe(
      "GetStatus: cluster: is empty or tenant-1, which this service serves",
    );
  });

  it("is not fully fresh while the last offer was refused", async () => {
    const fully = { mode: Consistency_Mode.FULLY_FRESH };
    await side.store.prepare(Buffer.from("{}"), () => Promise.resolve(new Uint8Array())).catch(() => undefined);
    const degraded = await operator.checkPermission({ principal: "alice", ...listPods, consistency: fully });
    expect(degraded.code).toBe(DecisionCode.SNAPSHOT_TOO_OLD);
    const status = await operator.getStatus({});
    expect(status).toMatchObject({ degraded: true, degradedReason: "MALFORMED", cluster: "tenant-1" });
    expect(status.trustedKeys).toEqual([key.signer.keyId]);
    await side.activate(contractContent(SUBJECTS.slice(1)));
    await side.activate(contractContent(SUBJECTS));
  });

  it("says SNAPSHOT_REVOKED after a revocation, and serves again after a newer snapshot", async () => {
    await side.store.revokeBelow(side.sequence() + 1);
    const answer = await operator.checkPermission({ principal: "alice", ...listPods });
    expect(answer).toMatchObject({ allowed: false, code: DecisionCode.SNAPSHOT_REVOKED });
    const health = createGrpcClient(Health, {
      address: `127.0.0.1:${side.service.port}`,
      credentials: await side.credentialsOf("ops"),
    });
    expect(await health.check({ service: PermissionService.typeName })).toMatchObject({ status: Serving.NOT_SERVING });
    health.close();
    await side.activate(contractContent(SUBJECTS));
    expect((await operator.checkPermission({ principal: "alice", ...listPods })).allowed).toBe(true);
  });
});
