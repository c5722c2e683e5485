import { integerBetween, SeededRandom } from "../../src/base/random.ts";
import { PermissionEngine } from "../../src/governance/engine/permission-engine.ts";
import type { PermissionObject } from "../../src/governance/engine/permission-object.ts";
import { whoCanSteps } from "../../src/permissions/decision/who-can.ts";
import { indexOf } from "../../src/permissions/index/permission-index.ts";
import type { AccessRequest } from "../../src/permissions/rules/access-request.ts";
import { MAX_ENTRIES_PER_RULE_SET } from "../../src/permissions/rules/rule-validation.ts";
import { chunksOf } from "../../src/permissions/snapshot/content-chunks.ts";
import type { SnapshotContent } from "../../src/permissions/snapshot/content.ts";
import { MAX_INLINE_CONTENT_BYTES, MAX_TOTAL_ENTRIES } from "../../src/permissions/snapshot/limits.ts";
import { hash12 } from "../../src/permissions/snapshot/snapshot-version.ts";
import { signStatement } from "../../src/permissions/snapshot/statement.ts";
import { testKey } from "../../test/oracle/signed-snapshots.ts";
import { median, quantile } from "../report/statistics.ts";
import { timedSteps } from "./timed-steps.ts";
import { policy, profile, rule, set, talosCluster } from "./permission-fleet.ts";

/** One cluster at the size of permissions §17: 10,000 principals with 1,000 rules each, of 100 sets. */
export interface LargeTenantFigures {
  readonly principals: number;
  readonly rulesEach: number;
  /** Everything judged and computed from nothing, milliseconds. */
  readonly coldMs: number;
  /** Processor time of judging and computing, and its longest step, milliseconds. */
  readonly coldProcessorMs: number;
  readonly coldLongestStepMs: number;
  readonly graphBytes: number;
  readonly contentBytes: number;
  /** One profile changed: to the content, and to signed chunks; milliseconds. */
  readonly oneMs: number;
  readonly oneSignedMs: number;
  readonly oneSignedProcessorMs: number;
  /** Longest step of the one change, of processor time, milliseconds. */
  readonly longestStepMs: number;
  /** Index of the content. */
  readonly entries: number;
  readonly tableBytes: number;
  readonly checkP50Micros: number;
  readonly checkP99Micros: number;
  readonly batchMs: number;
  /** Everybody may: results, all of them, and the longest slice. */
  readonly whoCanResults: number;
  readonly whoCanMs: number;
  readonly whoCanLongestMs: number;
  /** Tables of an index with as many entries as a snapshot may have. */
  readonly limitEntries: number;
  readonly limitTableBytes: number;
}

const PRINCIPALS = 10_000;
const RULES = 1_000;
const SETS = 100;
const CHECKS = 20_000;
const BATCH = 1_000;
const HOME = "seam-tenant-c0";
const VERBS = [["get"], ["get", "list"], ["get", "list", "watch"], ["get", "update"]];

function heldBytes(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function largeTenant(): readonly PermissionObject[] {
  const objects: PermissionObject[] = [
    talosCluster("c0"),
    set("seam-system", "management-maximum", [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }]),
    set(HOME, "cluster-maximum", [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }]),
    policy(HOME, "cluster-policy", "cluster-maximum", ["c0"]),
  ];
  for (let s = 0; s < SETS; s++) {
    const rules = Array.from({ length: RULES - 2 }, (_, i) => ({
      apiGroups: [`group-${i % 20}.example.com`],
      resources: [`kind-${i}`],
      verbs: VERBS[(i + s + (i % 7) * s) % VERBS.length] ?? [],
    }));
    // No two sets are the same: one of the rules is of this set alone.
    objects.push(set(HOME, `claims-${s}`, [rule("pods"), rule(`own-${s}`), ...rules]));
  }
  for (let i = 0; i < PRINCIPALS; i++) objects.push(person(i, 1));
  return objects;
}

function person(i: number, generation: number): PermissionObject {
  return profile(HOME, `p${i}`, "cluster-policy", ["c0"], `claims-${(i + generation) % SETS}`, generation);
}

const userOf = (i: number): string => `system:serviceaccount:${HOME}-p${i}:p${i}`;

function requestOf(random: SeededRandom): AccessRequest {
  const i = integerBetween(random, 0, RULES - 3);
  const verb = ["get", "list", "update", "delete"][integerBetween(random, 0, 3)] ?? "get";
  const apiGroup = `group-${i % 20}.example.com`;
  return { form: "resource", verb, apiGroup, resource: `kind-${i}`, subresource: "", name: "", namespace: "web" };
}

