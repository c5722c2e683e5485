import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { PodObject } from "../../../../api/builtin.ts";
import { errorMessage } from "../../../../base/errors.ts";
import { DelayedQueue } from "../../garbage-collection/delayed-queue.ts";
import { nowText, type RequestContext } from "../../requests/request-context.ts";
import { storageKey } from "../../store/collection.ts";
import type { ExitReport } from "./exit-report.ts";
import { RUNNER_NODE } from "./job-controller.ts";
import { expandVariables, NotReadyError, podEnvironment } from "./pod-environment.ts";
import { PodFolder, PODS_FOLDER } from "./pod-folder.ts";
import { adoptProcess, type PodProcess, renewLease, startProcess } from "./pod-process.ts";
import { type Disruption, finished, restartCount, running, waiting } from "./pod-status.ts";
import { resolveProgram, type RunnerProgram } from "./runner-program.ts";
import { PODS, RunnerWrites } from "./runner-writes.ts";

const DEFAULT_GRACE_SECONDS = 30;
/** When the cluster itself stops, its programs have no more than this. */
const CLOSING_GRACE_MS = 5_000;
/** Output kept of each run of a program. */
const MAX_LOG_BYTES = 10 * 1024 * 1024;
/** A shim whose lease is older ends its program: the cluster was killed and nobody started it again. */
const ABANDONED_AFTER_MS = 5 * 60_000;
const LEASE_RENEWAL_MS = 30_000;
/** Time between looks at what a pod waits for. */
const NOT_READY_RETRY_MS = 2_000;
const RESTART_BASE_MS = 10_000;
const RESTART_CAP_MS = 5 * 60_000;

/** What programs are run with. */
export interface PodAgentOptions {
  readonly directory: string;
  readonly programs: readonly RunnerProgram[];
  /** Variables every program gets, `PATH` for one; nothing else of this process's environment is handed on. */
  readonly environment: Readonly<Record<string, string>>;
}

interface Run {
  readonly uid: string;
  readonly process: PodProcess;
  /** Set once it is asked to end. */
  ending: boolean;
}

/** Runs the pods of {@link RUNNER_NODE} as processes and says in their status what becomes of them: the kubelet's part. */
export class PodAgent {
  readonly #context: RequestContext;
  readonly #options: PodAgentOptions;
  readonly #signal: AbortSignal;
  readonly #writes: RunnerWrites;
  readonly #queue: DelayedQueue;
  /** By uid. */
  readonly #runs = new Map<string, Run>();
  readonly #closed: Promise<unknown>;

  constructor(context: RequestContext, options: PodAgentOptions, signal: AbortSignal) {
    this.#context = context;
    this.#options = options;
    this.#signal = signal;
    this.#writes = new RunnerWrites(context);
    const { clock, random, log } = context;
    const reconcile = (key: string): Promise<void> => this.#reconcile(key);
    this.#queue = new DelayedQueue({ name: "pod", clock, random, log, signal, reconcile });
    this.#clearFolders();
    for (const [key] of context.store.collection(PODS).entries()) this.#queue.add(key);
    context.store.subscribe((events) => {
      for (const event of events) {
        if (event.collection !== PODS) continue;
        if (event.type === "DELETED") this.#forget(event.object.metadata.uid ?? "");
        else this.#queue.add(event.key);
      }
    });
    this.#closed = Promise.all([this.#renewLeases(), this.#endAll()]);
  }

