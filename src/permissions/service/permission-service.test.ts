import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ruleSetOf } from "../../../test/oracle/permission-worlds.ts";
import { grpcFailure } from "../../../test/support/grpc-failure.ts";
import { signedSnapshot, testKey } from "../../../test/oracle/signed-snapshots.ts";
import { Health, HealthCheckResponse_ServingStatus as Serving } from "../../api/gen/grpc/health/v1/health_pb.ts";
import {
  Consistency_Mode,
  DecisionCode,
  Freshness,
  NearMiss_Dimension,
  PermissionService,
  PlanAccessResponse_Plan,
  SubjectKind,
} from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { type GrpcClient, createGrpcClient } from "../../api/grpc/client.ts";
import { Status } from "../../api/grpc/status-error.ts";
import { systemClock } from "../../base/clock.ts";
import type { JsonObject } from "../../base/json.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { CertificateAuthority } from "../../trust/ca/certificate-authority.ts";
import { clientCredentials } from "../../trust/tls/client-credentials.ts";
import { fixedTls } from "../../trust/tls/tls-material.ts";
import { principalRefOf, subjectOfPrincipal } from "../rules/principal.ts";
import { ruleOf } from "../rules/rule.ts";
import type { SnapshotContent, SnapshotSubject } from "../snapshot/content.ts";
import { type SnapshotStore, openSnapshotStore } from "../store/snapshot-store.ts";
import { type RunningPermissionService, startPermissionService } from "./start-permission-service.ts";

type Client = GrpcClient<typeof PermissionService>;

const key = testKey();
const stop = new AbortController();
const events: JsonObject[] = [];
const clients: { close(): void }[] = [];
let directory: string;
let ca: CertificateAuthority;
let store: SnapshotStore;
let service: RunningPermissionService;
let operator: Client;
let alice: Client;
let auditor: Client;
let sequence = 0;

const pods = ruleSetOf([
  ruleOf({ verbs: ["get", "list"], apiGroups: [""], resources: ["pods", "pods/log"] }),
  ruleOf({ verbs: ["update"], apiGroups: [""], resources: ["configmaps"], resourceNames: ["app", "web"] }),
  ruleOf({ verbs: ["get"], nonResourceURLs: ["/healthz*"] }),
]);
const queries = ruleSetOf([
  ruleOf({ verbs: ["check", "list"], apiGroups: ["guardian.ontai.dev"], resources: ["permissionqueries"] }),
]);

function subject(principalRef: string, ruleSet: string, namespaces: readonly string[] = []): SnapshotSubject {
  const { kind, namespace, name } = subjectOfPrincipal(principalRef);
  const scope = namespaces.length > 0 ? "namespaced" : "cluster";
  const source = {
    profileNamespace: "seam-tenant-tenant-1",
    profileName: `${name}-profile`,
    declaration: 0,
    permissionSet: "set",
    policy: "cluster-policy",
  };
  return {
    kind,
    namespace,
    name,
    principalRef: principalRefOf({ kind, namespace, name }),
    bindings: [{ ruleSet, scope, namespaces, expiresAt: "", source }],
  };
}

function content(subjects: readonly SnapshotSubject[]): SnapshotContent {
  return {
    schemaVersion: 2,
    targetCluster: "tenant-1",
    ceilings: {},
    ruleSets: [pods, queries].sort((a, b) => (a.id < b.id ? -1 : 1)),
    subjects: [...subjects].sort((a, b) => (`${a.kind}${a.name}` < `${b.kind}${b.name}` ? -1 : 1)),
    profiles: [],
    suspendedPrincipals: ["mallory"],
    freshnessWindowSeconds: 300,
    maxOfflineSeconds: 86_400,
  };
}

const SUBJECTS = [
  subject("alice", pods.id),
  subject("system:serviceaccount:default:runner", pods.id, ["default"]),
  subject("auditor", queries.id),
];

async function activate(subjects: readonly SnapshotSubject[]): Promise<void> {
  sequence += 1;
  const snapshot = signedSnapshot(content(subjects), key, { sequence, issuedAtMs: systemClock.now() });
  await store.activate(await store.prepare(snapshot.envelope, () => Promise.resolve(snapshot.content)));
}

async function clientOf(user: string, groups: readonly string[]): Promise<Client> {
  const issued = await ca.issue({ kind: "operator", user, groups });
  const credentials = clientCredentials({ ...issued, caPem: ca.certificatePem });
  const client = createGrpcClient(PermissionService, { address: `127.0.0.1:${service.port}`, credentials });
  clients.push(client);
  return client;
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "permission-service-"));
  ca = await CertificateAuthority.create("operators", { clock: systemClock });
  const server = await ca.issue({
    kind: "server",
    commonName: "tenant-1",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
  });
  const common = { clock: systemClock, log: silentLog, signal: stop.signal };
  store = await openSnapshotStore({ directory, cluster: "tenant-1", keys: key.ring, ...common });
  service = await startPermissionService({
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
  operator = await clientOf("ops", ["seam:operators"]);
  alice = await clientOf("alice", []);
  auditor = await clientOf("auditor", []);
});