/** As many entries as a snapshot may have, for one subject. */
function contentAtTheLimit(base: SnapshotContent): SnapshotContent {
  const side = Math.floor(Math.sqrt(MAX_ENTRIES_PER_RULE_SET));
  const perSet = side * side;
  const names = Array.from({ length: side }, (_, i) => String(i));
  const ruleSets = Array.from({ length: Math.floor(MAX_TOTAL_ENTRIES / perSet) }, (_, s) => ({
    id: `rs-${s.toString(16).padStart(32, "0")}`,
    rules: [
      {
        verbs: ["get"],
        apiGroups: names.map((name) => `g${name}`),
        resources: names.map((name) => `r${name}-${s}`),
        resourceNames: [],
        nonResourceURLs: [],
      },
    ],
  }));
  const source = { profileNamespace: HOME, profileName: "p", declaration: 0, permissionSet: "s", policy: "p" };
  const bindings = ruleSets.map(({ id }) => ({
    ruleSet: id,
    scope: "cluster" as const,
    namespaces: [],
    expiresAt: "",
    source,
  }));
  const subject = { kind: "User" as const, namespace: "", name: "ada", principalRef: "ada", bindings };
  return { ...base, ceilings: {}, ruleSets, subjects: [subject], profiles: [] };
}

/** What permissions §17 asks of one large tenant, in process. */
export function largeTenantBench(runs: number): LargeTenantFigures {
  const objects = largeTenant();
  const engine = new PermissionEngine({ managementCluster: "management" });
  const before = heldBytes();
  const coldStarted = performance.now();
  for (const object of objects) engine.apply({ type: "put", object });
  const cold = timedSteps(engine.settle());
  const coldMs = performance.now() - coldStarted;
  const graphBytes = heldBytes() - before;
  const { signer } = testKey();
  const one: number[] = [];
  const signed: number[] = [];
  const processor: number[] = [];
  const longest: number[] = [];
  let contentBytes = 0;
  for (let run = 0; run <= runs; run++) {
    const started = performance.now();
    const used = process.threadCpuUsage();
    engine.apply({ type: "put", object: person(PRINCIPALS / 2, run + 2) });
    const { longestStepMs } = timedSteps(engine.settle());
    const computed = engine.view.snapshots.get("c0");
    if (computed === undefined) throw new Error("the tenant has no content");
    const ms = performance.now() - started;
    const { bytes, contentHash, freshnessWindowSeconds, maxOfflineSeconds } = computed;
    const chunks = [...chunksOf("c0", hash12(contentHash), bytes, MAX_INLINE_CONTENT_BYTES)];
    if (chunks.length < 2) throw new Error("the content of a large tenant is large");
    const statement = { cluster: "c0", epoch: 1, sequence: run + 1, contentHash, issuedAtMs: 1_700_000_000_000 };
    signStatement({ ...statement, freshnessWindowSeconds, maxOfflineSeconds, minSequence: 0 }, signer);
    contentBytes = bytes.length;
    if (run === 0) continue; // warm-up
    one.push(ms);
    signed.push(performance.now() - started);
    const { user, system } = process.threadCpuUsage(used);
    processor.push((user + system) / 1000);
    longest.push(longestStepMs);
  }
  const content = engine.view.snapshots.get("c0")?.content;
  if (content === undefined) throw new Error("the tenant has no content");
  const index = indexOf(content);
  const random = new SeededRandom(1);
  const questions = Array.from({ length: CHECKS }, () => ({
    user: userOf(integerBetween(random, 0, PRINCIPALS - 1)),
    request: requestOf(random),
  }));
  for (const { user, request } of questions) index.decide(user, [], request, 0);
  const checks = questions.map(({ user, request }) => {
    const began = performance.now();
    index.decide(user, [], request, 0);
    return performance.now() - began;
  });
  const batches = Array.from({ length: runs }, (_, run) => {
    const began = performance.now();
    for (let i = 0; i < BATCH; i++) {
      const question = questions[(run * BATCH + i) % CHECKS];
      if (question !== undefined) index.decide(question.user, [], question.request, 0);
    }
    return performance.now() - began;
  });
  const pods: AccessRequest = {
    form: "resource",
    verb: "get",
    apiGroup: "",
    resource: "pods",
    subresource: "",
    name: "",
    namespace: "web",
  };
  timedSteps(whoCanSteps(index, pods, [], 0));
  const who = Array.from({ length: runs }, () => timedSteps(whoCanSteps(index, pods, [], 0)));
  const limit = indexOf(contentAtTheLimit(content)).sizes;
  return {
    principals: PRINCIPALS,
    rulesEach: RULES,
    coldMs,
    coldProcessorMs: cold.processorMs,
    coldLongestStepMs: cold.longestStepMs,
    graphBytes,
    contentBytes,
    oneMs: median(one),
    oneSignedMs: median(signed),
    oneSignedProcessorMs: median(processor),
    longestStepMs: median(longest),
    entries: index.sizes.entries,
    tableBytes: index.sizes.tableBytes,
    checkP50Micros: quantile(checks, 0.5) * 1000,
    checkP99Micros: quantile(checks, 0.99) * 1000,
    batchMs: median(batches),
    whoCanResults: who[0]?.value.length ?? 0,
    whoCanMs: median(who.map(({ ms }) => ms)),
    whoCanLongestMs: median(who.map(({ longestStepMs }) => longestStepMs)),
    limitEntries: limit.entries,
    limitTableBytes: limit.tableBytes,
  };
}
