import { ConfigMap, Secret, type SecretObject } from "../../../src/api/builtin.ts";
import { PermissionSnapshot } from "../../../src/api/kinds/permission-snapshot.ts";
import {
  NAMESPACES,
  clusterOfNamespace,
  signedSnapshotSecretName,
  snapshotName,
  tenantNamespace,
} from "../../../src/api/names.ts";
import type { KubeObject } from "../../../src/api/object.ts";
import { silentLog } from "../../../src/base/log.ts";
import { SeededRandom } from "../../../src/base/random.ts";
import { createHubFactStore } from "../../../src/federation/hub/mirror/hub-fact-store.ts";
import type { IndexItem } from "../../../src/federation/index/index-document.ts";
import { FactRefused } from "../../../src/federation/hub/ports.ts";
import { readItem } from "../../../src/governance/index/desired-items.ts";
import { SNAPSHOT_LEDGER } from "../../../src/governance/snapshots/snapshot-ledger.ts";
import { parseChunkList } from "../../../src/permissions/snapshot/content-chunks.ts";
import { type StatementInput, parseStatement, signStatement } from "../../../src/permissions/snapshot/statement.ts";
import { comparePositions } from "../../../src/permissions/snapshot/snapshot-version.ts";
import { decodeEnvelope, encodeEnvelope } from "../../../src/trust/dsse.ts";
import { KeyRing } from "../../../src/trust/keyring/key-ring.ts";
import { digestOf } from "../../../src/base/digest.ts";
import type { DesiredState } from "../desired-state.ts";
import type { Fleet, Plane } from "../plane.ts";
import { Process } from "../process.ts";
import { START_WALL_MS, must } from "../world.ts";
import { apiClient } from "./api-client.ts";
import { DeclaredPermissions, OFFLINE_SECONDS, WINDOW_SECONDS } from "./declared-permissions.ts";
import { LeaderLease } from "./leader-lease.ts";
import { ObjectStore, type ObjectStoreCopy, pathOf } from "./object-store.ts";
import { PermissionJudge } from "./permission-judge.ts";
import { type Forgery, type PermissionAction, SIGNERS } from "./permission-schedule.ts";
import { processClock } from "./process-clock.ts";
import { SignerProcess } from "./signer-process.ts";
import { type SigningKey, signingKey } from "./signing-keys.ts";
import { TenantRoom } from "./tenant-room.ts";

/** Number of the key that nobody trusts. */
const STRANGER = 255;
/** Most genuine Secrets of one cluster that an attacker keeps. */
const MAX_KEPT = 20;

/**
 * The permission plane of a run: what is declared on the management cluster, signer replicas over it, an index builder that offers what
 * stands in the signed Secret, whoever put it there, and one room per tenant.
 */
export class PermissionPlane implements Plane {
  /** Receipts of a resting tenant whose snapshot becomes stale and then expires, with the audit event and their acknowledgements. */
  readonly restingFrames = 40;
  readonly #fleet: Fleet;
  readonly #schedule: readonly PermissionAction[];
  readonly #store = new ObjectStore();
  readonly #judge = new PermissionJudge();
  readonly #declared: DeclaredPermissions;
  readonly #signers: SignerProcess[] = [];
  readonly #rooms: Map<string, TenantRoom> = new Map();
  readonly #floors: Map<string, number> = new Map();
  readonly #ring: KeyRing;
  readonly #keys: { active: SigningKey; readonly ring: KeyRing };
  /** Keys that were retired everywhere: an attacker has them by now. */
  readonly #retired: SigningKey[] = [];
  /** Clusters whose next version is offered with another content first. */
  readonly #tampered: Set<string> = new Set();
  readonly #genuine: Map<string, SecretObject[]> = new Map();
  #keyNumber = 1;
  #failing = false;
  #backup: ObjectStoreCopy | undefined = undefined;
  #healed = false;
  #resting = false;

