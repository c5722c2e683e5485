import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ConfigMap, Deployment, Namespace } from "../../src/api/builtin.ts";
import { PackDelivery } from "../../src/api/kinds/pack-delivery.ts";
import { PackReceipt } from "../../src/api/kinds/pack-receipt.ts";
import { LABELS, NAMESPACES, packInstalledName, tenantNamespace } from "../../src/api/names.ts";
import { ifPresent } from "../../src/cluster/if-present.ts";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { auditHash, closedRange, parseAuditEvent } from "../../src/federation/audit/audit-chain.ts";
import type { MeshProcess } from "../support/mesh-process.ts";
import type { ChaosActions } from "./actions.ts";
import { type ModelVersion, type PackModel, versionText } from "./pack-model.ts";

/** Everything in which a mesh at rest differs from the model, one sentence each. */
export async function differences(mesh: MeshProcess, actions: ChaosActions): Promise<readonly string[]> {
  const found: string[] = [];
  const [agents, receipts, drift] = await Promise.all([mesh.agents(), mesh.listReceipts(), mesh.drift()]);
  for (const tenant of mesh.tenants) {
    const agent = agents.find(({ cluster }) => cluster === tenant);
    if (agent?.connected !== true) found.push(`${tenant} is not connected`);
    else {
      if (agent.held?.digest !== agent.desired?.digest) found.push(`${tenant} does not hold its index`);
      const { desired = 0, healthy = 0, quarantined = 0 } = agent.items ?? {};
      if (healthy !== desired) found.push(`${tenant} has ${healthy} of ${desired} items healthy`);
      if (quarantined > 0) found.push(`${tenant} has ${quarantined} items in quarantine`);
      if (agent.snapshot?.acknowledgedVersion !== agent.snapshot?.expectedVersion)
        found.push(`${tenant} has not acknowledged snapshot ${agent.snapshot?.expectedVersion ?? ""}`);
      if (agent.auditBacklog > 0n) found.push(`${tenant} has ${agent.auditBacklog} audit events not stored`);
    }
    for (const pack of actions.packs) {
      const name = packInstalledName(pack, tenant);
      const wanted = actions.model.wanted(pack, tenant);
      const receipt = receipts.find((each) => each.cluster === tenant && each.name === name);
      if (wanted === undefined) {
        if (receipt !== undefined) found.push(`the receipt of ${name} is still there`);
      } else if (receipt === undefined) found.push(`${name} has no receipt`);
      else {
        if (receipt.version !== versionText(wanted))
          found.push(`${name} has ${receipt.version}, wanted ${versionText(wanted)}`);
        if (!receipt.acknowledged || receipt.verified !== true)
          found.push(`the receipt of ${name} is not acknowledged`);
        if (receipt.driftStatus !== "InSync") found.push(`${name} is ${receipt.driftStatus || "of unknown drift"}`);
      }
      found.push(...(await objectDifferences(mesh.tenant(tenant), tenant, pack, wanted)));
    }
    found.push(...(await permissionDifferences(mesh, tenant, actions.granted)));
  }
  for (const signal of drift)
    if (signal.state !== "confirmed")
      found.push(`${signal.cluster}/${signal.name} is ${signal.state}: ${signal.reason}`);
  found.push(...(await deliveryDifferences(mesh, actions.model, actions.packs)));
  return found;
}

/** What is on a tenant against what the wanted version says, and the inventory against both. */
async function objectDifferences(
  cluster: Cluster,
  tenant: string,
  pack: string,
  wanted: ModelVersion | undefined,
): Promise<readonly string[]> {
  const at = `${tenant}/${pack}`;
  const found: string[] = [];
  const name = packInstalledName(pack, tenant);
  const receipt = await ifPresent(cluster.get(PackReceipt, { namespace: NAMESPACES.ont, name }));
  const namespace = await ifPresent(cluster.get(Namespace, { name: pack }));
  if (wanted === undefined) {
    if (receipt !== undefined) found.push(`${at}: PackReceipt is still there`);
    if (namespace !== undefined) found.push(`${at}: namespace is still there`);
    return found;
  }
  const configs = (await cluster.list(ConfigMap, { namespace: pack })).items.filter(
    ({ metadata }) => metadata.labels?.[LABELS.packInstalled] !== undefined,
  );
  const deployments = (await cluster.list(Deployment, { namespace: pack })).items;
  for (const [config, value] of wanted.configs) {
    const object = configs.find(({ metadata }) => metadata.name === config);
    if (object?.data?.["value"] !== value)
      found.push(`${at}: ConfigMap ${config} is ${JSON.stringify(object?.data)}, wanted ${value}`);
  }
  for (const { metadata } of configs)
    if (!wanted.configs.has(metadata.name)) found.push(`${at}: ConfigMap ${metadata.name} should be gone`);
  const there = deployments.map(({ metadata }) => metadata.name).toSorted();
  if (there.join() !== [...wanted.deployments].toSorted().join())
    found.push(`${at}: Deployments ${there.join()}, wanted ${wanted.deployments.join()}`);
  const listed = (receipt?.spec.deployedResources ?? []).map((ref) => `${ref.kind}/${ref.name}`).toSorted();
  const expected = [
    `Namespace/${pack}`,
    ...[...wanted.configs.keys()].map((config) => `ConfigMap/${config}`),
    ...wanted.deployments.map((deployment) => `Deployment/${deployment}`),
  ].toSorted();
  if (listed.join() !== expected.join()) found.push(`${at}: inventory ${listed.join()}, wanted ${expected.join()}`);
  return found;
}

