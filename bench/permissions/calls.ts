import { create, toBinary } from "@bufbuild/protobuf";
import {
  BatchCheckPermissionRequestSchema,
  CheckPermissionRequestSchema,
  PermissionService,
} from "../../src/api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { methodPath } from "../../src/api/grpc/service-definition.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { median, quantile } from "../report/statistics.ts";
import { Load } from "./load.ts";
import { EMPTY_PATH, startTenantService } from "./tenant-service.ts";
import { type BenchQuestion, benchQuestions, benchWorld } from "./world.ts";

/** One kind of call. Ratios are of each run against the empty call of the same run; medians. */
export interface CallFigures {
  readonly what: string;
  /** Decisions, or calls that decide nothing. */
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time of the server's process, microseconds a call. */
  readonly serverMicros: number;
  /** Decisions per second against empty calls per second. */
  readonly ratio: number;
  /** Server time of an empty call against the server time of a decision: the ratio of a server that is alone on its cores. */
  readonly serverRatio: number;
}

const QUESTIONS = 1_000;
const BATCH = 100;
/** Calls under way at once. */
export const IN_FLIGHT = 64;

/** CheckPermission and BatchCheckPermission over mutual TLS beside a call that does nothing; the client is another process. */
export async function callsBench(runs: number, calls: number): Promise<readonly CallFigures[]> {
  const random = new SeededRandom(1);
  const tenant = await startTenantService(benchWorld(random));
  const load = new Load();
  const questions = benchQuestions(random, QUESTIONS).map(messageOf);
  const checks = questions.map((check) =>
    toBinary(CheckPermissionRequestSchema, create(CheckPermissionRequestSchema, check)),
  );
  const items = questions.slice(0, BATCH).map((check, i) => ({ correlationId: `${i}`, check }));
  const batch = toBinary(BatchCheckPermissionRequestSchema, create(BatchCheckPermissionRequestSchema, { items }));
  const { checkPermission, batchCheckPermission } = PermissionService.method;
  const kinds = [
    {
      what: "empty call, plain grpc-js",
      path: EMPTY_PATH,
      port: tenant.emptyPort,
      requests: [new Uint8Array()],
      per: 1,
    },
    { what: "CheckPermission", path: methodPath(checkPermission), port: tenant.port, requests: checks, per: 1 },
    {
      what: `BatchCheckPermission of ${BATCH}`,
      path: methodPath(batchCheckPermission),
      port: tenant.port,
      requests: [batch],
      per: BATCH,
    },
  ] as const;
  const seen = kinds.map(
    () => ({ perSecond: [], p50: [], p99: [], micros: [], ratio: [], serverRatio: [] }) as Samples,
  );
  for (let run = 0; run <= runs; run++) {
    const round = [];
    for (const { path, port, requests, per } of kinds) {
      const command = {
        path,
        port,
        requests,
        tls: tenant.client,
        calls: Math.ceil(calls / Math.sqrt(per)),
        inFlight: IN_FLIGHT,
      };
      const before = process.cpuUsage();
      const { seconds, latenciesMs, failed } = await load.run(command);
      const { user, system } = process.cpuUsage(before);
      if (failed > 0) throw new Error(`${failed} calls of ${path} failed`);
      round.push({
        perSecond: (latenciesMs.length * per) / seconds,
        micros: (user + system) / latenciesMs.length,
        p50: quantile(latenciesMs, 0.5),
        p99: quantile(latenciesMs, 0.99),
        per,
      });
    }
    const [floor] = round;
    if (run === 0 || floor === undefined) continue; // warm-up
    for (const [i, figures] of round.entries()) {
      const samples = seen[i];
      if (samples === undefined) continue;
      samples.perSecond.push(figures.perSecond);
      samples.micros.push(figures.micros);
      samples.p50.push(figures.p50);
      samples.p99.push(figures.p99);
      samples.ratio.push(figures.perSecond / floor.perSecond);
      samples.serverRatio.push((floor.micros * figures.per) / figures.micros);
    }
  }
  await load.stop();
  await tenant.close();
  return kinds.map(({ what }, i) => {
    const { perSecond, p50, p99, micros, ratio, serverRatio } = seen[i] ?? never();
    return {
      what,
      perSecond: median(perSecond),
      p50Ms: median(p50),
      p99Ms: median(p99),
      serverMicros: median(micros),
      ratio: median(ratio),
      serverRatio: median(serverRatio),
    };
  });
}

interface Samples {
  readonly perSecond: number[];
  readonly p50: number[];
  readonly p99: number[];
  readonly micros: number[];
  readonly ratio: number[];
  readonly serverRatio: number[];
}

function messageOf({ user, groups, request }: BenchQuestion) {
  if (request.form === "path") return { principal: user, groups: [...groups], verb: request.verb, path: request.path };
  const { verb, apiGroup, resource, subresource, name, namespace } = request;
  return {
    principal: user,
    groups: [...groups],
    deriveGroups: false,
    verb,
    apiGroup,
    resource,
    subresource,
    resourceName: name,
    namespace,
  };
}

function never(): never {
  throw new Error("there are samples of every kind");
}
