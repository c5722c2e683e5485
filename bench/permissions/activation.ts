import { monitorEventLoopDelay } from "node:perf_hooks";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  CheckPermissionRequestSchema,
  PermissionService,
} from "../../src/api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { methodPath } from "../../src/api/grpc/service-definition.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { median } from "../report/statistics.ts";
import { Load } from "./load.ts";
import { startTenantService } from "./tenant-service.ts";
import { benchQuestions, benchWorld } from "./world.ts";

/** A new snapshot becoming active while the service answers. */
export interface ActivationFigures {
  readonly bindings: number;
  readonly contentBytes: number;
  /** From the offer to the swap: verified, built, stored. */
  readonly activationMs: number;
  /** Delay of the event loop during activations, without and with calls, milliseconds; its resolution is 1 ms. */
  readonly loopP99Ms: number;
  readonly loopMaxMs: number;
  /** The same while nothing is activated: the floor of this machine. */
  readonly idleLoopP99Ms: number;
  readonly idleLoopMaxMs: number;
  readonly answered: number;
  readonly failed: number;
}

const NANOS_PER_MS = 1e6;
const CALLS = 4_000;
const IN_FLIGHT = 8;

/** Activates snapshots of 10,000 bindings, one after the other, under calls; then the same calls without. */
export async function activationBench(runs: number): Promise<ActivationFigures> {
  const random = new SeededRandom(1);
  const tenant = await startTenantService(benchWorld(random));
  const load = new Load();
  const requests = benchQuestions(random, 200).map(({ user, groups, request }) => {
    if (request.form === "path") throw new Error("the questions are about resources");
    const { verb, apiGroup, resource, namespace } = request;
    const check = { principal: user, groups: [...groups], verb, apiGroup, resource, namespace };
    return toBinary(CheckPermissionRequestSchema, create(CheckPermissionRequestSchema, check));
  });
  const path = methodPath(PermissionService.method.checkPermission);
  const command = { port: tenant.port, path, tls: tenant.client, requests, inFlight: IN_FLIGHT, calls: CALLS };
  await load.run(command);
  const signed = Array.from({ length: runs }, () => tenant.sign(benchWorld(random)));
  const calm = monitorEventLoopDelay({ resolution: 1 });
  calm.enable();
  await load.run(command);
  calm.disable();

  const busy = monitorEventLoopDelay({ resolution: 1 });
  const times: number[] = [];
  const over = new AbortController();
  let answered = 0;
  let failed = 0;
  const calls = (async () => {
    while (!over.signal.aborted) {
      const result = await load.run({ ...command, calls: 200 });
      answered += result.latenciesMs.length;
      failed += result.failed;
    }
  })();
  busy.enable();
  for (const { envelope, content } of signed) {
    const started = performance.now();
    await tenant.store.activate(await tenant.store.prepare(envelope, () => Promise.resolve(content)));
    times.push(performance.now() - started);
  }
  busy.disable();
  over.abort();
  await calls;
  const bindings = tenant.store.current?.index.sizes.bindings ?? 0;
  await load.stop();
  await tenant.close();
  return {
    bindings,
    contentBytes: signed[0]?.content.length ?? 0,
    activationMs: median(times),
    loopP99Ms: busy.percentile(99) / NANOS_PER_MS,
    loopMaxMs: busy.max / NANOS_PER_MS,
    idleLoopP99Ms: calm.percentile(99) / NANOS_PER_MS,
    idleLoopMaxMs: calm.max / NANOS_PER_MS,
    answered,
    failed,
  };
}