afterAll(async () => {
  for (const client of clients) client.close();
  stop.abort();
  await Promise.all([service.closed, store.closed]);
  await rm(directory, { recursive: true });
});

const listPods = { resource: "pods", verb: "list" };

describe("PermissionService", () => {
  it("invariant 1: answers with a code while nothing is loaded, and health says so", async () => {
    const answer = await operator.checkPermission({ principal: "alice", ...listPods });
    expect(answer).toMatchObject({ allowed: false, code: DecisionCode.SNAPSHOT_NOT_LOADED });
    expect(answer.meta).toMatchObject({ freshness: Freshness.NOT_READY, snapshotVersion: "" });
    const list = await operator.listPermissions({ principal: "alice" });
    expect(list).toMatchObject({ rules: [], incomplete: true, code: DecisionCode.SNAPSHOT_NOT_LOADED });
    expect(service.health.get(PermissionService.typeName)).toBe(Serving.NOT_SERVING);
    await activate(SUBJECTS);
    expect(service.health.get(PermissionService.typeName)).toBe(Serving.SERVING);
  });

  it("decides and says what the answer rests on", async () => {
    const answer = await operator.checkPermission({ principal: "alice", ...listPods, namespace: "default" });
    expect(answer).toMatchObject({ allowed: true, code: DecisionCode.ALLOWED });
    expect(answer.meta?.snapshotVersion).toBe(store.current?.statement.version);
    expect(answer.meta?.decisionId).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
    const code = async (request: Parameters<Client["checkPermission"]>[0]): Promise<DecisionCode> =>
      (await operator.checkPermission(request)).code;
    expect(await code({ principal: "alice", resource: "pods/log", verb: "get" })).toBe(DecisionCode.ALLOWED);
    expect(await code({ principal: "alice", path: "/healthz/ready", verb: "get" })).toBe(DecisionCode.ALLOWED);
    expect(await code({ principal: "alice", resource: "pods", verb: "delete" })).toBe(DecisionCode.NO_MATCHING_RULE);
    expect(await code({ principal: "nobody", ...listPods })).toBe(DecisionCode.PRINCIPAL_UNKNOWN);
    expect(await code({ principal: "mallory", ...listPods })).toBe(DecisionCode.PRINCIPAL_SUSPENDED);
    expect(await code({ principal: "alice", ...listPods, cluster: "tenant-2" })).toBe(DecisionCode.CLUSTER_NOT_SERVED);
    const named = await operator.checkPermission({ principal: "alice", resource: "configmaps", verb: "update" });
    expect(named).toMatchObject({
      allowed: false,
      code: DecisionCode.CONDITIONAL_ON_NAME,
      conditionalNames: ["app", "web"],
    });
    const runner = "system:serviceaccount:default:runner";
    expect(await code({ principal: runner, ...listPods, namespace: "default" })).toBe(DecisionCode.ALLOWED);
    expect(await code({ principal: runner, ...listPods })).toBe(DecisionCode.NO_MATCHING_RULE);
  });

  it("lets callers ask about themselves, about others only by right", async () => {
    expect(await alice.checkPermission({ principal: "alice", ...listPods })).toMatchObject({ allowed: true });
    const others = { principal: "auditor", ...listPods };
    expect(await alice.checkPermission(others)).toMatchObject({
      allowed: false,
      code: DecisionCode.CALLER_NOT_AUTHORIZED,
    });
    const borrowed = { principal: "alice", groups: ["system:masters"], ...listPods };
    expect((await alice.checkPermission(borrowed)).code).toBe(DecisionCode.CALLER_NOT_AUTHORIZED);
    expect(await auditor.checkPermission({ principal: "alice", ...listPods })).toMatchObject({ allowed: true });
    expect((await auditor.explainDecision(others)).code).toBe(DecisionCode.NO_MATCHING_RULE);
    expect((await auditor.explainDecision({ principal: "alice", ...listPods })).code).toBe(
      DecisionCode.CALLER_NOT_AUTHORIZED,
    );
    expect((await alice.whoCanDo(listPods)).code).toBe(DecisionCode.CALLER_NOT_AUTHORIZED);
    const account = await clientOf("system:serviceaccount:ont-system:conductor", []);
    expect((await account.whoCanDo(listPods)).code).toBe(DecisionCode.ALLOWED);
    const batch = await alice.batchCheckPermission({
      items: [
        { correlationId: "mine", check: { principal: "alice", ...listPods } },
        { correlationId: "other", check: { principal: "auditor", ...listPods } },
      ],
    });
    expect(batch.results.map(({ correlationId, code }) => [correlationId, code])).toEqual([
      ["mine", DecisionCode.ALLOWED],
      ["other", DecisionCode.CALLER_NOT_AUTHORIZED],
    ]);
  });

  it("refuses malformed input with every violation", async () => {
    const error = await grpcFailure(
      operator.checkPermission({ principal: "", path: "/x", resource: "pods", verb: "" }),
    );
    expect(error.code).toBe(Status.INVALID_ARGUMENT);
    expect(error.violations.map(({ field }) => field)).toEqual(["principal", "verb", "resource"]);
    expect(error.message).toBe("CheckPermission: principal: is required; name it (and 2 more)");
    const items = [
      { correlationId: "a", check: { principal: "alice", ...listPods } },
      { correlationId: "a", check: { principal: "a\0", ...listPods } },
    ];
    const batch = await grpcFailure(operator.batchCheckPermission({ items }));
    expect(batch.violations.map(({ field }) => field)).toEqual(["items[1].correlationId", "items[1].principal"]);
    const wait = { mode: Consistency_Mode.AT_LEAST_AS_FRESH, token: "?", waitMs: 5_000 };
    const consistency = await grpcFailure(
      operator.checkPermission({ principal: "alice", ...listPods, consistency: wait }),
    );
    expect(consistency.violations.map(({ field }) => field)).toEqual(["consistency.waitMs", "consistency.token"]);
  });

  it("explains with the rule and its source, and with near misses", async () => {
    const yes = await operator.explainDecision({ principal: "alice", ...listPods });
    expect(yes).toMatchObject({ allowed: true, matchedRule: { resources: ["pods", "pods/log"] } });
    expect(yes.matched[0]).toMatchObject({ ruleSet: pods.id, rule: { source: { profileName: "alice-profile" } } });
    const no = await operator.explainDecision({ principal: "alice", resource: "pods", verb: "delete" });
    expect(no.allowed).toBe(false);
    expect(no.nearMisses[0]).toMatchObject({ failed: [NearMiss_Dimension.VERB], detail: "verbs are get, list" });
  });

  it("inverts checks, plans access, and looks up resources", async () => {
    const who = await operator.whoCanDo({ ...listPods, namespace: "default" });
    expect(who.principals).toEqual(["system:serviceaccount:default:runner", "alice"]);
    expect(who.subjects.map(({ kind }) => kind)).toEqual([SubjectKind.SERVICE_ACCOUNT, SubjectKind.USER]);
    expect((await operator.whoCanDo(listPods)).principals).toEqual(["alice"]);
    const named = await operator.whoCanDo({ resource: "configmaps", verb: "update" });
    expect(named).toMatchObject({ principals: [], subjects: [{ conditionalNames: ["app", "web"] }] });
    const plan = await operator.planAccess({ principal: "alice", resource: "configmaps", verb: "update" });
    expect(plan).toMatchObject({
      plan: PlanAccessResponse_Plan.CONDITIONAL,
      conditions: [{ names: ["app", "web"] }],
    });
    const found: string[] = [];
    for await (const part of operator.lookupResources({ principal: "alice", verb: "get" }))
      found.push(...part.resources.map(({ resource, subresource }) => `${resource}/${subresource}`));
    expect(found).toEqual(["pods/", "pods/log"]);
  });

  it("pages through a list on one version and says when that version is gone", async () => {
    const first = await operator.listPermissions({ principal: "alice", pageSize: 2 });
    expect(first).toMatchObject({ incomplete: true, code: DecisionCode.ALLOWED });
    const again = { principal: "alice", pageSize: 2, pageToken: first.nextPageToken };
    const second = await operator.listPermissions(again);
    expect([first.rules.length, second.rules.length, second.incomplete]).toEqual([2, 1, false]);
    const stolen = await grpcFailure(operator.listPermissions({ ...again, principal: "auditor" }));
    expect(stolen.violations.map(({ field }) => field)).toEqual(["pageToken"]);
    await activate([...SUBJECTS, subject("bob", pods.id)]);
    expect((await operator.listPermissions(again)).rules).toHaveLength(1);
    await activate(SUBJECTS);
    expect((await operator.listPermissions(again)).code).toBe(DecisionCode.SNAPSHOT_CHANGED);
  });

  it("keeps consistency tokens: a newer one is waited for, then refused by name", async () => {
    const { meta } = await operator.checkPermission({ principal: "alice", ...listPods });
    const atLeast = { mode: Consistency_Mode.AT_LEAST_AS_FRESH, token: meta?.consistencyToken ?? "" };
    const held = await operator.checkPermission({ principal: "alice", ...listPods, consistency: atLeast });
    expect(held.allowed).toBe(true);
    const next = Buffer.from(`1700000000.${sequence + 1}.000000000000`).toString("base64url");
    const newer = { mode: Consistency_Mode.AT_LEAST_AS_FRESH, token: next };
    const now = await operator.checkPermission({ principal: "alice", ...listPods, consistency: newer });
    expect(now).toMatchObject({ allowed: false, code: DecisionCode.SNAPSHOT_TOO_OLD });
    const waiting = operator.checkPermission({
      principal: "bob",
      ...listPods,
      consistency: { ...newer, waitMs: 2_000 },
    });
    await activate([...SUBJECTS, subject("bob", pods.id)]);
    expect((await waiting).allowed).toBe(true);
    const fully = { mode: Consistency_Mode.FULLY_FRESH };
    const fresh = await operator.checkPermission({ principal: "alice", ...listPods, consistency: fully });
    expect(fresh.allowed).toBe(true);
    await store.prepare(Buffer.from("{}"), () => Promise.resolve(new Uint8Array())).catch(() => undefined);
    const degraded = await operator.checkPermission({ principal: "alice", ...listPods, consistency: fully });
    expect(degraded.code).toBe(DecisionCode.SNAPSHOT_TOO_OLD);
    const status = await operator.getStatus({});
    expect(status).toMatchObject({ degraded: true, degradedReason: "MALFORMED", cluster: "tenant-1" });
    expect(status.trustedKeys).toEqual([key.signer.keyId]);
    await activate([...SUBJECTS, subject("bob", pods.id)]);
  });

  it("watches versions with the principals whose grants changed, others' names only for those who may see them", async () => {
    const end = new AbortController();
    const seen: string[][] = [];
    const mine: string[][] = [];
    const read = async (client: Client, into: string[][]): Promise<void> => {
      try {
        for await (const { changedPrincipals, allChanged } of client.watchSnapshot({}, { signal: end.signal }))
          into.push(allChanged ? ["*"] : changedPrincipals);
      } catch (error) {
        if (!end.signal.aborted) throw error; // ending the watch is how the test stops it
      }
    };
    const readers = [read(operator, seen), read(alice, mine)];
    await expect.poll(() => [seen.length, mine.length]).toEqual([1, 1]);
    await activate(SUBJECTS);
    await expect
      .poll(() => [seen, mine])
      .toEqual([
        [[], ["bob"]],
        [[], []],
      ]);
    end.abort();
    await Promise.all(readers);
  });

  it("logs every deny and every explanation, and allows only as samples", async () => {
    events.length = 0;
    for (let i = 0; i < 300; i++) await operator.checkPermission({ principal: "alice", ...listPods });
    for (let i = 0; i < 5; i++) await operator.checkPermission({ principal: "alice", resource: "pods", verb: "drop" });
    await operator.explainDecision({ principal: "alice", ...listPods, requestId: "r-1" });
    const decisions = events.map((event) => event["decision"]);
    expect(decisions.filter((decision) => decision === "deny")).toHaveLength(5);
    expect(decisions.filter((decision) => decision === "allow").length).toBeLessThan(20);
    expect(events.at(-1)).toMatchObject({
      action: "authz.decision",
      query: "explain",
      subject: "alice",
      caller: "ops",
      requestId: "r-1",
      resource: "pods",
      verb: "list",
      decision: "allow",
      code: "ALLOWED",
      matchedPolicy: "seam-tenant-tenant-1/alice-profile",
    });
  });

  it("says SNAPSHOT_REVOKED after a revocation, and serves again after a newer snapshot", async () => {
    await store.revokeBelow(sequence + 1);
    const answer = await operator.checkPermission({ principal: "alice", ...listPods });
    expect(answer).toMatchObject({ allowed: false, code: DecisionCode.SNAPSHOT_REVOKED });
    const credentials = clientCredentials({
      ...(await ca.issue({ kind: "operator", user: "ops", groups: [] })),
      caPem: ca.certificatePem,
    });
    const health = createGrpcClient(Health, { address: `127.0.0.1:${service.port}`, credentials });
    clients.push(health);
    expect(await health.check({ service: PermissionService.typeName })).toMatchObject({ status: Serving.NOT_SERVING });
    await activate(SUBJECTS);
    expect((await operator.checkPermission({ principal: "alice", ...listPods })).allowed).toBe(true);
  });
});