  /** Resolves when no work is under way; after the signal, when every program has ended. */
  async idle(): Promise<void> {
    if (this.#signal.aborted) await this.#closed;
    await this.#queue.idle();
  }

  #folder(uid: string): PodFolder {
    return new PodFolder(this.#options.directory, uid);
  }

  async #reconcile(key: string): Promise<void> {
    const pod = this.#writes.pod(key);
    if (!pod || pod.spec.nodeName !== RUNNER_NODE) return;
    const { uid = "", deletionTimestamp } = pod.metadata;
    const { phase } = pod.status ?? {};
    if (phase === "Succeeded" || phase === "Failed") return;
    const run = this.#runs.get(uid) ?? this.#adopt(pod);
    if (deletionTimestamp !== undefined) {
      if (run) this.#end(run);
      else await this.#finish(key, uid, undefined); // it was never started
      return;
    }
    if (run) return;
    if (phase === "Running" && !waitsForRestart(pod)) {
      await this.#finish(key, uid, undefined, {
        reason: "ProcessLost",
        message: "nobody knows how the program ended: the machine stopped, or its folder was removed",
      });
      return;
    }
    const left = restartDueMs(pod) - this.#context.clock.now();
    if (left > 0) this.#queue.addAfter(key, left);
    else await this.#start(key, pod);
  }

  /** A program that an earlier process of the cluster started. */
  #adopt(pod: PodObject): Run | undefined {
    const { uid = "" } = pod.metadata;
    const graceMs = graceOf(pod);
    if (waitsForRestart(pod)) return undefined;
    const process = adoptProcess(this.#folder(uid), restartCount(pod), graceMs, this.#context.clock, this.#signal);
    return process && this.#track(pod, process);
  }

  #track(pod: PodObject, process: PodProcess): Run {
    const { uid = "" } = pod.metadata;
    const key = storageKey(pod.metadata.namespace, pod.metadata.name);
    const run: Run = { uid, process, ending: false };
    this.#runs.set(uid, run);
    void this.#observe(key, run);
    return run;
  }

  async #observe(key: string, run: Run): Promise<void> {
    const report = await run.process.ended;
    if (this.#signal.aborted) return; // #endAll says how it ended
    this.#runs.delete(run.uid);
    try {
      await this.#ended(key, run, report);
    } catch (error) {
      this.#context.log.warn(
        { pod: key, error: errorMessage(error) },
        "the end of a program was not stored; looking again",
      );
      this.#queue.addAfter(key, NOT_READY_RETRY_MS);
    }
  }

  async #ended(key: string, run: Run, report: ExitReport | undefined): Promise<void> {
    const pod = this.#writes.pod(key);
    if (!pod || pod.metadata.uid !== run.uid) return;
    const again =
      pod.spec.restartPolicy === "OnFailure" && pod.metadata.deletionTimestamp === undefined && report?.exitCode !== 0;
    if (!again) {
      await this.#finish(key, run.uid, report);
      return;
    }
    const restarts = restartCount(pod) + 1;
    const status = waiting(
      pod,
      restarts,
      "CrashLoopBackOff",
      `exit code ${report?.exitCode ?? "unknown"}`,
      nowText(this.#context),
    );
    await this.#writes.status(PODS, pod, status, "kubelet");
  }

  async #finish(key: string, uid: string, report: ExitReport | undefined, disruption?: Disruption): Promise<void> {
    const pod = this.#writes.pod(key);
    if (!pod || pod.metadata.uid !== uid) return;
    await this.#writes.status(PODS, pod, finished(pod, report, disruption, nowText(this.#context)), "kubelet");
  }

  async #start(key: string, pod: PodObject): Promise<void> {
    const { uid = "" } = pod.metadata;
    const folder = this.#folder(uid);
    const program = resolveProgram(pod.spec, this.#options.programs);
    const restarts = restartCount(pod);
    if ("problem" in program) return; // the programs of this build are others than those of the one that took the pod
    try {
      const work = join(folder.path, "work");
      mkdirSync(work, { recursive: true, mode: 0o700 });
      const { env, located } = podEnvironment(this.#context.store, pod, program.container, folder);
      const [exec, ...args] = program.argv;
      const process = startProcess(folder, restarts, {
        argv: [exec, ...args.map((arg) => located(expandVariables(arg, env)))],
        env: { ...this.#options.environment, ...env, HOSTNAME: pod.metadata.name },
        cwd: work,
        log: folder.log(restarts),
        exit: folder.exit(restarts),
        process: folder.process(restarts),
        lease: folder.lease,
        graceMs: graceOf(pod),
        abandonedAfterMs: ABANDONED_AFTER_MS,
        maxLogBytes: MAX_LOG_BYTES,
      });
      this.#track(pod, process);
    } catch (error) {
      const reason = error instanceof NotReadyError ? "CreateContainerConfigError" : "CreateContainerError";
      await this.#writes.status(
        PODS,
        pod,
        waiting(pod, restarts, reason, errorMessage(error), nowText(this.#context)),
        "kubelet",
      );
      this.#queue.addAfter(key, NOT_READY_RETRY_MS);
      return;
    }
    const time = nowText(this.#context);
    await this.#writes.status(PODS, pod, running(pod, restarts, time, time), "kubelet");
  }

  #end(run: Run): void {
    if (run.ending) return;
    run.ending = true;
    run.process.end();
  }

  /** The pod is gone: so is its program, and then its folder. */
  #forget(uid: string): void {
    const run = this.#runs.get(uid);
    const clear = (): void => rmSync(this.#folder(uid).path, { recursive: true, force: true });
    if (!run) {
      clear();
      return;
    }
    this.#end(run);
    void run.process.ended.then(clear);
  }

  /** Folders of pods that went while the cluster did not run. */
  #clearFolders(): void {
    const known = new Set<string>();
    for (const [, { object }] of this.#context.store.collection(PODS).entries()) known.add(object.metadata.uid ?? "");
    const { directory } = this.#options;
    mkdirSync(join(directory, PODS_FOLDER), { recursive: true, mode: 0o700 });
    for (const uid of readdirSync(join(directory, PODS_FOLDER))) {
      if (known.has(uid)) continue;
      const folder = this.#folder(uid);
      const process = adoptProcess(folder, lastRun(folder), CLOSING_GRACE_MS, this.#context.clock, this.#signal);
      process?.end();
      void (process?.ended ?? Promise.resolve()).then(() => rmSync(folder.path, { recursive: true, force: true }));
    }
  }

  async #renewLeases(): Promise<void> {
    const { clock } = this.#context;
    for (;;) {
      for (const { uid } of this.#runs.values()) renewLease(this.#folder(uid), clock.now());
      try {
        await clock.sleep(LEASE_RENEWAL_MS, this.#signal);
      } catch {
        return; // closing
      }
    }
  }

  /** When the cluster stops, so do its programs; their Jobs go on with the next start, as their failure policies say. */
  async #endAll(): Promise<void> {
    const signal = this.#signal;
    if (!signal.aborted) {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    }
    await this.#queue.idle();
    await Promise.all(
      [...this.#runs.values()].map(async (run) => {
        this.#end(run);
        const report = await this.#endedSoon(run);
        for (const [key, { object }] of this.#context.store.collection(PODS).entries()) {
          if (object.metadata.uid !== run.uid) continue;
          const stopped = { reason: "TerminationByKubelet", message: "the cluster was stopped" };
          await this.#finish(key, run.uid, report, report?.exitCode === 0 ? undefined : stopped);
        }
      }),
    );
    this.#runs.clear();
  }

  async #endedSoon(run: Run): Promise<ExitReport | undefined> {
    const over = new AbortController();
    void this.#context.clock.sleep(CLOSING_GRACE_MS, over.signal).then(
      () => run.process.end(),
      () => undefined, // it ended by itself
    );
    try {
      return await run.process.ended;
    } finally {
      over.abort();
    }
  }
}

