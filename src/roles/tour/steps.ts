import { join } from "node:path";
import { ConfigMap, type ConfigMapObject, Deployment } from "../../api/builtin.ts";
import { ItemReport_Level } from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { ObjectList } from "../../cluster/cluster.ts";
import { EXAMPLE_PACK, exampleDirectory } from "../mesh/example.ts";
import { writeBigPack } from "./big-pack.ts";
import type { TourGuide } from "./guide.ts";
import { NotYet, type TourStep } from "./step.ts";

const PACK = EXAMPLE_PACK.name;
const BIG = "library";
const BIG_OBJECTS = 300;
/** The second version drops objects, so that pruning is seen as well. */
const SMALLER_OBJECTS = 120;
const ACCOUNT = "system:serviceaccount:hello:hello";

/** The stops of the tour, in order. */
export function tourSteps(guide: TourGuide): readonly TourStep[] {
  const dir = guide.dirFlag;
  const { layout } = guide.mesh;
  const kubectl = `kubectl --kubeconfig ${layout.kubeconfig}`;
  const seamctl = "npx seamctl";
  const publishCommand = (version: string, directory: string, name: string = PACK): string =>
    `${seamctl} pack publish ${directory} --name ${name} --version ${version} --to all${dir}`;
  return [
    {
      title: "A hub and three tenants start; the example pack reaches all of them",
      commands: [`${seamctl} up${dir}`, `${seamctl} agents${dir}`, `${seamctl} receipts${dir}`],
      run: async () => {
        const status = await guide.ready();
        return [
          ...status.agents.map(
            (agent) =>
              `${agent.cluster}: connected, index ${agent.held?.sequence ?? 0n}, ${agent.items?.healthy ?? 0} items healthy, snapshot ${agent.snapshot?.acknowledgedVersion ?? ""} in sync`,
          ),
          ...status.receipts.map(
            (receipt) => `${receipt.cluster}: ${receipt.pack} verified, ${receipt.resources} objects`,
          ),
        ];
      },
    },
    {
      title: "A second version is published, signed and delivered",
      commands: [publishCommand("v2.0.0", "examples/packs/hello/v2"), `${seamctl} receipts --pack ${PACK}${dir}`],
      run: async () => {
        await guide.publish(exampleDirectory("packs", "hello", "v2"), PACK, "v2.0.0");
        const status = await guide.delivered(PACK, "v2.0.0");
        return status.receipts.map(
          (receipt) => `${receipt.cluster}: ${receipt.pack} ${receipt.version} verified, serial ${receipt.serial}`,
        );
      },
    },
    {
      title: "A workload is deleted on tenant-2: drift is seen, signalled, corrected, confirmed",
      commands: [
        `${kubectl} --context tenant-2 -n hello delete deployment hello`,
        `${seamctl} drift --cluster tenant-2 --all${dir}`,
      ],
      run: () => healDrift(guide),
    },
    {
      title: "The hub is stopped; the tenant answers authorization questions all the same",
      commands: [
        `${seamctl} process hold management${dir}`,
        `${seamctl} can-i get pods -n hello --as ${ACCOUNT} --cluster tenant-1${dir}`,
        `${seamctl} can-i delete pods -n hello --as ${ACCOUNT} --cluster tenant-1${dir}`,
        `${seamctl} process release management${dir}`,
      ],
      run: async () => {
        await guide.hold("management");
        const yes = await guide.canI("tenant-1", ACCOUNT, "get", "pods", "hello");
        const no = await guide.canI("tenant-1", ACCOUNT, "delete", "pods", "hello");
        guide.release("management");
        if (!yes.allowed || no.allowed) throw new Error(`expected yes and no, got ${yes.reason} and ${no.reason}`);
        await guide.ready();
        return [
          `get pods: yes, ${yes.reason}`,
          `delete pods: no, ${no.reason}`,
          "the hub is back, all agents connected",
        ];
      },
    },
    {
      title: `An agent is killed (-9) in the middle of a delivery of ${BIG_OBJECTS} objects; it goes on where it was`,
      commands: [
        publishCommand("v1.0.0", join(guide.directory, "library"), BIG),
        `kill -9 $(cat ${layout.pid("tenant-3")})`,
        `${seamctl} explain tenant-3 ${BIG}${dir}`,
      ],
      run: () => killAgentInDelivery(guide),
    },
    {
      title: "The hub is killed (-9); every agent comes back and is verified again",
      commands: [`kill -9 $(cat ${layout.pid("management")})`, `${seamctl} agents${dir}`],
      run: async () => {
        const before = new Map((await guide.ready()).agents.map((agent) => [agent.cluster, agent]));
        await guide.kill9("management");
        const status = await guide.until("new sessions of all agents", async () => {
          const now = await guide.ready();
          const old = now.agents.filter((agent) => agent.sessionId === before.get(agent.cluster)?.sessionId);
          return old.length === 0
            ? now
            : new NotYet(`${old.map((agent) => agent.cluster).join(", ")} with the old session`);
        });
        return status.agents.map(
          (agent) =>
            `${agent.cluster}: connected again, term ${agent.term}, index ${agent.held?.sequence ?? 0n} verified`,
        );
      },
    },
    {
      title:
        "Everything is signed with a key the tenants do not trust: refused by name, nothing applied, last good kept",
      commands: [
        `${seamctl} process hold management${dir}   # and put another key pair in ${layout.management}/trust/signing`,
        publishCommand("v2.0.1", "examples/packs/hello/v1"),
        `${seamctl} explain tenant-1 ${PACK}${dir}`,
      ],
      run: () => refuseUntrustedKey(guide),
    },
    {
      title:
        "A stored blob is altered after signing: refused by name, quarantined, last good kept; restored, it is delivered",
      commands: [
        publishCommand("v2.0.0", join(guide.directory, `${BIG}-v2`), BIG),
        `${seamctl} explain tenant-2 ${BIG}${dir}`,
        `${seamctl} retry tenant-2 ${BIG}${dir}`,
      ],
      run: () => refuseAlteredBlob(guide),
    },
  ];
}

