import { clone, toBinary } from "@bufbuild/protobuf";
import { createHash } from "node:crypto";
import { type Agent, AgentSchema } from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";

/** Length of a revision, hexadecimal digits. */
const LENGTH = 16;

/** Names the content of a row without ages and measurements, which always differ. */
export function agentRevision(agent: Agent): string {
  const { lastSeen: _, ...lasting } = clone(AgentSchema, agent);
  const content: Agent = {
    ...lasting,
    rttMs: 0,
    queuedBytes: 0n,
    auditBacklog: 0n,
    auditStoredThrough: 0n,
    revision: "",
  };
  return createHash("sha256").update(toBinary(AgentSchema, content)).digest("hex").slice(0, LENGTH);
}
