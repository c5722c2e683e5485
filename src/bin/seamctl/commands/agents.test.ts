import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { AgentSchema } from "../../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { renderTable } from "../table.ts";
import { wideColumns } from "./agents.ts";

const NOW_MS = Date.UTC(2026, 0, 1);

it("says in its wide table which protocol an agent speaks and what it declared, and of a silent one that nothing is known", () => {
  const told = create(AgentSchema, {
    cluster: "tenant-1",
    connected: true,
    replica: "hub-0",
    agentVersion: "1.1.0",
    agentLeader: "agent-0",
    protocolVersion: 3,
    term: 7n,
    capabilities: [{ name: "drift-detection" }, { name: "pack-apply" }],
    certificateNotAfter: { seconds: BigInt(NOW_MS / 1000 + 12 * 86_400), nanos: 0 },
  });
  const silent = create(AgentSchema, {
    cluster: "tenant-2",
    certificateNotAfter: { seconds: BigInt(NOW_MS / 1000 - 1), nanos: 0 },
  });
  const table = renderTable(wideColumns(NOW_MS), [told, silent]);
  const words = table.split("\n").map((line) => line.trim().split(/ {2,}/).join("|"));
  expect(words.map((line) => line.slice(line.search(/SEEN|real/)))).toEqual([
    "SEEN|PROTOCOL|TERM|CERTIFICATE|LEADER|CAPABILITIES|NOTE",
    "real|-|3|7|12d left|agent-0|drift-detection,pack-apply",
    "real|-|-|0|expired|-|-",
  ]);
});
