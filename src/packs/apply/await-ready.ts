import type { DeployedResourceRef } from "../../api/kinds/deployed-resource-ref.ts";
import { LABELS, labelValue } from "../../api/names.ts";
import type { Unstructured } from "../../api/object.ts";
import { groupResource, type ResourceType } from "../../api/resource-type.ts";
import { errorMessage } from "../../base/errors.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import { objectText } from "../artifact/pack-object.ts";
import { ApplyFailure, type ObjectFailure } from "./apply-failure.ts";
import { concurrently } from "./concurrently.ts";
import type { ApplyParts } from "./pack-application.ts";
import { podTrouble } from "./pod-trouble.ts";
import { type Readiness, type ReadinessContext, readinessOf } from "./readiness.ts";
import type { ResourceMapper } from "./resource-mapper.ts";

/** Look again at least this often, whatever the watches say (dispatcher §8.5). */
const POLL_MS = 5_000;
/** Look again at most this often, however much the watches say. */
const MIN_GAP_MS = 100;
const STORAGE_CLASS: ResourceType = {
  group: "storage.k8s.io",
  version: "v1",
  resource: "storageclasses",
  kind: "StorageClass",
  namespaced: false,
};
/** Objects that `waitingFor` names. */
const MAX_NAMED = 3;

/**
 * Waits until every object is ready. Watches only wake it; what counts is read, so a broken watch costs at most the polling interval.
 *
 * @param deadlineMs monotonic time of the budget's end
 * @throws ApplyFailure `NotReady` with every unready object and its reason, `WorkloadFailed` at once for what cannot become ready
 */
export async function awaitReady(
  parts: ApplyParts,
  mapper: ResourceMapper,
  packInstalled: string,
  refs: readonly DeployedResourceRef[],
  deadlineMs: number,
): Promise<void> {
  if (refs.length === 0) return;
  const stop = new AbortController();
  const signal = AbortSignal.any([parts.signal, stop.signal]);
  const wake = new Wake();
  const watches: Promise<void>[] = [];
  let unready: readonly DeployedResourceRef[] = refs;
  try {
    for (;;) {
      const context = await readinessContext(parts, unready);
      const seen: { readonly ref: DeployedResourceRef; readonly readiness: Readiness; readonly live?: Unstructured }[] =
        [];
      wake.reset();
      await concurrently(unready, async (ref) => {
        seen.push({ ref, ...(await look(parts, mapper, ref, context)) });
      });
      const failures = seen.filter((entry) => entry.readiness.state === "Failed");
      if (failures.length > 0) throw await unreadyFailure(parts, "WorkloadFailed", failures);
      const left = seen.filter((entry) => entry.readiness.state === "Waiting");
      if (left.length === 0) return;
      unready = left.map(({ ref }) => ref);
      parts.waitingFor?.(waitingText(left));
      if (parts.clock.monotonic() >= deadlineMs) throw await unreadyFailure(parts, "NotReady", left);
      if (watches.length === 0)
        watches.push(...(await watchKinds(parts, mapper, packInstalled, unready, signal, wake)));
      await parts.clock.sleep(MIN_GAP_MS, signal);
      await Promise.race([
        wake.promise,
        sleepQuietly(parts, Math.min(POLL_MS, Math.max(0, deadlineMs - parts.clock.monotonic())), signal),
      ]);
      parts.signal.throwIfAborted();
    }
  } finally {
    stop.abort();
    await Promise.all(watches);
  }
}

/** One-shot latch that watches set. */
class Wake {
  promise: Promise<void> = Promise.resolve();
  #resolve: () => void = () => {};

