import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ConfigMap, Deployment } from "../../src/api/builtin.ts";
import { PackDelivery } from "../../src/api/kinds/pack-delivery.ts";
import { PermissionSet } from "../../src/api/kinds/permission-set.ts";
import { NAMESPACES } from "../../src/api/names.ts";
import { systemClock } from "../../src/base/clock.ts";
import { type Random, integerBetween } from "../../src/base/random.ts";
import { isRetryable, isStatus } from "../../src/cluster/api-status-error.ts";
import { openOciLayout } from "../../src/packs/store/oci-layout.ts";
import { deliveryName, publishPack } from "../../src/roles/publish-pack.ts";
import type { MeshProcess } from "../support/mesh-process.ts";
import { type PackModel, randomVersion, versionText, writeVersion } from "./pack-model.ts";

const PERMISSION_SET = "hello-reader";
const PACKS = ["alpha", "bravo", "charlie"];
/** Longest time one intent may need through killed processes, milliseconds. */
const INTENT_MS = 300_000;
const AGAIN_MS = 150;

/** What people do to a mesh while it is being killed. Intents on management are tried until they took effect, so the model is exact. */
export class ChaosActions {
  readonly model: PackModel;
  /** Resource that the newest edit of the permission set grants; older ones are not granted. */
  granted = "";
  readonly done = new Map<string, number>();
  readonly #mesh: MeshProcess;
  readonly #random: Random;
  readonly #work: string;
  #minor = 0;
  #edits = 0;

  constructor(mesh: MeshProcess, model: PackModel, random: Random, work: string) {
    this.#mesh = mesh;
    this.model = model;
    this.#random = random;
    this.#work = work;
    mkdirSync(work, { recursive: true });
  }

  get packs(): readonly string[] {
    return PACKS;
  }

  /** One random action. */
  async act(): Promise<void> {
    const dice = this.#random.next();
    if (dice < 0.3) await this.publish();
    else if (dice < 0.36) await this.deleteDelivery();
    else if (dice < 0.55) await this.deleteObject();
    else if (dice < 0.72) await this.editObject();
    else if (dice < 0.84) await this.editPermissions();
    else await this.ask();
  }

  async publish(): Promise<void> {
    const pack = this.#pick(PACKS);
    const all = this.#mesh.tenants;
    const some = all.filter(() => this.#random.next() < 0.6);
    const targets = this.#random.next() < 0.7 || some.length === 0 ? all : some;
    const version = randomVersion(this.#random, pack, ++this.#minor, targets);
    const directory = join(this.#work, `${pack}-${version.minor}`);
    writeVersion(directory, version);
    await this.#intend("publish", async () => {
      const store = await openOciLayout(this.#mesh.layout.packs, systemClock);
      await publishPack(
        { directory, name: pack, version: versionText(version), to: version.targets },
        store,
        this.#mesh.management,
      );
    });
    this.model.add(version);
  }

  async deleteDelivery(): Promise<void> {
    const version = this.#pick(this.model.versions(this.#pick(PACKS)));
    if (version === undefined) return;
    const key = { namespace: NAMESPACES.seam, name: deliveryName(version.pack, versionText(version)) };
    await this.#intend("delete delivery", async () => {
      try {
        await this.#mesh.management.delete(PackDelivery, key);
      } catch (error) {
        if (!isStatus(error, "NotFound")) throw error; // an earlier try took effect
      }
    });
    this.model.remove(version);
  }

  async editPermissions(): Promise<void> {
    const resource = `things-${++this.#edits}`;
    const key = { namespace: NAMESPACES.seam, name: PERMISSION_SET };
    const rules = [
      { apiGroups: [""], resources: ["pods", resource], verbs: ["get", "list", "watch"] },
      { apiGroups: ["apps"], resources: ["deployments"], verbs: ["get"] },
    ];
    await this.#intend("edit permissions", async () => {
      await this.#mesh.management.patch(PermissionSet, key, { type: "merge", body: { spec: { permissions: rules } } });
    });
    this.granted = resource;
  }

  /** Drift: a workload disappears. */
  async deleteObject(): Promise<void> {
    const target = this.#target();
    if (target === undefined) return;
    const { tenant, pack, version } = target;
    const deployment = this.#pick(version.deployments);
    const config = this.#pick([...version.configs.keys()]);
    await this.#attempt("delete object", async () => {
      if (deployment !== undefined && this.#random.next() < 0.5)
        await this.#mesh.tenant(tenant).delete(Deployment, { namespace: pack, name: deployment });
      else if (config !== undefined)
        await this.#mesh.tenant(tenant).delete(ConfigMap, { namespace: pack, name: config });
    });
  }

  /** Drift: an owned field changes. */
  async editObject(): Promise<void> {
    const target = this.#target();
    if (target === undefined) return;
    const { tenant, pack, version } = target;
    const name = this.#pick([...version.configs.keys()]);
    if (name === undefined) return;
    await this.#attempt("edit object", async () => {
      await this.#mesh
        .tenant(tenant)
        .patch(
          ConfigMap,
          { namespace: pack, name },
          { type: "merge", body: { data: { value: "edited by hand" } } },
          { fieldManager: "kubectl-edit" },
        );
    });
  }

  /** A decision, which leaves an audit event. */
  async ask(): Promise<void> {
    const tenant = this.#pick(this.#mesh.tenants);
    if (tenant === undefined) return;
    await this.#attempt("ask", async () => {
      await this.#mesh.permissions(tenant).checkPermission(
        {
          principal: "system:serviceaccount:hello:hello",
          verb: "get",
          resource: this.granted === "" ? "pods" : this.granted,
          namespace: "hello",
        },
        { deadlineMs: 1_000 },
      );
    });
  }

  #target() {
    const tenant = this.#pick(this.#mesh.tenants);
    const pack = this.#pick(PACKS);
    const version = this.model.wanted(pack, tenant);
    return version === undefined ? undefined : { tenant, pack, version };
  }

  /** Tries until it took effect. */
  async #intend(what: string, work: () => Promise<void>): Promise<void> {
    const deadline = systemClock.monotonic() + INTENT_MS;
    for (;;) {
      try {
        await work();
        break;
      } catch (error) {
        if (systemClock.monotonic() > deadline || !(isRetryable(error) || isStatus(error, "NotFound", "Conflict")))
          throw error;
      }
      await systemClock.sleep(AGAIN_MS);
    }
    this.#count(what);
  }

  /** Tries once: whoever edits a tenant that is down sees an error and goes home. */
  async #attempt(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#count(what);
    } catch {
      this.#count(`${what}, failed`);
    }
  }

  #count(what: string): void {
    this.done.set(what, (this.done.get(what) ?? 0) + 1);
  }

  #pick<T>(from: readonly [T, ...T[]]): T;
  #pick(from: readonly string[]): string;
  #pick<T>(from: readonly T[]): T | undefined;
  #pick<T>(from: readonly T[]): T | undefined {
    return from[integerBetween(this.#random, 0, Math.max(0, from.length - 1))];
  }
}