async function healDrift(guide: TourGuide): Promise<readonly string[]> {
  const tenant = "tenant-2";
  const before = await guide.deployment(tenant, "hello", "hello");
  if (before === undefined) throw new Error("Deployment hello/hello is not on tenant-2");
  const started = guide.clock.monotonic();
  const since = (): string => `${((guide.clock.monotonic() - started) / 1000).toFixed(1)} s`;
  await guide.mesh.tenant(tenant).delete(Deployment, { namespace: "hello", name: "hello" });
  const lines = ["Deployment hello/hello deleted"];
  const signal = await guide.until("a DriftSignal", async () => {
    const found = (await guide.drift(tenant)).find((each) => each.name === `drift-${PACK}-${tenant}`);
    return found ?? new NotYet("no signal");
  });
  lines.push(`DriftSignal ${signal.name} after ${since()}: ${signal.reason}`);
  await guide.until("a new Deployment", async () => {
    const now = await guide.deployment(tenant, "hello", "hello");
    return now !== undefined && now.metadata.uid !== before.metadata.uid ? now : new NotYet("still missing");
  });
  lines.push(`corrected after ${since()}`);
  const confirmed = await guide.until("the signal confirmed", async () => {
    const found = (await guide.drift(tenant)).find((each) => each.name === signal.name);
    return found?.state === "confirmed" ? found : new NotYet(`state ${found?.state ?? "gone"}`);
  });
  lines.push(`${confirmed.state} after ${since()}, ${confirmed.escalations} failed corrections`);
  return lines;
}

/** The ConfigMaps of the big pack; every namespace holds one that is not a pack's. */
function pages(guide: TourGuide, tenant: string): Promise<ObjectList<ConfigMapObject>> {
  return guide.mesh.tenant(tenant).list(ConfigMap, { namespace: BIG, labelSelector: `app=${BIG}`, limit: 500 });
}