function graceOf(pod: PodObject): number {
  const seconds = pod.spec["terminationGracePeriodSeconds"];
  return (typeof seconds === "number" ? seconds : DEFAULT_GRACE_SECONDS) * 1000;
}

/** The program failed and is to be started again in the same pod. */
function waitsForRestart(pod: PodObject): boolean {
  const [status] = pod.status?.containerStatuses ?? [];
  const { state } = (status ?? {}) as { readonly state?: { readonly waiting?: { readonly reason?: string } } };
  return state?.waiting?.reason === "CrashLoopBackOff";
}

/** When a program that failed is started again, Unix milliseconds. */
function restartDueMs(pod: PodObject): number {
  if (!waitsForRestart(pod)) return 0;
  const since = pod.status?.conditions?.find((condition) => condition.type === "Ready")?.lastTransitionTime;
  const delay = Math.min(RESTART_BASE_MS * 2 ** Math.min(restartCount(pod) - 1, 20), RESTART_CAP_MS);
  return Date.parse(since ?? "") + delay;
}

/** Number of the newest run of a pod whose object is gone. */
function lastRun(folder: PodFolder): number {
  let last = 0;
  for (const name of readdirSync(folder.path)) {
    const run = Number(/^(?:process|order)\.(\d+)$/.exec(name)?.[1] ?? 0);
    last = Math.max(last, run);
  }
  return last;
}
