import { type BackoffPolicy, fullJitter } from "../../base/backoff.ts";
import { silentMetrics } from "../../base/metrics.ts";
import { DEFAULT_AUDIT_CAP } from "../outbox/audit-log.ts";
import { AuditPressureWatch } from "../outbox/audit-pressure-watch.ts";
import { factOutbox } from "../outbox/fact-outbox.ts";
import { type Outbox, openOutbox } from "../outbox/outbox.ts";
import type { OutboxStatus } from "../outbox/outbox-store.ts";
import type { RequestPayload, ResponsePayload } from "../session/payload.ts";
import type { ItemView } from "../session/spoke/item-work.ts";
import type { SpokeSessionView } from "../session/spoke/view.ts";
import { AgentRun, requestError } from "./agent-run.ts";
import type { FactOutbox } from "./ports.ts";
import type { SpokeOptions } from "./spoke-options.ts";

/** A running agent's side of the federation channel. */
export interface Spoke {
  /** The tenant's durable way up. */
  readonly outbox: FactOutbox;
  /** The tenant's audit log, to be read. */
  readonly auditLog: Pick<Outbox, "auditCursor" | "loadAudit">;
  status(): SpokeStatus;
  /** Progress of one item (`kind/name`). */
  item(key: string): ItemView | undefined;
  /** Counters of the durable store. */
  storeStatus(): Promise<OutboxStatus>;
  /**
   * Asks the hub; the request's `requestId` must be unique.
   *
   * @throws SeamError `FederationChannelDegraded`, `DeadlineExceeded`, `TooManyRequests` or `Unsupported`: fails closed
   */
  request(request: RequestPayload, deadlineMs: number): Promise<ResponsePayload>;
  /** Resolves after the signal aborted, Goodbye was said, handlers returned and the store is closed. */
  readonly closed: Promise<void>;
}

/** State of the channel as the tenant sees it. */
export interface SpokeStatus {
  readonly connected: boolean;
  /** True from the first failure on until a session is live. */
  readonly degraded: boolean;
  readonly reason: string;
  /** Undefined while the store is being read back. */
  readonly session: SpokeSessionView | undefined;
}

/** Backoff before the machine is rebuilt after its store failed. */
const STORE_RETRY: BackoffPolicy = { baseMs: 1_000, factor: 2, capMs: 30_000 };

/**
 * Starts the agent's side of the session: opens the durable store, then dials until it is stopped.
 *
 * @throws SeamError when the store cannot be opened (locked, newer, unwritable, corrupt)
 */
export async function startSpoke(options: SpokeOptions): Promise<Spoke> {
  const { clock, random, cluster, signal } = options;
  const log = options.log.child({ component: "spoke", cluster });
  const metrics = options.metrics ?? silentMetrics;
  const watch = new AuditPressureWatch({
    outbox: await openStore(options),
    capBytes: options.store.auditCapBytes ?? DEFAULT_AUDIT_CAP.capBytes,
    metrics,
    told: (state) => options.events.auditLog?.(state),
  });
  const { outbox } = watch;
  const waiting = new Map<string, { resolve(response: ResponsePayload): void; reject(error: Error): void }>();
  let channel: Omit<SpokeStatus, "session"> = { connected: false, degraded: false, reason: "Connecting" };
  let run: AgentRun | undefined;
  let failures = 0;
  await watch.look();

  const facts = factOutbox({
    cluster,
    outbox,
    clock,
    random,
    listener: {
      factPending: (fact) => run?.step({ type: "FactPending", fact }),
      auditAppended: (appended) => {
        watch.appended(appended);
        const { epoch, last, backlogBytes } = appended;
        run?.step({ type: "AuditAppended", epoch, last, backlogBytes });
      },
    },
  });

  /** One life of the machine. Resolves when it is over. */
  const live = async (): Promise<void> => {
    const record = await outbox.record();
    // Nothing may be awaited between reading back and here: a fact that becomes durable now must find the run.
    const ended = Promise.withResolvers<void>();
    const current = new AgentRun(options, outbox, record, {
      channel: (state) => {
        channel = state;
        options.events.channel(state);
      },
      response: (response) => {
        const { requestId } = response.value;
        waiting.get(requestId)?.resolve(response);
        waiting.delete(requestId);
      },
      requestFailed: (requestId, reason) => {
        waiting.get(requestId)?.reject(requestError(requestId, reason));
        waiting.delete(requestId);
      },
      storeFailed: ended.reject,
    });
    run = current;
    const onAbort = (): void => ended.resolve();
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) ended.resolve();
    current.step({ type: "Start" });
    try {
      await ended.promise;
      await current.stop("the agent stops");
    } catch (error) {
      await current.end();
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
      run = undefined;
      for (const [requestId, { reject }] of waiting) reject(requestError(requestId, "FederationChannelDegraded"));
      waiting.clear();
    }
  };
  const supervise = async (): Promise<void> => {
    while (!signal.aborted) {
      const startedMs = clock.monotonic();
      try {
        await live();
      } catch (error) {
        failures = clock.monotonic() - startedMs > STORE_RETRY.capMs ? 0 : failures + 1;
        const delayMs = STORE_RETRY.baseMs + fullJitter(STORE_RETRY, failures, random);
        log.error({ err: error, delayMs }, "the agent's store failed; starting again from what it holds");
        channel = { connected: false, degraded: true, reason: "StoreFailed" };
        options.events.channel(channel);
        await clock.sleep(delayMs, signal).catch(() => {
          // stopped meanwhile
        });
      }
    }
    await outbox.close();
  };
  const closed = supervise();

  return {
    outbox: facts,
    auditLog: outbox,
    closed,
    status: () => ({ ...channel, session: run?.machine.view(clock.monotonic(), clock.now()) }),
    item: (key) => run?.machine.item(key),
    storeStatus: () => outbox.status(),
    request: (request, deadlineMs) =>
      new Promise((resolve, reject) => {
        const { requestId } = request.value;
        if (run === undefined || waiting.has(requestId)) {
          reject(requestError(requestId, run === undefined ? "FederationChannelDegraded" : "DuplicateRequest"));
          return;
        }
        waiting.set(requestId, { resolve, reject });
        run.step({ type: "Request", request, deadlineMs });
      }),
  };
}

async function openStore(options: SpokeOptions): Promise<Outbox> {
  const { store, clock, random } = options;
  if ("outbox" in store) return store.outbox;
  const { directory, auditCapBytes } = store;
  return openOutbox({
    directory,
    clock,
    random,
    ...(auditCapBytes === undefined ? {} : { auditCap: { ...DEFAULT_AUDIT_CAP, capBytes: auditCapBytes } }),
  });
}