  reset(): void {
    this.promise = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  now(): void {
    this.#resolve();
  }
}

async function look(
  parts: ApplyParts,
  mapper: ResourceMapper,
  ref: DeployedResourceRef,
  context: ReadinessContext,
): Promise<{ readonly readiness: Readiness; readonly live?: Unstructured }> {
  const type = await mapper.find(ref);
  if (type === undefined) return { readiness: { state: "Waiting", reason: "its kind is not served" } };
  try {
    const live = await parts.cluster.get(type, keyOf(type, ref));
    return { readiness: readinessOf(live, context), live };
  } catch (error) {
    const reason = isStatus(error, "NotFound") ? "does not exist" : errorMessage(error);
    return { readiness: { state: "Waiting", reason } };
  }
}

function keyOf(type: ResourceType, ref: DeployedResourceRef): { namespace?: string; name: string } {
  return type.namespaced && ref.namespace ? { namespace: ref.namespace, name: ref.name } : { name: ref.name };
}

async function watchKinds(
  parts: ApplyParts,
  mapper: ResourceMapper,
  packInstalled: string,
  refs: readonly DeployedResourceRef[],
  signal: AbortSignal,
  wake: Wake,
): Promise<readonly Promise<void>[]> {
  const types = new Map<string, ResourceType>();
  for (const ref of refs) {
    const type = await mapper.find(ref);
    if (type !== undefined) types.set(`${groupResource(type)}/${type.version}`, type);
  }
  const labelSelector = `${LABELS.packInstalled}=${labelValue(packInstalled)}`;
  return [...types.values()].map(async (type) => {
    try {
      const { resourceVersion } = await parts.cluster.list(type, { labelSelector, limit: 1 });
      wake.now(); // something may have happened between the look and this list
      for await (const event of parts.cluster.watch(type, { labelSelector, resourceVersion }, signal)) {
        if (event.type !== "BOOKMARK") wake.now();
      }
    } catch (error) {
      // Polling goes on without this watch.
      if (!signal.aborted)
        parts.log.debug({ resource: groupResource(type), error: errorMessage(error) }, "readiness watch ended");
    }
  });
}

/** Storage classes are read only while a claim is awaited. */
async function readinessContext(parts: ApplyParts, refs: readonly DeployedResourceRef[]): Promise<ReadinessContext> {
  if (!refs.some((ref) => ref.kind === "PersistentVolumeClaim")) return { waitsForFirstConsumer: () => false };
  const classes = await parts.cluster.list(STORAGE_CLASS).catch((error: unknown) => {
    parts.log.debug({ error: errorMessage(error) }, "storage classes cannot be read");
    return { items: [] as readonly Unstructured[] };
  });
  const byName = new Map<string, Unstructured>();
  let standard: Unstructured | undefined;
  for (const item of classes.items) {
    byName.set(item.metadata.name, item);
    if (item.metadata.annotations?.["storageclass.kubernetes.io/is-default-class"] === "true") standard = item;
  }
  return {
    waitsForFirstConsumer: (name) =>
      (name === undefined ? standard : byName.get(name))?.["volumeBindingMode"] === "WaitForFirstConsumer",
  };
}

async function unreadyFailure(
  parts: ApplyParts,
  reason: "NotReady" | "WorkloadFailed",
  entries: readonly {
    readonly ref: DeployedResourceRef;
    readonly readiness: Readiness;
    readonly live?: Unstructured;
  }[],
): Promise<ApplyFailure> {
  const failures: ObjectFailure[] = [];
  for (const { ref, readiness, live } of entries) {
    const why = readiness.state === "Ready" ? "" : readiness.reason;
    const trouble = live === undefined ? undefined : await podTrouble(parts, live);
    failures.push({ object: objectText(ref), message: trouble === undefined ? why : `${why} (${trouble})` });
  }
  return new ApplyFailure({
    step: "wait-ready",
    reason,
    category: "ExecutionFailure",
    retryable: reason === "NotReady",
    failures,
    remedy: "look at the pods of these workloads; the pack is applied and will be looked at again",
  });
}

function waitingText(entries: readonly { readonly ref: DeployedResourceRef; readonly readiness: Readiness }[]): string {
  const named = entries
    .slice(0, MAX_NAMED)
    .map(({ ref, readiness }) => `${objectText(ref)}: ${readiness.state === "Ready" ? "" : readiness.reason}`);
  if (entries.length > MAX_NAMED) named.push(`${entries.length - MAX_NAMED} more`);
  return named.join("; ");
}

async function sleepQuietly(parts: ApplyParts, ms: number, signal: AbortSignal): Promise<void> {
  await parts.clock.sleep(ms, signal).catch(() => {
    // aborted: the caller looks at its signal
  });
}