async function killAgentInDelivery(guide: TourGuide): Promise<readonly string[]> {
  const tenant = "tenant-3";
  const directory = join(guide.directory, BIG);
  writeBigPack(directory, BIG, BIG_OBJECTS);
  await guide.publish(directory, BIG, "v1.0.0");
  const applied = await guide.until("the first objects of the delivery", async () => {
    const list = await pages(guide, tenant);
    return list.items.length > 0 ? list.items.length : new NotYet("no object yet");
  });
  await guide.kill9(tenant);
  const status = await guide.delivered(BIG, "v1.0.0");
  const after = await pages(guide, tenant);
  if (after.items.length !== BIG_OBJECTS)
    throw new Error(`expected ${BIG_OBJECTS} ConfigMaps, found ${after.items.length}`);
  const receipt = status.receipts.find((each) => each.cluster === tenant && each.name === `${BIG}-${tenant}`);
  return [
    `killed with ${applied} of ${BIG_OBJECTS} ConfigMaps applied`,
    `resumed: ${after.items.length} ConfigMaps, level ${receipt?.level === ItemReport_Level.HEALTHY ? "healthy" : "applied"}, receipt lists ${receipt?.resources ?? 0} objects`,
  ];
}

async function refuseUntrustedKey(guide: TourGuide): Promise<readonly string[]> {
  const tenant = "tenant-1";
  const before = await guide.deployment(tenant, "hello", "hello");
  await guide.hold("management");
  const restore = await guide.replaceSigningKey();
  guide.release("management");
  await guide.until("the management API", async () => {
    const { hubError } = await guide.mesh.status();
    return hubError === "" ? true : new NotYet(hubError);
  });
  await guide.publish(exampleDirectory("packs", "hello", "v1"), PACK, "v2.0.1");
  const refusal = await guide.until("the refusal", async () => {
    const agent = (await guide.mesh.status()).agents.find((each) => each.cluster === tenant);
    const reason = agent?.degradedReason ?? "";
    return reason.includes("UNKNOWN_KEY") ? reason : new NotYet(reason || "no refusal yet");
  });
  const after = await guide.deployment(tenant, "hello", "hello");
  if (after?.metadata.uid !== before?.metadata.uid || after?.metadata.generation !== before?.metadata.generation) {
    throw new Error("the Deployment changed although its pack was refused");
  }
  const lines = [`${tenant} refuses: ${refusal}`, "the Deployment of v2.0.0 is untouched"];
  await guide.hold("management");
  restore();
  guide.release("management");
  await guide.delivered(PACK, "v2.0.1");
  lines.push("right key restored: v2.0.1 signed again and delivered");
  return lines;
}

async function refuseAlteredBlob(guide: TourGuide): Promise<readonly string[]> {
  const tenant = "tenant-2";
  const tenants = guide.mesh.tenantNames;
  const before = (await guide.explain(tenant, BIG)).item?.version ?? 0n;
  // The agents wait outside, so that the blob is altered after it was signed and before anybody fetched it.
  for (const name of tenants) await guide.hold(name);
  const directory = join(guide.directory, `${BIG}-v2`);
  writeBigPack(directory, BIG, SMALLER_OBJECTS);
  const published = await guide.publish(directory, BIG, "v2.0.0");
  await guide.until("the signed index with the new version", async () => {
    const version = (await guide.explain(tenant, BIG)).item?.version ?? 0n;
    return version > before ? version : new NotYet(`item version ${version}`);
  });
  const layer = published.pack.blobs.find((blob) => blob.mediaType.includes("workload"));
  if (layer === undefined) throw new Error("the pack has no workload layer");
  const restore = guide.alterBlob(layer.digest);
  for (const name of tenants) guide.release(name);
  // All of them: one that has yet to refuse has no quarantine that a retry could lift.
  const refusals = new Map<string, string>();
  for (const name of tenants) {
    const refused = await guide.until(`the refusal by ${name}`, async () => {
      const { item, lastError, blockingReason } = await guide.explain(name, BIG);
      return item?.quarantined === true ? lastError : new NotYet(lastError || blockingReason || "no refusal yet");
    });
    refusals.set(name, refused);
  }
  const kept = await pages(guide, tenant);
  if (kept.items.length !== BIG_OBJECTS)
    throw new Error(`the last good version is damaged: ${kept.items.length} ConfigMaps`);
  restore();
  for (const name of tenants) await guide.retry(name, BIG);
  await guide.delivered(BIG, "v2.0.0");
  const pruned = await pages(guide, tenant);
  return [
    `${tenant}: ${refusals.get(tenant)}`,
    `quarantined; the ${kept.items.length} ConfigMaps of v1.0.0 are untouched`,
    `blob restored, quarantine lifted: v2.0.0 delivered to all, ${pruned.items.length} ConfigMaps left after pruning`,
  ];
}
