import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { AgentSchema, ItemCountsSchema } from "../../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { byTrouble, fleetLine } from "./top.ts";

const items = (healthy: number, quarantined = 0) => create(ItemCountsSchema, { desired: 6, healthy, quarantined });
const agent = (cluster: string, more: Omit<MessageInitShape<typeof AgentSchema>, "$typeName"> = {}) =>
  create(AgentSchema, { cluster, connected: true, items: items(6), ...more });

const fleet = [
  agent("b-fine"),
  agent("a-fine"),
  agent("behind", { items: items(4) }),
  agent("refuses", { items: items(5, 1) }),
  agent("drifts", { openDrift: 2 }),
  agent("waits", { queuedBytes: 2048n, auditBacklog: 7n }),
  agent("away", { connected: false }),
];

it("shows those in trouble first, the worst kind of trouble deciding, and equals by name", () => {
  expect(byTrouble(fleet).map(({ cluster }) => cluster)).toEqual([
    "away",
    "refuses",
    "drifts",
    "behind",
    "waits",
    "a-fine",
    "b-fine",
  ]);
});

it("sums the fleet up in one line", () => {
  expect(fleetLine(fleet)).toBe(
    "6 of 7 connected | 39 of 42 items healthy, 1 refused | 2 drift | 7 audit events waiting | 2.0KiB queued",
  );
  expect(fleetLine([])).toBe(
    "0 of 0 connected | 0 of 0 items healthy, 0 refused | 0 drift | 0 audit events waiting | 0 queued",
  );
});
