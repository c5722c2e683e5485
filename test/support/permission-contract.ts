import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  Consistency_Mode,
  DecisionCode,
  Freshness,
  NearMiss_Dimension,
  type PermissionService,
  PlanAccessResponse_Plan,
  SubjectKind,
} from "../../src/api/gen/ontai/security/v1alpha1/permission_pb.ts";
import type { GrpcClient } from "../../src/api/grpc/client.ts";
import { Status } from "../../src/api/grpc/status-error.ts";
import type { JsonObject } from "../../src/base/json.ts";
import { principalRefOf, subjectOfPrincipal } from "../../src/permissions/rules/principal.ts";
import { ruleOf } from "../../src/permissions/rules/rule.ts";
import type { SnapshotContent, SnapshotSubject } from "../../src/permissions/snapshot/content.ts";
import { ruleSetOf } from "../oracle/permission-worlds.ts";
import { grpcFailure } from "./grpc-failure.ts";

/** A caller of the service. */
export type PermissionClient = GrpcClient<typeof PermissionService>;

/** One side that serves permissions, as the contract needs it. */
export interface PermissionSide {
  /** The cluster whose permissions are asked for. */
  readonly cluster: string;
  /** Puts content in force, as the side does that: it answers by it when this resolves. */
  activate(content: SnapshotContent): Promise<void>;
  /** Version that is in force. */
  version(): string;
  /** Position of the version in force. */
  sequence(): number;
  /** A caller with a certificate. */
  clientOf(user: string, groups: readonly string[]): Promise<PermissionClient>;
  /** What the log of decisions was handed. */
  readonly events: JsonObject[];
  close(): Promise<void>;
}

/** Rules of alice. */
export const pods = ruleSetOf([
  ruleOf({ verbs: ["get", "list"], apiGroups: [""], resources: ["pods", "pods/log"] }),
  ruleOf({ verbs: ["update"], apiGroups: [""], resources: ["configmaps"], resourceNames: ["app", "web"] }),
  ruleOf({ verbs: ["get"], nonResourceURLs: ["/healthz*"] }),
]);
const queries = ruleSetOf([
  ruleOf({ verbs: ["check", "list"], apiGroups: ["guardian.ontai.dev"], resources: ["permissionqueries"] }),
]);

/** A subject with a binding to each of the rule sets. */
export function subject(
  principalRef: string,
  ruleSets: string | readonly string[],
  namespaces: readonly string[] = [],
): SnapshotSubject {
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
    bindings: [ruleSets]
      .flat()
      .sort()
      .map((ruleSet) => ({ ruleSet, scope, namespaces, expiresAt: "", source })),
  };
}

