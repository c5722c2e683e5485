import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as elapse } from "node:timers/promises";
import type { CheckPermissionResponse } from "../../src/api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { DecisionCode } from "../../src/api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { RBACProfile } from "../../src/api/kinds/rbac-profile.ts";
import { NAMESPACES } from "../../src/api/names.ts";
import { MeshProcess } from "../../test/support/mesh-process.ts";
import { median, quantile } from "../report/statistics.ts";

/** Times from a decision on the management cluster to what a tenant answers, milliseconds, over all tenants and rounds. */
export interface LatencyFigures {
  readonly p50Ms: number;
  readonly p95Ms: number;
}

/** How soon a right is gone on tenants that are connected. */
export interface RevocationFigures {
  readonly tenants: number;
  readonly samples: number;
  /** One question to a tenant: what no observation can be below. */
  readonly question: LatencyFigures;
  /** A revocation of the snapshot, pushed ahead of everything and computed by nobody: the floor of the stream. */
  readonly push: LatencyFigures;
  /** A profile is created: until it is allowed. */
  readonly grant: LatencyFigures;
  /** A profile is deleted: until it is denied. */
  readonly deletion: LatencyFigures;
}

const TENANTS = 3;
/** Rounds per run of the bench. */
const ROUNDS_PER_RUN = 4;
/** Ports of this mesh, away from a person's. */
const PORT_OFFSET = 3_110;
const PRINCIPAL = "bench-revocation";
const PROFILE = { namespace: NAMESPACES.seam, name: "bench-revocation" };
/** Pause between two questions to one tenant, milliseconds. */
const POLL_MS = 4;
const WITHIN_MS = 60_000;

/** A mesh of processes: a hub and tenants, each with a client that asks until the answer is another. */
export async function revocationBench(runs: number): Promise<RevocationFigures> {
  const directory = await mkdtemp(join(tmpdir(), "bench-revocation-"));
  const mesh = new MeshProcess({ directory, tenants: TENANTS, portOffset: PORT_OFFSET });
  const times = { question: [] as number[], push: [] as number[], grant: [] as number[], deletion: [] as number[] };
  try {
    mesh.start();
    await mesh.ready(WITHIN_MS);
    // The first round opens connections and compiles.
    for (let round = 0; round <= runs * ROUNDS_PER_RUN; round++) {
      const measured = await oneRound(mesh);
      if (round === 0) continue;
      for (const [name, values] of Object.entries(measured) as [keyof typeof times, readonly number[]][])
        times[name].push(...values);
    }
  } finally {
    await mesh.stop();
    await rm(directory, { recursive: true, force: true });
  }
  return {
    tenants: TENANTS,
    samples: times.deletion.length,
    question: latency(times.question),
    push: latency(times.push),
    grant: latency(times.grant),
    deletion: latency(times.deletion),
  };
}

function latency(values: readonly number[]): LatencyFigures {
  return { p50Ms: median(values), p95Ms: quantile(values, 0.95) };
}

async function oneRound(mesh: MeshProcess) {
  const question = await all(mesh, async (tenant) => void (await ask(mesh, tenant)));
  const grant = await after(
    mesh,
    ({ allowed }) => allowed,
    () =>
      mesh.management.create(RBACProfile, {
        apiVersion: "guardian.ontai.dev/v1alpha1",
        kind: "RBACProfile",
        metadata: PROFILE,
        spec: {
          principalRef: PRINCIPAL,
          targetClusters: mesh.tenants,
          permissionDeclarations: [{ permissionSetRef: "hello-reader", scope: "cluster" }],
          rbacPolicyRef: "hello",
        },
      }),
  );
  const deletion = await after(
    mesh,
    ({ allowed }) => !allowed,
    () => mesh.management.delete(RBACProfile, PROFILE),
  );
  const held = new Map<string, bigint>();
  for (const tenant of mesh.tenants) held.set(tenant, (await ask(mesh, tenant)).meta?.sequence ?? 0n);
  const push = await after(
    mesh,
    // Its successor may be there before the next question.
    ({ code, meta }, tenant) =>
      code === DecisionCode.SNAPSHOT_REVOKED || (meta?.sequence ?? 0n) > (held.get(tenant) ?? 0n),
    () => mesh.revocations.revoke({ target: "PermissionSnapshot", reason: "bench" }),
  );
  // Everybody answers again before the next round.
  await after(
    mesh,
    ({ code }) => code !== DecisionCode.SNAPSHOT_REVOKED,
    () => Promise.resolve(),
  );
  return { question, push, grant, deletion };
}

/** Milliseconds from before `act` until each tenant's answer is as wanted. */
async function after(
  mesh: MeshProcess,
  wanted: (answer: CheckPermissionResponse, tenant: string) => boolean,
  act: () => Promise<unknown>,
): Promise<readonly number[]> {
  const started = performance.now();
  const acted = act();
  const seen = await all(mesh, async (tenant) => {
    while (!wanted(await ask(mesh, tenant), tenant)) {
      if (performance.now() - started > WITHIN_MS) throw new Error(`${tenant} does not answer as it should`);
      await elapse(POLL_MS);
    }
  });
  await acted;
  return seen;
}

function all(mesh: MeshProcess, run: (tenant: string) => Promise<void>): Promise<readonly number[]> {
  const started = performance.now();
  return Promise.all(mesh.tenants.map((tenant) => run(tenant).then(() => performance.now() - started)));
}

function ask(mesh: MeshProcess, tenant: string): Promise<CheckPermissionResponse> {
  const asked = { verb: "list", apiGroup: "", resource: "pods", namespace: "hello" };
  return mesh.permissions(tenant).checkPermission({ principal: PRINCIPAL, ...asked }, { deadlineMs: 5_000 });
}
