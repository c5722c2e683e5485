import { Namespace } from "../../../../api/builtin.ts";
import { type AuditTrail, auditObject } from "../../../../api/audit-record.ts";
import { FIELD_MANAGERS, LABELS, NAMESPACES } from "../../../../api/names.ts";
import type { KubeObject } from "../../../../api/object.ts";
import type { ResourceType } from "../../../../api/resource-type.ts";
import { canonicalJson } from "../../../../base/canonical-json.ts";
import type { Clock } from "../../../../base/clock.ts";
import { SeamError, errorMessage } from "../../../../base/errors.ts";
import { type JsonObject, type JsonValue, isJsonObject } from "../../../../base/json.ts";
import type { Log } from "../../../../base/log.ts";
import type { Random } from "../../../../base/random.ts";
import { isStatus } from "../../../../cluster/api-status-error.ts";
import type { Cluster, Draft } from "../../../../cluster/cluster.ts";
import { ifPresent } from "../../../../cluster/if-present.ts";
import { startInformer } from "../../../../controller/cache/informer.ts";
import { PRIVATE_FILE_MODE, readFileIfPresent, writeFileDurably } from "../../../../trust/durable-file.ts";
import {
  type GovernanceBody,
  MIRRORED_TYPES,
  type MirroredKind,
  governanceItemName,
  isMirroredKind,
} from "../../../governance/governance-body.ts";

/** Parts of {@link openGovernanceMirror}. */
export interface GovernanceMirrorParts {
  readonly clusterId: string;
  /** The tenant's own cluster. */
  readonly cluster: Cluster;
  /** Where the agent remembers what it holds. */
  readonly path: string;
  /** The cluster's audit log. */
  readonly trail: AuditTrail;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** The tenant's read-only copies of its governance objects, in `ont-system`. */
export interface GovernanceMirror {
  /**
   * Writes an object as it was signed, durably remembered first.
   *
   * @throws ObjectRefused when the tenant's API server will never take it: the copy before stays, and is guarded as before
   */
  hold(body: GovernanceBody): Promise<void>;
  /** Removes the copy of an object that is gone. Whatever the agent did not write stays. */
  release(body: GovernanceBody): Promise<void>;
  /** Resolves when every watch is closed. */
  readonly closed: Promise<void>;
}

/** The tenant's API server refuses an object for what it is: trying again does not help. */
export class ObjectRefused extends Error {
  override readonly name = "ObjectRefused";
}

/** An object with a spec, of whatever kind. */
interface Specified extends KubeObject {
  readonly spec: JsonObject;
}

/** Label by which copies are told from what a tenant wrote itself. */
const MIRRORED = { [LABELS.mirroredFrom]: "management" } as const;
const FORMAT = 1;

/**
 * Opens the mirror from what was held before a restart, writes all of it again and watches it: a copy that somebody changes or deletes is
 * put back at once, which the audit log says (conductor §8).
 *
 * @throws SeamError `GovernanceUnreadable` for a damaged file
 */
export async function openGovernanceMirror(parts: GovernanceMirrorParts): Promise<GovernanceMirror> {
  const bytes = await readFileIfPresent(parts.path);
  const mirror = new WatchedMirror(parts, bytes === undefined ? [] : parse(parts.path, bytes.toString("utf8")));
  mirror.start();
  return mirror;
}

class WatchedMirror implements GovernanceMirror {
  closed: Promise<void> = Promise.resolve();
  readonly #parts: GovernanceMirrorParts;
  readonly #held: Map<string, GovernanceBody>;
  /** The spec of each copy as it stood after the agent wrote it, defaults included. */
  readonly #written = new Map<string, string>();
  /** Writers of one object take turns. */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(parts: GovernanceMirrorParts, held: readonly GovernanceBody[]) {
    this.#parts = parts;
    this.#held = new Map(held.map((body) => [governanceItemName(body), body]));
  }

  start(): void {
    const { cluster, clock, random, log, signal } = this.#parts;
    const informers = Object.entries(MIRRORED_TYPES).map(([kind, type]) => {
      const informer = startInformer<KubeObject>({
        cluster,
        type: typeOf(type),
        namespace: NAMESPACES.ont,
        labelSelector: `${LABELS.mirroredFrom}=management`,
        clock,
        random,
        log,
        signal,
      });
      informer.subscribe(({ object }) => {
        if (isMirroredKind(kind)) this.#look(governanceItemName({ kind, name: object.metadata.name }));
      });
      return informer;
    });
    this.closed = Promise.all(informers.map((informer) => informer.closed)).then(() => undefined);
    for (const item of this.#held.keys()) this.#look(item);
  }

  hold(body: GovernanceBody): Promise<void> {
    const item = governanceItemName(body);
    return this.#inTurn(item, async () => {
      const before = this.#held.get(item);
      this.#held.set(item, body);
      await this.#remember();
      try {
        await this.#write(item, body);
      } catch (error) {
        if (!isStatus(error, "Invalid", "BadRequest", "RequestEntityTooLarge")) throw error;
        if (before === undefined) this.#held.delete(item);
        else this.#held.set(item, before);
        await this.#remember();
        throw new ObjectRefused(error.message);
      }
    });
  }