  constructor(fleet: Fleet, schedule: readonly PermissionAction[]) {
    this.#fleet = fleet;
    this.#schedule = schedule;
    const { world, hub, desired, agents } = fleet;
    const clusters = desired.map(({ cluster }) => cluster);
    this.#declared = new DeclaredPermissions(clusters);
    const first = signingKey(this.#keyNumber);
    this.#ring = new KeyRing([first.publicKey]);
    this.#keys = { active: first, ring: this.#ring };
    for (const agent of agents) {
      const { cluster } = agent;
      const keys = new KeyRing([first.publicKey]);
      const room = new TenantRoom(world, cluster, this.#judge, keys, () => this.#floors.get(cluster) ?? 0);
      this.#rooms.set(agent.cluster, room);
      agent.room = room;
    }
    const lease = new LeaderLease();
    for (let at = 1; at <= SIGNERS; at++)
      this.#signers.push(
        new SignerProcess(`signer-${at}`, {
          world,
          store: this.#store,
          declared: this.#declared,
          judge: this.#judge,
          lease,
          keys: this.#keys,
          floor: (cluster) => this.#floors.get(cluster) ?? 0,
          skewMs: () => hub.skewMs,
          failing: () => this.#failing,
        }),
      );
  }

  get untilMs(): number {
    return this.#schedule.at(-1)?.atMs ?? 0;
  }

  owns(item: IndexItem): boolean {
    return [...this.#rooms.values()].some((room) => room.handles(item));
  }

  begin(): void {
    const { world, desired, hub } = this.#fleet;
    this.#store.watch((path, object) => this.#changed(path, object));
    for (const state of desired) {
      hub.store(state.cluster).snapshotReceipt = this.#receipts(state.cluster);
      this.#ask(state.cluster);
    }
    for (const signer of this.#signers) world.after(world.between(0, 400), () => signer.boot());
    for (const action of this.#schedule) world.after(action.atMs, () => this.#act(action));
  }

  heal(): void {
    this.#healed = true;
    this.#failing = false;
    this.#ring.replace([this.#keys.active.publicKey]);
    for (const signer of this.#signers) signer.settle();
    for (const room of this.#rooms.values()) {
      room.apiFails = false;
      room.disk.settle();
      this.#trust(room);
    }
  }

  rest(): void {
    this.#resting = true;
    for (const signer of this.#signers) signer.stop();
  }

  missing(): string {
    for (const state of this.#fleet.desired) {
      const missing = this.#missingOn(state.cluster);
      if (missing !== "") return `${state.cluster}: ${missing}`;
    }
    return "";
  }

  #missingOn(cluster: string): string {
    const room = this.#room(cluster);
    const last = this.#judge.last(cluster);
    const { current } = room;
    if (last === undefined) return "nothing was ever signed";
    if (current?.statement.version !== last.version)
      return `answers from ${current?.statement.version ?? "nothing"}, ${last.version} was signed last`;
    if (this.#resting) return "";
    if (this.#judge.expected(cluster, last.contentHash) !== this.#declared.current.expected.get(cluster)) {
      const [now, meant] = [
        this.#judge.expected(cluster, last.contentHash),
        this.#declared.current.expected.get(cluster),
      ];
      const verbs = (of: typeof now): string =>
        `${[...(of?.verbs ?? [])].sort().join(" ")} ${String(of?.suspended)} ${String(of?.bound)}`;
      if (verbs(now) !== verbs(meant)) return "what was declared last is not signed";
    }
    if (room.freshness !== "FRESH") return `the snapshot is ${room.freshness}`;
    if (room.degraded) return "degraded although the last offer verified";
    const object = this.#store.get(PermissionSnapshot, { namespace: NAMESPACES.seam, name: snapshotName(cluster) });
    if (object.status?.lastAckedVersion !== last.version)
      return "the hub has no acknowledgement of what was signed last";
    if (object.status.drift === true) return "drift";
    const drift = room.surface.drift(this.#judge.inForce(cluster, last, last.contentHash, room.disk.marks));
    const { excessTotal = 0, missingTotal = 0 } = object.status;
    if (excessTotal > 0 !== drift.excess) return `${excessTotal} rights beyond the snapshot are told`;
    if (missingTotal > 0 !== drift.missing) return `${missingTotal} missing rights are told`;
    this.#fleet.world.coverage.add({ "surface beyond": Number(drift.excess), "surface short": Number(drift.missing) });
    this.#fleet.world.coverage.add({ "surface as declared": Number(!drift.excess && !drift.missing) });
    return "";
  }

  #room(cluster: string): TenantRoom {
    const room = this.#rooms.get(cluster);
    must(room !== undefined, `no such cluster ${cluster}`);
    return room;
  }

  /** Somebody asks, again and again. */
  #ask(cluster: string): void {
    const { world } = this.#fleet;
    world.after(world.between(50, this.#resting ? 8_000 : 1_200), () => {
      this.#room(cluster).check();
      this.#ask(cluster);
    });
  }

  #act(action: PermissionAction): void {
    const { world, desired } = this.#fleet;
    world.trace("plane", () => `${action.do} ${JSON.stringify(action)}`);
    switch (action.do) {
      case "rotate":
        this.#rotate(action.stepMs, action.careless);
        return;
      case "signerCrash":
        this.#signers[action.signer]?.crash(action.boundaries);
        return;
      case "signerFreeze":
        this.#signers[action.signer]?.freeze(action.forMs);
        return;
      case "managementFails":
        this.#failing = true;
        world.after(action.forMs, () => (this.#failing = false));
        return;
      case "managementBackup":
        this.#backup = this.#store.copy();
        return;
      case "managementRestore":
        this.#restoreManagement();
        return;
      default:
    }
    const state = desired[action.agent];
    must(state !== undefined, "the schedule names an agent that does not exist");
    const { cluster } = state;
    switch (action.do) {
      case "grant":
        this.#declared.grant(cluster, action.profile, action.big);
        return this.#tell();
      case "remove":
        this.#declared.remove(cluster, action.profile);
        return this.#tell();
      case "tighten":
        this.#declared.tighten(cluster);
        return this.#tell();
      case "suspend":
        this.#declared.suspend(cluster);
        return this.#tell();
      case "bind":
        this.#declared.bind(cluster);
        return this.#tell();
      case "surface": {
        const { verbs } = this.#declared.current.expected.get(cluster) ?? { verbs: new Set<string>() };
        const own = action.verbs === "none" ? [] : [...verbs];
        this.#room(cluster).surface.verbs = action.verbs === "beyond" ? [...own, "delete"] : own;
        return;
      }
      case "revokeSnapshot":
        if (!action.waits) return this.#revoke(state, action.ahead);
        this.#room(cluster).onVerified = () => {
          this.#room(cluster).onVerified = () => {};
          if (!this.#healed) world.after(world.between(0, 15), () => this.#revoke(state, 1));
        };
        return;
      case "forge":
        return this.#forge(state, action.how);
      case "loseKeys": {
        const room = this.#room(cluster);
        room.trust([]);
        world.after(action.forMs, () => this.#trust(room));
        return;
      }
      case "diskCrash":
        this.#room(cluster).disk.dieBehind(action.writes, () => this.#fleet.agents[action.agent]?.crash(0));
        return;
      case "apiFails": {
        const room = this.#room(cluster);
        room.apiFails = true;
        world.after(action.forMs, () => (room.apiFails = false));
        return;
      }
      case "ledgerLost":
        this.#judge.restored(cluster);
        this.#drop(ConfigMap, tenantNamespace(cluster), SNAPSHOT_LEDGER);
        if (action.secretToo) this.#drop(Secret, tenantNamespace(cluster), signedSnapshotSecretName(cluster));
    }
  }

  #tell(): void {
    for (const signer of this.#signers) signer.declared();
  }

  /** An operator revokes what the tenant may have, and perhaps a little of what is not signed yet. */
  #revoke(state: DesiredState, ahead: number): void {
    const { cluster } = state;
    const floor = Math.max((this.#judge.last(cluster)?.sequence ?? 0) + ahead, this.#floors.get(cluster) ?? 0);
    if (floor === 0) return;
    this.#floors.set(cluster, floor);
    const revocation = state.revokeBelow("PermissionSnapshot", snapshotName(cluster), floor);
    if (!this.#fleet.losesPushes) this.#fleet.hub.revoke(cluster, revocation);
    this.#fleet.publish(state);
    for (const signer of this.#signers) signer.floorRaised(cluster);
  }

  /** The next key: trusted everywhere, then active, then the old one is trusted nowhere. Careless operators leave out the pauses. */
  #rotate(stepMs: number, careless: boolean): void {
    const { world } = this.#fleet;
    const old = this.#keys.active;
    const next = signingKey(++this.#keyNumber);
    this.#ring.replace([old.publicKey, next.publicKey]);
    const rooms = [...this.#rooms.values()];
    const pauseMs = (): number => (careless ? world.between(0, 50) : stepMs);
    for (const room of rooms)
      world.after(careless ? world.between(0, 30_000) : world.between(0, stepMs), () => this.#trust(room));
    world.after(pauseMs(), () => {
      if (this.#healed) return;
      this.#keys.active = next;
      for (const signer of this.#signers) signer.crash(0); // the key is mounted at start
    });
    world.after(2 * pauseMs() + stepMs, () => {
      if (this.#keys.active !== next || this.#healed) return;
      this.#retired.push(old);
      this.#ring.replace([next.publicKey]);
      for (const room of rooms) this.#trust(room);
    });
  }

  /** A tenant's ring is what is mounted everywhere now. */
  #trust(room: TenantRoom): void {
    const keys = this.#ring.keyIds.map((id) => this.#ring.key(id)).filter((key) => key !== undefined);
    room.trust(keys);
  }

  #restoreManagement(): void {
    if (this.#backup === undefined) return;
    for (const { cluster } of this.#fleet.desired) this.#judge.restored(cluster);
    for (const signer of this.#signers) signer.crash(0);
    this.#store.restore(this.#backup);
  }

  #drop(type: typeof ConfigMap | typeof Secret, namespace: string, name: string): void {
    if (this.#store.list().has(pathOf(type, { namespace, name }))) this.#store.delete(type, { namespace, name });
  }

  /** Somebody with write access to the Secrets puts another one in, or offers it behind the signer's back for a while. */
  #forge(state: DesiredState, how: Forgery): void {
    const { cluster } = state;
    const { world } = this.#fleet;
    const held = this.#secretOf(cluster);
    if (held === undefined || this.#healed) return;
    const data = this.#forged(cluster, how, held);
    if (data === undefined) return;
    if (world.chance(0.4)) {
      this.#store.update(Secret, { ...held, data });
      return;
    }
    this.#offer(state, { ...held, data });
    world.after(world.between(500, 5_000), () => this.#index(state));
  }

  #secretOf(cluster: string): SecretObject | undefined {
    return this.#store.list().get(pathOf(Secret, secretKey(cluster))) as SecretObject | undefined;
  }

  #forged(cluster: string, how: Forgery, held: SecretObject): SecretObject["data"] | undefined {
    const kept = this.#genuine.get(cluster) ?? [];
    const { world } = this.#fleet;
    switch (how) {
      case "stranger":
        return this.#signedBy(signingKey(STRANGER), cluster, held);
      case "retired": {
        const key = this.#retired.at(-1);
        return key === undefined || this.#trusted(key) ? undefined : this.#signedBy(key, cluster, held);
      }
      case "older":
        return kept[world.between(0, Math.max(0, kept.length - 1))]?.data;
      case "other-cluster": {
        const [, secrets = []] = [...this.#genuine].find(([other]) => other !== cluster) ?? [];
        return secrets.at(-1)?.data;
      }
      case "altered":
        // What is in force is not read again: the next version is altered on its way, too.
        this.#tampered.add(cluster);
        return { ...held.data, content: this.#otherContent(held, kept) };
      case "unsigned": {
        const envelope = decodeEnvelope(Buffer.from(held.data?.["envelope"] ?? "", "base64"));
        if (envelope === undefined) return undefined;
        const bare = encodeEnvelope({ ...envelope, signatures: [] });
        return { ...held.data, envelope: Buffer.from(bare).toString("base64") };
      }
    }
  }

  /** Well-formed content that the statement does not name: what was signed once, or a little of what is signed now. */
  #otherContent(held: SecretObject, kept: readonly SecretObject[]): string {
    const content = held.data?.["content"] ?? "";
    const older = kept.map(({ data }) => data?.["content"]).find((other) => other !== undefined && other !== content);
    if (older !== undefined) return older;
    const text = Buffer.from(content, "base64").toString();
    return Buffer.from(text.replaceAll(/"profiles":\[[^\]]*\]/g, '"profiles":[]')).toString("base64");
  }

  #trusted({ signer }: SigningKey): boolean {
    const rooms = [...this.#rooms.values()];
    return rooms.some(({ trustedKeys }) => trustedKeys.includes(signer.keyId));
  }

  /** A statement ahead of everything, about content that nobody computed. */
  #signedBy(key: SigningKey, cluster: string, held: SecretObject): SecretObject["data"] {
    const last = this.#judge.last(cluster);
    const content = Buffer.from(held.data?.["content"] ?? "", "base64")
      .toString()
      .replace(/"verbs":\[[^\]]*\]/, '"verbs":["*"]');
    const input: StatementInput = {
      cluster,
      epoch: last?.epoch ?? 1,
      sequence: (last?.sequence ?? 0) + 1_000,
      contentHash: digestOf(Buffer.from(content)),
      issuedAtMs: START_WALL_MS + this.#fleet.world.nowMs,
      freshnessWindowSeconds: WINDOW_SECONDS,
      maxOfflineSeconds: OFFLINE_SECONDS,
      minSequence: 0,
    };
    const envelope = encodeEnvelope(signStatement(input, key.signer));
    return {
      envelope: Buffer.from(envelope).toString("base64"),
      content: Buffer.from(content).toString("base64"),
    };
  }

  /** The index builder sees the signed Secret, whoever wrote it. */
  #changed(path: string, object: KubeObject | undefined): void {
    const cluster = clusterOfNamespace(object?.metadata.namespace);
    if (object === undefined || cluster === undefined || path !== pathOf(Secret, secretKey(cluster))) return;
    this.#keepGenuine(cluster, object as SecretObject);
    const { world, desired } = this.#fleet;
    const state = desired.find((each) => each.cluster === cluster);
    must(state !== undefined, `no such cluster ${cluster}`);
    world.after(world.between(5, 400), () => this.#index(state));
  }

  #keepGenuine(cluster: string, secret: SecretObject): void {
    const envelope = decodeEnvelope(Buffer.from(secret.data?.["envelope"] ?? "", "base64"));
    const last = this.#judge.last(cluster);
    if (envelope === undefined || last === undefined || secret.data?.["content"] === undefined) return;
    if (envelope.signatures[0]?.keyId !== this.#keys.active.signer.keyId) return;
    if (comparePositions(parseStatement(envelope.body), last) !== 0) return;
    const kept = this.#genuine.get(cluster) ?? [];
    this.#genuine.set(cluster, [...kept.slice(1 - MAX_KEPT), secret]);
  }

  #index(state: DesiredState): void {
    const { cluster } = state;
    const secret = this.#secretOf(cluster);
    if (secret === undefined) return;
    const isNew = this.#judge.last(cluster)?.version !== this.#room(cluster).current?.statement.version;
    if (isNew && !this.#healed && this.#tampered.delete(cluster)) {
      const { world } = this.#fleet;
      const content = this.#otherContent(secret, this.#genuine.get(cluster)?.slice(0, -1) ?? []);
      this.#offer(state, { ...secret, data: { ...secret.data, content } });
      world.after(world.between(500, 5_000), () => this.#index(state));
    } else this.#offer(state, secret);
  }

  #offer(state: DesiredState, secret: SecretObject): void {
    const { blobs, publish } = this.#fleet;
    const { cluster } = state;
    const read = readItem(secret, cluster);
    const content = this.#contentOf(cluster, secret);
    if (content === undefined) return;
    const ref = { digest: blobs.add(content), size: content.length };
    const envelope = Buffer.from(secret.data?.["envelope"] ?? "", "base64");
    const digest = blobs.add(envelope);
    // A chunk of it is on its way out: the next Secret says more.
    if (read.ok && read.item.refs?.[0]?.digest !== ref.digest) return;
    // What the index builder finds wrong is offered all the same: the tenant trusts no index with its permissions.
    const item = read.ok
      ? read.item
      : { kind: "PermissionSnapshot" as const, name: snapshotName(cluster), size: envelope.length, refs: [ref] };
    const { kind, name, size, refs = [] } = item;
    if (state.set({ kind, name, digest, size, refs })) publish(state);
  }

  #contentOf(cluster: string, secret: SecretObject): Uint8Array | undefined {
    const { content, chunks } = secret.data ?? {};
    if (content !== undefined) return Buffer.from(content, "base64");
    const list = parseChunkList(Buffer.from(chunks ?? "", "base64").toString(), cluster);
    const parts = (list ?? []).map(({ name }) => {
      const key = { namespace: tenantNamespace(cluster), name };
      const chunk = this.#store.list().get(pathOf(Secret, key)) as SecretObject | undefined;
      return Buffer.from(chunk?.data?.["chunk"] ?? "", "base64");
    });
    this.#fleet.world.coverage.add({ chunkedSnapshots: 1 });
    return Buffer.concat(parts);
  }

  /** What the hub does with a tenant's word about its snapshot. */
  #receipts(
    cluster: string,
  ): (
    report: Parameters<ReturnType<typeof createHubFactStore>["snapshotReceipt"]>[1],
  ) => Promise<
    | { readonly kind: "stored" }
    | { readonly kind: "failed" }
    | { readonly kind: "refused"; readonly reason: string; readonly detail: string }
  > {
    const { world, hub } = this.#fleet;
    const process = new Process(world);
    process.start();
    const clock = processClock(world, { process, monotonicMs: () => world.nowMs, wallMs: () => hub.wallMs });
    const facts = createHubFactStore({
      cluster: apiClient({ world, store: this.#store, process, boundary: () => false, failing: () => this.#failing }),
      drift: async () => {},
      clock,
      random: new SeededRandom(1),
      log: silentLog,
    });
    return async (report) => {
      try {
        await facts.snapshotReceipt(cluster, report);
        return { kind: "stored" };
      } catch (error) {
        if (error instanceof FactRefused) return { kind: "refused", reason: error.reason, detail: error.message };
        return { kind: "failed" };
      }
    };
  }
}

function secretKey(cluster: string): { readonly namespace: string; readonly name: string } {
  return { namespace: tenantNamespace(cluster), name: signedSnapshotSecretName(cluster) };
}