async function permissionDifferences(mesh: MeshProcess, tenant: string, granted: string): Promise<readonly string[]> {
  if (granted === "") return [];
  const ask = async (resource: string): Promise<boolean> =>
    (
      await mesh
        .permissions(tenant)
        .checkPermission(
          { principal: "system:serviceaccount:hello:hello", verb: "get", resource, namespace: "hello" },
          { deadlineMs: 3_000 },
        )
    ).allowed;
  const found: string[] = [];
  if (!(await ask(granted))) found.push(`${tenant} does not allow ${granted}`);
  const before = granted.replace(/\d+$/, (number) => String(Number(number) - 1));
  if (await ask(before)) found.push(`${tenant} still allows ${before}`);
  return found;
}

async function deliveryDifferences(
  mesh: MeshProcess,
  model: PackModel,
  packs: readonly string[],
): Promise<readonly string[]> {
  const found: string[] = [];
  const { items } = await mesh.management.list(PackDelivery, { namespace: NAMESPACES.seam });
  for (const pack of packs) {
    const there = items.filter(({ spec }) => spec.basePackName === pack).map(({ spec }) => spec.version);
    const wanted = model.versions(pack).map(versionText);
    for (const version of wanted) if (!there.includes(version)) found.push(`PackDelivery ${pack} ${version} is lost`);
    for (const version of there)
      if (!wanted.includes(version)) found.push(`PackDelivery ${pack} ${version} is still there`);
  }
  return found;
}

/** Checks a stopped mesh's audit sink: numbers contiguous from 1, each once, the chain unbroken. Returns the number of events. */
export function auditFaults(mesh: MeshProcess): { readonly events: number; readonly faults: readonly string[] } {
  const file = join(mesh.layout.management, "audit", "audit.db");
  if (!existsSync(file)) return { events: 0, faults: [`${file} does not exist`] };
  const db = new DatabaseSync(file, { readOnly: true });
  const faults: string[] = [];
  let events = 0;
  try {
    const logs = db
      .prepare(
        "SELECT c.name AS cluster, h.chain FROM audit_chains h JOIN audit_clusters c ON c.number = h.cluster ORDER BY 1, 2",
      )
      .all();
    const clusters = logs.map(({ cluster }) => String(cluster));
    if (new Set(clusters).size !== clusters.length) faults.push(`an audit log began anew: ${clusters.join()}`);
    for (const { cluster, chain } of logs) {
      let next = 1n;
      let previous: Buffer = Buffer.alloc(32);
      const rows = db.prepare(
        "SELECT sequence, event, prev_hash, hash FROM audit_events WHERE chain = ? ORDER BY sequence",
      );
      rows.setReadBigInts(true);
      for (const row of rows.iterate(chain ?? 0)) {
        const { sequence, event, prev_hash: prevHash, hash } = row;
        if (typeof sequence !== "bigint" || !(event instanceof Uint8Array) || !(prevHash instanceof Uint8Array)) {
          faults.push(`${String(cluster)}: a row of another shape`);
          continue;
        }
        events += 1;
        if (sequence !== next) faults.push(`${String(cluster)}: number ${next} is missing, ${sequence} came`);
        if (closedRange(parseAuditEvent(event)) !== undefined)
          faults.push(`${String(cluster)}: a gap record at ${sequence}`);
        if (Buffer.compare(prevHash, previous) !== 0)
          faults.push(`${String(cluster)}: the chain breaks at ${sequence}`);
        const computed = Buffer.from(auditHash(prevHash, sequence, event));
        if (!(hash instanceof Uint8Array) || Buffer.compare(hash, computed) !== 0)
          faults.push(`${String(cluster)}: the hash of ${sequence} is wrong`);
        previous = computed;
        next = sequence + 1n;
      }
    }
    const { n: conflicts } = db.prepare("SELECT count(*) AS n FROM audit_quarantine").get() ?? {};
    if (conflicts !== 0) faults.push(`${String(conflicts)} audit conflicts`);
  } finally {
    db.close();
  }
  return { events, faults };
}

/** Management objects of tenants whose pack is gone that nothing will ever clean up. */
export async function leftovers(mesh: MeshProcess, actions: ChaosActions): Promise<readonly string[]> {
  const found: string[] = [];
  for (const tenant of mesh.tenants) {
    const { items } = await mesh.management.list(PackReceipt, { namespace: tenantNamespace(tenant) });
    for (const { metadata } of items) {
      const pack = actions.packs.find((name) => packInstalledName(name, tenant) === metadata.name);
      if (pack !== undefined && actions.model.wanted(pack, tenant) === undefined)
        found.push(`PackReceipt ${tenant}/${metadata.name} is left over on management`);
    }
  }
  return found;
}
