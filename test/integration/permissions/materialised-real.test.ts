import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ClusterRole, ClusterRoleBinding, Namespace, RoleBinding } from "../../../src/api/builtin.ts";
import type { ResourceType } from "../../../src/api/resource-type.ts";
import { SeededRandom } from "../../../src/base/random.ts";
import type { MaterialisedObject } from "../../../src/permissions/materialise/materialised.ts";
import { planRbac } from "../../../src/permissions/materialise/plan-rbac.ts";
import { rbacChanges } from "../../../src/permissions/materialise/rbac-changes.ts";
import { writeRbac } from "../../../src/permissions/materialise/write-rbac.ts";
import type { AccessRequest } from "../../../src/permissions/rules/access-request.ts";
import { scanDecision } from "../../oracle/permission-scan.ts";
import { WORLD_NOW_MS, randomQuestion, randomWorld } from "../../oracle/permission-worlds.ts";
import { RealAuthorizer } from "../../oracle/real-authorizer.ts";
import { type RealApiServer, realServerAssets, startRealApiServer } from "../../support/real-api-server.ts";

const assets = realServerAssets();
const NAMESPACES = ["default", "kube-system", "other"];
const TYPES: readonly ResourceType<MaterialisedObject>[] = [ClusterRole, ClusterRoleBinding, RoleBinding];
const QUESTIONS = 300;

/** A world without names of the server's own, so that its bootstrap roles play no part. */
const world = { ...randomWorld(new SeededRandom(44)), suspendedPrincipals: [] };

function attributes(request: AccessRequest) {
  if (request.form === "path") return { nonResourceAttributes: { path: request.path, verb: request.verb } };
  const { verb, apiGroup: group, resource, subresource, name, namespace } = request;
  return { resourceAttributes: { verb, group, resource, subresource, name, namespace } };
}

// Skipped without kube-apiserver and etcd: KUBEBUILDER_ASSETS names their folder (.ci/real-parts builds them).
describe.skipIf(assets === undefined)("materialised RBAC on a real API server", () => {
  let server: RealApiServer;
  let authorizer: RealAuthorizer;
  const found = async (): Promise<readonly MaterialisedObject[]> =>
    (await Promise.all(TYPES.map((type) => server.cluster.list(type)))).flatMap(({ items }) => items);
  const wanted = planRbac(world, WORLD_NOW_MS, NAMESPACES).objects;

  beforeAll(async () => {
    server = await startRealApiServer(assets ?? "");
    authorizer = await RealAuthorizer.open(server);
    for (const name of NAMESPACES.filter((each) => each !== "default" && each !== "kube-system"))
      await server.cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name } }).catch(() => {
        // the authorizer's helper has made some of them
      });
  }, 180_000);

  afterAll(() => authorizer?.close());

  it("is taken by the server as it is, and needs no second write", async () => {
    expect(wanted.length).toBeGreaterThan(5);
    const outcome = await writeRbac(server.cluster, rbacChanges(wanted, await found()));
    expect(outcome).toEqual({ written: wanted.length, removed: 0, failed: [], failures: 0 });
    expect(rbacChanges(wanted, await found())).toEqual({ remove: [], write: [], foreign: [], beyondLimit: 0 });
  });

  it("makes the server's authorizer decide as the snapshot does", async () => {
    const random = new SeededRandom(45);
    const asked = Array.from({ length: QUESTIONS }, () => randomQuestion(random)).filter(
      ({ user, groups, request }) =>
        // The server itself grants something to everybody who is authenticated, and to some of its own.
        !user.startsWith("system:anonymous") &&
        !groups.includes("system:authenticated") &&
        request.verb !== "" &&
        (request.form === "path" ? request.path !== "" : ["", ...NAMESPACES].includes(request.namespace)),
    );
    const decide = async ({ user, groups, request }: (typeof asked)[number]): Promise<boolean> =>
      authorizer.review({ spec: { user, groups: [...groups], ...attributes(request) } });
    const expected = asked.map(
      ({ user, groups, request }) => scanDecision(world, user, groups, request, WORLD_NOW_MS) === "allowed",
    );
    await expect.poll(() => decide(asked[expected.indexOf(true)] ?? asked[0]!), { timeout: 20_000 }).toBe(true);
    const different: unknown[] = [];
    for (const [i, question] of asked.entries())
      if ((await decide(question)) !== expected[i]) different.push({ ...question, expected: expected[i] });
    expect(different).toEqual([]);
    expect(expected.filter(Boolean).length).toBeGreaterThan(10);
  });

  it("goes without a trace, and takes nothing of the server's own along", async () => {
    const before = await found();
    const outcome = await writeRbac(server.cluster, rbacChanges([], before));
    expect(outcome).toEqual({ written: 0, removed: wanted.length, failed: [], failures: 0 });
    // The server may still be making more of its own: those that are gone are ours, and all of ours are.
    const after = new Set((await found()).map(({ metadata }) => metadata.uid));
    const gone = before.filter(({ metadata }) => !after.has(metadata.uid));
    const names = (objects: readonly MaterialisedObject[]): readonly string[] =>
      objects.map(({ metadata }) => `${metadata.namespace ?? ""}/${metadata.name}`).toSorted();
    expect(names(gone)).toEqual(names(wanted));
  });
});
