import type { JobObject, PodObject } from "../../../../api/builtin.ts";
import { keyOf } from "../../../../api/object.ts";
import { DelayedQueue } from "../../garbage-collection/delayed-queue.ts";
import { jsonEqual, type JsonMap } from "../../json/mutable-json.ts";
import { nowText, type RequestContext } from "../../requests/request-context.ts";
import { isFinished, planJob, TRACKING_FINALIZER } from "./job-plan.ts";
import { unschedulable } from "./pod-status.ts";
import { resolveProgram, type RunnerProgram } from "./runner-program.ts";
import { controllerKey, JOBS, PODS, RunnerWrites } from "./runner-writes.ts";

/** The node whose pods are run here as processes. */
export const RUNNER_NODE = "job-runner";
const JOB_CONTROLLER = "kubernetes.io/job-controller";

/** Which Jobs are looked after. */
export interface JobControllerOptions {
  readonly programs: readonly RunnerProgram[];
  /** What becomes of Jobs whose program is none of ours: pods that stay pending with the reason, or somebody else's to answer. */
  readonly others: "pending" | "leave";
}

/** Turns Jobs into pods and pods into the status of Jobs: the job controller, for what can be run here. */
export class JobController {
  readonly #context: RequestContext;
  readonly #options: JobControllerOptions;
  readonly #writes: RunnerWrites;
  readonly #queue: DelayedQueue;

  constructor(context: RequestContext, options: JobControllerOptions, signal: AbortSignal) {
    this.#context = context;
    this.#options = options;
    this.#writes = new RunnerWrites(context);
    const { clock, random, log } = context;
    const reconcile = (key: string): Promise<void> => this.#reconcile(key);
    this.#queue = new DelayedQueue({ name: "job", clock, random, log, signal, reconcile });
    for (const [key] of context.store.collection(JOBS).entries()) this.#queue.add(key);
    for (const [, { object }] of context.store.collection(PODS).entries()) this.#queue.add(controllerKey(object) ?? "");
    context.store.subscribe((events) => {
      for (const event of events) {
        if (event.collection === JOBS) this.#queue.add(event.key);
        else if (event.collection === PODS) this.#queue.add(controllerKey(event.object) ?? "");
      }
    });
  }

  async idle(): Promise<void> {
    await this.#queue.idle();
  }

  async #reconcile(key: string): Promise<void> {
    const job = this.#writes.job(key);
    if (!job || job.metadata.deletionTimestamp !== undefined) {
      await this.#letGo(key);
      return;
    }
    if ((job.spec as { readonly managedBy?: string }).managedBy !== undefined && !managedHere(job)) return;
    const program = resolveProgram(job.spec.template.spec, this.#options.programs);
    const problem =
      "problem" in program
        ? program.problem
        : job.spec.completionMode === "Indexed"
          ? "this embedded cluster runs no Jobs with completionMode Indexed"
          : undefined;
    if (problem !== undefined && this.#options.others === "leave") return;
    const pods = this.#writes.podsOf(job);
    if (problem !== undefined) await this.#explain(pods, problem);
    if (isFinished(job)) {
      await this.#release(pods);
      return;
    }
    await this.#carryOut(job, pods, problem === undefined ? RUNNER_NODE : "", key);
  }

  async #carryOut(job: JobObject, pods: readonly PodObject[], node: string, key: string): Promise<void> {
    const { clock } = this.#context;
    const plan = planJob(job, pods, clock.now());
    const { namespace = "" } = job.metadata;
    if (!jsonEqual(plan.status as JsonMap, (job.status ?? {}) as JsonMap) || plan.counted.length > 0) {
      // Accepted one after the other without a pause between them, so stored in one commit: nothing is counted twice or never.
      await Promise.all([
        this.#writes.status(JOBS, job, plan.status, "kube-controller-manager"),
        ...plan.counted.map((name) => this.#writes.release({ namespace, name })),
      ]);
    }
    await Promise.all(plan.remove.map((name) => this.#writes.deletePod({ namespace, name })));
    for (let i = 0; i < plan.create; i++) await this.#writes.createPod(job, node);
    if (plan.againMs !== undefined) this.#queue.addAfter(key, plan.againMs);
  }

  /** Pods nobody can run say so. */
  async #explain(pods: readonly PodObject[], problem: string): Promise<void> {
    for (const pod of pods) {
      if (pod.spec.nodeName !== undefined || pod.status?.reason !== undefined) continue;
      const status = unschedulable(pod, problem, nowText(this.#context));
      await this.#writes.status(PODS, pod, status, "kube-scheduler");
      await this.#writes.event(pod, "FailedScheduling", status.message ?? problem);
    }
  }

  /** Pods of a finished Job are counted; what still runs ends. */
  async #release(pods: readonly PodObject[]): Promise<void> {
    for (const pod of pods) {
      if (pod.metadata.finalizers?.includes(TRACKING_FINALIZER)) await this.#writes.release(keyOf(pod));
    }
  }

  /** Nobody counts the pods of a Job that is going or gone: only their programs must have ended. */
  async #letGo(key: string): Promise<void> {
    for (const [, { object }] of this.#context.store.collection(PODS).entries()) {
      if (controllerKey(object) !== key) continue;
      const pod = this.#writes.pod(`${object.metadata.namespace}/${object.metadata.name}`);
      if (!pod?.metadata.finalizers?.includes(TRACKING_FINALIZER)) continue;
      const phase = pod.status?.phase;
      const started = pod.spec.nodeName !== undefined && phase !== "Succeeded" && phase !== "Failed";
      if (!started) await this.#writes.release(keyOf(pod));
    }
  }
}

function managedHere(job: JobObject): boolean {
  return (job.spec as { readonly managedBy?: string }).managedBy === JOB_CONTROLLER;
}
