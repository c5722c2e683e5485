import { create, toBinary } from "@bufbuild/protobuf";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CheckPermissionRequestSchema,
  PermissionService,
} from "../../src/api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { methodPath } from "../../src/api/grpc/service-definition.ts";
import { systemClock } from "../../src/base/clock.ts";
import { SeededRandom, systemRandom } from "../../src/base/random.ts";
import { factOutbox } from "../../src/federation/outbox/fact-outbox.ts";
import { openOutbox } from "../../src/federation/outbox/outbox.ts";
import { Load } from "../permissions/load.ts";
import { startTenantService } from "../permissions/tenant-service.ts";
import { benchWorld } from "../permissions/world.ts";
import { median } from "../report/statistics.ts";

/** Checks with the decision log going to a durable audit log, and going nowhere. */
export interface CheckFigures {
  readonly offPerSecond: number;
  readonly onPerSecond: number;
  /** On against off, medians of pairs. */
  readonly ratio: number;
  /** Denied checks with audit on, and decisions of that kind in the log afterwards. */
  readonly denies: number;
  readonly logged: number;
}

const CALLS = 5_000;
const IN_FLIGHT = 64;

/** Every second question is denied and must be in the log. */
export async function checksBench(runs: number): Promise<CheckFigures> {
  const directory = await mkdtemp(join(tmpdir(), "bench-checks-"));
  const parts = { clock: systemClock, random: systemRandom };
  const outbox = await openOutbox({ directory, ...parts, auditCap: { capBytes: 4 * 1024 ** 3, reserveBytes: 0 } });
  const listener = { factPending: () => {}, auditAppended: () => {} };
  const world = benchWorld(new SeededRandom(1));
  const facts = factOutbox({ cluster: world.targetCluster, outbox, listener, ...parts });
  const off = await startTenantService(world);
  let denies = 0;
  const on = await startTenantService(world, {
    audit: (event) => {
      if (event["decision"] === "deny") denies += 1;
      return facts.audit(event);
    },
  });
  const load = new Load();
  const requests = Array.from({ length: 1_000 }, (_, i) =>
    toBinary(
      CheckPermissionRequestSchema,
      create(CheckPermissionRequestSchema, {
        principal: i % 2 === 0 ? "bench" : `nobody-${i}`,
        groups: [],
        verb: "get",
        resource: "secrets",
        resourceName: `token-${i}`,
        namespace: "team-1",
      }),
    ),
  );
  const path = methodPath(PermissionService.method.checkPermission);
  const rate = async (service: typeof on): Promise<number> => {
    const command = { path, port: service.port, requests, tls: service.client, calls: CALLS, inFlight: IN_FLIGHT };
    const { seconds, failed } = await load.run(command);
    if (failed > 0) throw new Error(`${failed} checks failed`);
    return CALLS / seconds;
  };
  const offs: number[] = [];
  const ons: number[] = [];
  await rate(off);
  for (let run = 0; run < runs; run++) {
    offs.push(await rate(off));
    ons.push(await rate(on));
  }
  await load.stop();
  await Promise.all([off.close(), on.close()]);
  const { auditBacklogEvents } = await outbox.status();
  await outbox.close();
  await rm(directory, { recursive: true });
  return {
    offPerSecond: median(offs),
    onPerSecond: median(ons),
    ratio: median(ons.map((mine, run) => mine / (offs[run] ?? Number.NaN))),
    denies,
    logged: auditBacklogEvents,
  };
}
