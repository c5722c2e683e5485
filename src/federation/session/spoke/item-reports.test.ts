import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  IndexReportSchema,
  IndexReport_Outcome,
  ItemReportsSchema,
} from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { digestOf } from "../../../base/digest.ts";
import { itemKey } from "../../index/index-document.ts";
import { IN_FLIGHT_BYTES, REPORTS_FRAME_BYTES, REPORTS_PER_FRAME } from "../limits.ts";
import { Pipe } from "../pipe.ts";
import { ItemReports, type Reportable, type WaitingIndexReport } from "./item-reports.ts";
import type { SpokePipe, SpokeStep, SpokeTag } from "./step.ts";

const ITEMS = 3_000;
const NO_INDEX: WaitingIndexReport = { waitingReport: undefined, tookReport: () => {} };

/** An agent whose items are all healthy, and a hub that asks for everything. */
function agentOf(nameLength: number): { works: Map<string, Reportable>; reports: ItemReports; pipe: SpokePipe } {
  const works = new Map<string, Reportable>();
  for (let at = 0; at < ITEMS; at++) {
    const name = String(at).padStart(nameLength, "x");
    const item = { kind: "PackInstalled", name, version: 1, digest: digestOf(name), size: 9 } as const;
    works.set(itemKey(item), {
      key: itemKey(item),
      record: {
        item,
        epoch: 1,
        level: "healthy",
        atMs: 1_767_225_600_000,
        nack: undefined,
        attempts: 0,
        lastGood: item,
        quarantinedBy: "",
        retriedBy: "",
      },
      stamp: at + 1,
      sentStamp: 0,
      ackedStamp: at + 1,
      retryAtMs: 0,
      waitingFor: "",
    });
  }
  const reports = new ItemReports(works);
  reports.opened(true, 0, true);
  return { works, reports, pipe: new Pipe<SpokeTag>(1, 0) };
}

/** Frames that leave now: how many items each brings, and its size. */
function pump(
  reports: ItemReports,
  pipe: SpokePipe,
  waiting = NO_INDEX,
): { items: string[]; bytes: number; estimate: number }[] {
  const step: SpokeStep = { nowMs: 0, wallMs: 0, atOnce: [], persist: [], out: [] };
  reports.pump(pipe, "update", waiting, step);
  return step.out.flatMap((effect) => {
    if (effect.type !== "Send" || effect.frame.body.kind !== "message") return [];
    const { payload } = effect.frame.body;
    if (payload.case !== "itemReports") throw new Error(`unexpected ${payload.case}`);
    const bytes = toBinary(ItemReportsSchema, payload.value).length;
    return [{ items: payload.value.items.map(itemKey), bytes, estimate: effect.frame.bytes }];
  });
}

describe("item reports in one frame", () => {
  it.each([
    ["short names: as many as a frame may bring", 10],
    ["long names: as many bytes as a frame may have", 250],
  ])("are bounded in number and bytes, and every item is said once: %s", (_, nameLength) => {
    const { reports, pipe, works } = agentOf(nameLength);
    const said: string[] = [];
    let frames = 0;
    for (let ack = 0; said.length < ITEMS; ack = frames) {
      pipe.sending.acknowledge(ack, (tag) => {
        if (tag.kind === "items") for (const { key, stamp } of tag.reports) reports.acknowledged(key, stamp);
      });
      const sent = pump(reports, pipe);
      expect(sent.length).toBeGreaterThan(0);
      expect(pipe.sending.bytes).toBeLessThanOrEqual(IN_FLIGHT_BYTES);
      for (const { items, bytes, estimate } of sent) {
        expect(items.length).toBeLessThanOrEqual(REPORTS_PER_FRAME);
        expect(estimate).toBeLessThanOrEqual(REPORTS_FRAME_BYTES);
        expect(bytes).toBeLessThanOrEqual(estimate);
        said.push(...items);
      }
      frames += sent.length;
    }
    expect(said).toEqual([...works.keys()]);
    expect(frames).toBeLessThanOrEqual(nameLength < 100 ? 5 : 12);
    // Nothing is said again before something changes.
    pipe.sending.acknowledge(frames, (tag) => {
      if (tag.kind === "items") for (const { key, stamp } of tag.reports) reports.acknowledged(key, stamp);
    });
    expect(pump(reports, pipe)).toEqual([]);
  });

  it("take an index report that waits, and leave it alone while there is no room", () => {
    const { reports, pipe } = agentOf(10);
    const report = create(IndexReportSchema, { outcome: IndexReport_Outcome.ACCEPTED });
    let taken = 0;
    const waiting: WaitingIndexReport = {
      get waitingReport() {
        return taken === 0 ? report : undefined;
      },
      tookReport: () => taken++,
    };
    pipe.block(0);
    expect(pump(reports, pipe, waiting)).toEqual([]);
    expect(taken).toBe(0);
    pipe.unblock();
    expect(pump(reports, pipe, waiting).length).toBeGreaterThan(0);
    expect(taken).toBe(1);
  });
});