/** Content of these subjects. */
export function contractContent(subjects: readonly SnapshotSubject[]): SnapshotContent {
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

/** Everybody in the contract: alice with pods, a runner with pods of one namespace, an auditor who may ask. */
export const SUBJECTS = [
  subject("alice", pods.id),
  subject("system:serviceaccount:default:runner", pods.id, ["default"]),
  subject("auditor", queries.id),
];

/** How long a change may take to be answered by: a busy machine is no failure. */
const PATIENCE = { timeout: 20_000, interval: 10 };

/**
 * What every PermissionService keeps, whichever side of the federation it stands on (permissions §11.4): one suite, run against both. The
 * side is opened with nothing in force.
 */
export function permissionContract(name: string, open: () => Promise<PermissionSide>): void {
  describe(name, () => {
    let side: PermissionSide;
    let operator: PermissionClient;
    let alice: PermissionClient;
    let auditor: PermissionClient;
    let cluster: string;
    let listPods: { readonly cluster: string; readonly resource: string; readonly verb: string };
    const activate = (subjects: readonly SnapshotSubject[]): Promise<void> => side.activate(contractContent(subjects));

    beforeAll(async () => {
      side = await open();
      ({ cluster } = side);
      listPods = { cluster, resource: "pods", verb: "list" };
      operator = await side.clientOf("ops", ["seam:operators"]);
      alice = await side.clientOf("alice", []);
      auditor = await side.clientOf("auditor", []);
    });

    afterAll(() => side.close());

    it("invariant 1: answers with a code while nothing is loaded", async () => {
      const answer = await operator.checkPermission({ principal: "alice", ...listPods });
      expect(answer).toMatchObject({ allowed: false, code: DecisionCode.SNAPSHOT_NOT_LOADED });
      expect(answer.meta).toMatchObject({ freshness: Freshness.NOT_READY, snapshotVersion: "" });
      const list = await operator.listPermissions({ principal: "alice", cluster });
      expect(list).toMatchObject({ rules: [], incomplete: true, code: DecisionCode.SNAPSHOT_NOT_LOADED });
      await activate(SUBJECTS);
      const loaded = await operator.checkPermission({ principal: "alice", ...listPods });
      expect(loaded).toMatchObject({ allowed: true, meta: { freshness: Freshness.FRESH, pending: false } });
    });

    it("decides and says what the answer rests on", async () => {
      const answer = await operator.checkPermission({ principal: "alice", ...listPods, namespace: "default" });
      expect(answer).toMatchObject({ allowed: true, code: DecisionCode.ALLOWED });
      expect(answer.meta?.snapshotVersion).toBe(side.version());
      expect(answer.meta?.decisionId).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
      const code = async (request: Parameters<PermissionClient["checkPermission"]>[0]): Promise<DecisionCode> =>
        (await operator.checkPermission(request)).code;
      expect(await code({ cluster, principal: "alice", resource: "pods/log", verb: "get" })).toBe(DecisionCode.ALLOWED);
      expect(await code({ cluster, principal: "alice", path: "/healthz/ready", verb: "get" })).toBe(
        DecisionCode.ALLOWED,
      );
      expect(await code({ cluster, principal: "alice", resource: "pods", verb: "delete" })).toBe(
        DecisionCode.NO_MATCHING_RULE,
      );
      expect(await code({ principal: "nobody", ...listPods })).toBe(DecisionCode.PRINCIPAL_UNKNOWN);
      expect(await code({ principal: "mallory", ...listPods })).toBe(DecisionCode.PRINCIPAL_SUSPENDED);
      expect(await code({ principal: "alice", ...listPods, cluster: "tenant-2" })).toBe(
        DecisionCode.CLUSTER_NOT_SERVED,
      );
      const named = await operator.checkPermission({
        cluster,
        principal: "alice",
        resource: "configmaps",
        verb: "update",
      });
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
      const account = await side.clientOf("system:serviceaccount:ont-system:conductor", []);
      expect((await account.whoCanDo(listPods)).code).toBe(DecisionCode.ALLOWED);
      const batch = await alice.batchCheckPermission({
        cluster,
        items: [
          { correlationId: "mine", check: { principal: "alice", resource: "pods", verb: "list" } },
          { correlationId: "other", check: { principal: "auditor", resource: "pods", verb: "list" } },
        ],
      });
      expect(batch.results.map(({ correlationId, code }) => [correlationId, code])).toEqual([
        ["mine", DecisionCode.ALLOWED],
        ["other", DecisionCode.CALLER_NOT_AUTHORIZED],
      ]);
    });

    it("refuses malformed input with every violation", async () => {
      const error = await grpcFailure(
        operator.checkPermission({ cluster, principal: "", path: "/x", resource: "pods", verb: "" }),
      );
      expect(error.code).toBe(Status.INVALID_ARGUMENT);
      expect(error.violations.map(({ field }) => field)).toEqual(["principal", "verb", "resource"]);
      expect(error.message).toBe("CheckPermission: principal: is required; name it (and 2 more)");
      const items = [
        { correlationId: "a", check: { principal: "alice", resource: "pods", verb: "list" } },
        { correlationId: "a", check: { principal: "a\0", resource: "pods", verb: "list" } },
      ];
      const batch = await grpcFailure(operator.batchCheckPermission({ cluster, items }));
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
      const no = await operator.explainDecision({ cluster, principal: "alice", resource: "pods", verb: "delete" });
      expect(no.allowed).toBe(false);
      expect(no.nearMisses[0]).toMatchObject({ failed: [NearMiss_Dimension.VERB], detail: "verbs are get, list" });
    });

    it("inverts checks, plans access, and looks up resources", async () => {
      const who = await operator.whoCanDo({ ...listPods, namespace: "default" });
      expect(who.principals).toEqual(["system:serviceaccount:default:runner", "alice"]);
      expect(who.subjects.map(({ kind }) => kind)).toEqual([SubjectKind.SERVICE_ACCOUNT, SubjectKind.USER]);
      expect((await operator.whoCanDo(listPods)).principals).toEqual(["alice"]);
      const named = await operator.whoCanDo({ cluster, resource: "configmaps", verb: "update" });
      expect(named).toMatchObject({ principals: [], subjects: [{ conditionalNames: ["app", "web"] }] });
      const plan = await operator.planAccess({ cluster, principal: "alice", resource: "configmaps", verb: "update" });
      expect(plan).toMatchObject({
        plan: PlanAccessResponse_Plan.CONDITIONAL,
        conditions: [{ names: ["app", "web"] }],
      });
      const found: string[] = [];
      for await (const part of operator.lookupResources({ cluster, principal: "alice", verb: "get" }))
        found.push(...part.resources.map(({ resource, subresource }) => `${resource}/${subresource}`));
      expect(found).toEqual(["pods/", "pods/log"]);
    });

    it("pages through a list on one version and says when that version is gone", async () => {
      const first = await operator.listPermissions({ cluster, principal: "alice", pageSize: 2 });
      expect(first).toMatchObject({ incomplete: true, code: DecisionCode.ALLOWED });
      const again = { cluster, principal: "alice", pageSize: 2, pageToken: first.nextPageToken };
      const second = await operator.listPermissions(again);
      expect([first.rules.length, second.rules.length, second.incomplete]).toEqual([2, 1, false]);
      const stolen = await grpcFailure(operator.listPermissions({ ...again, principal: "auditor" }));
      expect(stolen.violations.map(({ field }) => field)).toEqual(["pageToken"]);
      await activate([...SUBJECTS, subject("bob", pods.id)]);
      expect((await operator.listPermissions(again)).rules).toHaveLength(1);
      await activate([...SUBJECTS, subject("bob", queries.id)]);
      expect((await operator.listPermissions(again)).code).toBe(DecisionCode.SNAPSHOT_CHANGED);
    });

    it("keeps consistency tokens: a newer one is waited for, then refused by name", async () => {
      await activate(SUBJECTS);
      const { meta } = await operator.checkPermission({ principal: "alice", ...listPods });
      const atLeast = { mode: Consistency_Mode.AT_LEAST_AS_FRESH, token: meta?.consistencyToken ?? "" };
      const held = await operator.checkPermission({ principal: "alice", ...listPods, consistency: atLeast });
      expect(held.allowed).toBe(true);
      const next = Buffer.from(`1700000000.${side.sequence() + 1}.000000000000`).toString("base64url");
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
    });

    it("watches versions with the principals whose grants changed, others' names only for those who may see them", async () => {
      const end = new AbortController();
      const seen: string[][] = [];
      const mine: string[][] = [];
      const read = async (client: PermissionClient, into: string[][]): Promise<void> => {
        try {
          for await (const { changedPrincipals, allChanged } of client.watchSnapshot(
            { cluster },
            { signal: end.signal },
          ))
            into.push(allChanged ? ["*"] : changedPrincipals);
        } catch (error) {
          if (!end.signal.aborted) throw error; // ending the watch is how the test stops it
        }
      };
      const readers = [read(operator, seen), read(alice, mine)];
      await expect.poll(() => [seen.length, mine.length], PATIENCE).toEqual([1, 1]);
      await activate(SUBJECTS);
      await expect
        .poll(() => [seen, mine], PATIENCE)
        .toEqual([
          [[], ["bob"]],
          [[], []],
        ]);
      end.abort();
      await Promise.all(readers);
    });

    it("logs every deny and every explanation, and allows only as samples", async () => {
      side.events.length = 0;
      for (let i = 0; i < 300; i++) await operator.checkPermission({ principal: "alice", ...listPods });
      for (let i = 0; i < 5; i++)
        await operator.checkPermission({ cluster, principal: "alice", resource: "pods", verb: "drop" });
      await operator.explainDecision({ principal: "alice", ...listPods, requestId: "r-1" });
      const decisions = side.events.map((event) => event["decision"]);
      expect(decisions.filter((decision) => decision === "deny")).toHaveLength(5);
      expect(decisions.filter((decision) => decision === "allow").length).toBeLessThan(20);
      expect(side.events.at(-1)).toMatchObject({
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

    it("pages through a plan on one version; tokens that were made up or belong to another question are refused", async () => {
      const names = Array.from({ length: 5 }, (_, i) => ruleSetOf([configMap(`app-${i}`)]));
      const many = {
        ...contractContent([
          subject(
            "carol",
            names.map(({ id }) => id),
          ),
        ]),
        ruleSets: sortedSets(names),
      };
      await side.activate(many);
      const question = { cluster, principal: "carol", resource: "configmaps", verb: "update" };
      const seen: string[] = [];
      let pages = 0;
      for (let pageToken = ""; ;) {
        const answer = await operator.planAccess({ ...question, pageSize: 2, pageToken });
        expect(answer).toMatchObject({ plan: PlanAccessResponse_Plan.CONDITIONAL, code: DecisionCode.ALLOWED });
        expect(answer.incomplete).toBe(answer.nextPageToken !== "");
        seen.push(...answer.conditions.flatMap((condition) => condition.names));
        pages++;
        if (answer.nextPageToken === "") break;
        pageToken = answer.nextPageToken;
      }
      expect([pages, seen.sort()]).toEqual([3, ["app-0", "app-1", "app-2", "app-3", "app-4"]]);
      const { nextPageToken } = await operator.planAccess({ ...question, pageSize: 2 });
      const [body = "", mac = ""] = nextPageToken.split(".");
      const forged = [
        { ...question, pageToken: "x" },
        { ...question, pageToken: `${body}.${Buffer.from(mac, "base64url").fill(0).toString("base64url")}` },
        { ...question, pageToken: `${Buffer.from("{}").toString("base64url")}.${mac}` },
        { ...question, verb: "get", pageToken: nextPageToken },
        { ...question, principal: "alice", pageToken: nextPageToken },
      ];
      for (const request of forged) {
        const error = await grpcFailure(operator.planAccess(request));
        expect([error.code, error.message]).toEqual([
          Status.INVALID_ARGUMENT,
          "page: pageToken: is the nextPageToken of the page before, of the same question; start again without a token",
        ]);
      }
      const list = await operator.listPermissions({ cluster, principal: "carol", pageSize: 2 });
      await grpcFailure(operator.planAccess({ ...question, pageToken: list.nextPageToken }));
      await grpcFailure(operator.listPermissions({ cluster, principal: "carol", pageToken: nextPageToken }));
      const large = await grpcFailure(operator.planAccess({ ...question, pageSize: 1_001 }));
      expect(large.message).toBe("PlanAccess: pageSize: is at most 1000, found 1001");
      await activate(SUBJECTS);
      expect((await operator.planAccess({ ...question, pageToken: nextPageToken })).plan).toBe(
        PlanAccessResponse_Plan.CONDITIONAL,
      );
      await activate([]);
      const gone = await operator.planAccess({ ...question, pageToken: nextPageToken });
      expect(gone).toMatchObject({ plan: 0, incomplete: true, code: DecisionCode.SNAPSHOT_CHANGED });
    });

    it("takes a plan back when one of its grants ended after its first page: it may have stood for others", async () => {
      const names = Array.from({ length: 3 }, (_, i) => ruleSetOf([configMap(`app-${i}`)]));
      // Long enough for the first page on a busy machine.
      const expiresAt = new Date(Date.now() + 3_000).toISOString().replace(/\.\d+Z/, "Z");
      const ending = subject(
        "carol",
        names.map(({ id }) => id),
      );
      const bindings = ending.bindings.map((binding, i) => (i === 0 ? { ...binding, expiresAt } : binding));
      await side.activate({ ...contractContent([{ ...ending, bindings }]), ruleSets: sortedSets(names) });
      const question = { cluster, principal: "carol", resource: "configmaps", verb: "update", pageSize: 1 };
      const { nextPageToken } = await operator.planAccess(question);
      await expect
        .poll(async () => (await operator.planAccess({ ...question, pageToken: nextPageToken })).code, PATIENCE)
        .toBe(DecisionCode.SNAPSHOT_CHANGED);
    });
  });
}

function configMap(name: string) {
  return ruleOf({ verbs: ["update"], apiGroups: [""], resources: ["configmaps"], resourceNames: [name] });
}

function sortedSets(sets: SnapshotContent["ruleSets"]): SnapshotContent["ruleSets"] {
  return [...sets].sort((a, b) => (a.id < b.id ? -1 : 1));
}