  release(body: GovernanceBody): Promise<void> {
    const item = governanceItemName(body);
    return this.#inTurn(item, async () => {
      const found = await this.#get(body);
      if (found?.metadata.labels?.[LABELS.mirroredFrom] !== undefined)
        await this.#parts.cluster.delete(typeOf(MIRRORED_TYPES[body.kind]), keyOf(body));
      this.#held.delete(item);
      this.#written.delete(item);
      await this.#remember();
    });
  }

  /** Somebody touched a copy, or the agent started. */
  #look(item: string): void {
    const { signal, log } = this.#parts;
    this.#inTurn(item, async () => {
      const body = this.#held.get(item);
      if (body === undefined || signal.aborted) return;
      const before = this.#written.get(item);
      const found = await this.#get(body);
      if (before !== undefined && found !== undefined && canonicalJson(plain(found.spec)) === before) return;
      await this.#write(item, body);
      if (before === undefined) return; // after a start nobody knows who was first
      log.warn({ item, deleted: found === undefined }, "a governance object was changed here and is put back");
      await this.#parts.trail.record({
        ...auditObject(typeOf(MIRRORED_TYPES[body.kind]), keyOf(body)),
        action: "governance.reverted",
        subject: `cluster:${this.#parts.clusterId}`,
        decision: "system",
        code: found === undefined ? "Deleted" : "Changed",
        details: { serial: body.serial },
      });
    }).catch((error: unknown) => {
      if (!signal.aborted) log.warn({ item, error: errorMessage(error) }, "a governance object could not be put back");
    });
  }

  async #write(item: string, body: GovernanceBody): Promise<void> {
    const { cluster } = this.#parts;
    const type = typeOf(MIRRORED_TYPES[body.kind]);
    const options = { fieldManager: FIELD_MANAGERS.agent };
    const found = await this.#get(body);
    const metadata = { ...found?.metadata, ...keyOf(body), labels: { ...found?.metadata.labels, ...MIRRORED } };
    const object: Draft<Specified> = {
      ...found,
      apiVersion: `${type.group}/${type.version}`,
      kind: body.kind,
      metadata,
      spec: body.spec,
    };
    const create = (): Promise<Specified> => cluster.create(type, object, options);
    let written: Specified;
    if (found !== undefined) written = await cluster.update(type, { ...found, metadata, spec: body.spec }, options);
    else
      try {
        written = await create();
      } catch (error) {
        if (!isStatus(error, "NotFound")) throw error;
        await this.#createNamespace();
        written = await create();
      }
    this.#written.set(item, canonicalJson(plain(written.spec)));
  }

  async #get(body: GovernanceBody): Promise<Specified | undefined> {
    return ifPresent(this.#parts.cluster.get(typeOf(MIRRORED_TYPES[body.kind]), keyOf(body)));
  }

  async #createNamespace(): Promise<void> {
    try {
      await this.#parts.cluster.create(
        Namespace,
        { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACES.ont } },
        { fieldManager: FIELD_MANAGERS.agent },
      );
    } catch (error) {
      if (!isStatus(error, "AlreadyExists")) throw error;
    }
  }

  async #remember(): Promise<void> {
    const text = JSON.stringify({ format: FORMAT, held: [...this.#held.values()] });
    await writeFileDurably(this.#parts.path, `${text}\n`, PRIVATE_FILE_MODE);
  }

  #inTurn(item: string, work: () => Promise<void>): Promise<void> {
    const turn = (this.#turns.get(item) ?? Promise.resolve()).then(work, work);
    this.#turns.set(item, turn);
    return turn;
  }
}

function keyOf({ name }: GovernanceBody): { readonly namespace: string; readonly name: string } {
  return { namespace: NAMESPACES.ont, name };
}

/** The mirrored kinds differ in their specs alone, which the mirror does not look into. */
function typeOf({ group, version, resource, kind, namespaced }: ResourceType<KubeObject>): ResourceType<Specified> {
  return { group, version, resource, kind, namespaced };
}

function plain(spec: JsonObject): JsonValue {
  return JSON.parse(JSON.stringify(spec)) as JsonValue;
}

function parse(path: string, text: string): readonly GovernanceBody[] {
  const bad = (why: string): SeamError =>
    new SeamError({
      reason: "GovernanceUnreadable",
      object: `file ${path}`,
      expected: `must be readable: ${why}`,
      remedy: "remove it: the next index brings everything again",
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw bad(errorMessage(error));
  }
  if (!isJsonObject(value) || value["format"] !== FORMAT || !Array.isArray(value["held"]))
    throw bad(`format ${FORMAT}`);
  return (value["held"] as readonly JsonValue[]).map((entry) => {
    if (!isJsonObject(entry)) throw bad("an entry is no object");
    const { cluster, kind, name, serial, spec } = entry;
    if (
      typeof cluster !== "string" ||
      !isMirroredKind(kind) ||
      typeof name !== "string" ||
      typeof serial !== "number" ||
      !isJsonObject(spec)
    )
      throw bad("an entry lacks a field");
    const body: GovernanceBody & { readonly kind: MirroredKind } = {
      cluster,
      kind,
      name,
      serial,
      deleted: false,
      spec,
    };
    return body;
  });
}
