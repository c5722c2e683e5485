import { type AddressInfo, type Server, type Socket, connect, createServer } from "node:net";
import { afterEach, expect, it } from "vitest";
import { ItemReport_Level as Level } from "../../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { FederationRig, RecordingHandler, until } from "../../support/federation-rig.ts";

const CLUSTER = "tenant-1";
const OBJECTS = 1_000;

let rig: FederationRig | undefined;
let meter: Meter | undefined;
afterEach(async () => {
  await rig?.close();
  meter?.close();
});

/** A cable that counts what goes through it, both ways, TLS and all. */
class Meter {
  bytes = 0;
  readonly #server: Server;
  readonly #sockets: Set<Socket> = new Set();

  private constructor(port: () => number) {
    this.#server = createServer((near) => {
      const far = connect(port(), "127.0.0.1");
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.on("data", (data: Buffer) => (this.bytes += data.length));
        from.on("error", () => to.destroy());
        from.on("close", () => to.destroy());
        from.pipe(to);
      }
    });
  }

  static async open(port: () => number): Promise<Meter> {
    const opened = new Meter(port);
    await new Promise<void>((resolve) => opened.#server.listen(0, "127.0.0.1", resolve));
    return opened;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

it("costs bytes in proportion to what changed when the hub forgot everything", { timeout: 120_000 }, async () => {
  rig = await FederationRig.create([CLUSTER]);
  const opened = rig;
  const bodies = Array.from({ length: OBJECTS }, (_, at) => ({
    name: `object-${String(at).padStart(4, "0")}`,
    body: Buffer.from(`body of object ${at} `.padEnd(200, ".")),
  }));
  opened.desired.putAll(CLUSTER, "PackInstalled", bodies);
  const first = await opened.hub();
  meter = await Meter.open(() => opened.port);
  const handler = new RecordingHandler();
  await opened.spoke(CLUSTER, { endpoints: [`127.0.0.1:${meter.port}`], handlers: [handler] });
  const healthy = (): number =>
    bodies.filter(({ name }) => opened.facts.item(CLUSTER, `PackInstalled/${name}`)?.level === Level.HEALTHY).length;
  await until(() => healthy() === OBJECTS, "every object is healthy", 60_000);
  await until(() => first.hub.view.agent(CLUSTER)?.held?.sequence === 1, "the hub knows");
  const full = meter.bytes;

  // The hub is replaced by another process; one object in a thousand changes meanwhile.
  await first.stop();
  meter.bytes = 0;
  opened.desired.put(CLUSTER, "PackInstalled", "object-0500", Buffer.from("another body".padEnd(200, ".")));
  const second = await opened.hub();
  const changed = (): number => Number(opened.facts.item(CLUSTER, "PackInstalled/object-0500")?.version ?? 0n);
  await until(() => changed() === 2 && healthy() === OBJECTS, "the change is healthy", 60_000);
  await until(() => second.hub.view.agent(CLUSTER)?.held?.sequence === 2, "the hub knows again");

  expect(opened.metrics.counts.get("federation_messages_total rangeDigestRequest out")).toBe(1);
  expect(handler.calls.filter((call) => call.includes("@2"))).toHaveLength(3);
  expect(handler.calls).toHaveLength(3 * OBJECTS + 3);
  // TLS handshake, Hello and Welcome included; the first time carried the whole index, every body and every report.
  expect(full).toBeGreaterThan(400_000);
  expect(meter.bytes / full).toBeLessThan(0.05);

  // The next one finds a store that knows nothing of the agent: it asks for everything, and everything comes once, in few frames.
  const frames = (type: string): number => opened.metrics.counts.get(`federation_messages_total ${type} in`) ?? 0;
  const [batches, single] = [frames("itemReports"), frames("itemReport")];
  await second.stop();
  opened.facts.levels.clear();
  const stored: number[] = [];
  opened.facts.onItems = (reports) => stored.push(reports.length);
  await opened.hub();
  await until(() => healthy() === OBJECTS, "every object is known to be healthy again", 60_000);
  expect(stored.reduce((sum, reports) => sum + reports, 0)).toBe(OBJECTS);
  expect(stored.length).toBeLessThanOrEqual(3);
  expect(frames("itemReports") - batches).toBeLessThanOrEqual(3);
  expect(frames("itemReport") - single).toBe(0);
  expect(handler.calls).toHaveLength(3 * OBJECTS + 3);
});
