import type { Envelope } from "../../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import {
  Goodbye_Code,
  type Hello,
  ProtocolError_Code,
} from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { SUPERSEDED_WAIT_MS } from "../limits.ts";
import { type GoodbyeParts, clip } from "../message.ts";
import type { StreamEnd } from "../stream-end.ts";
import { type Violation, violation } from "../violation.ts";

/** Why a stream is not let in: a broken rule, or an orderly refusal. */
export type HelloFault =
  | { readonly kind: "violation"; readonly violation: Violation }
  | { readonly kind: "refusal"; readonly end: StreamEnd; readonly goodbye: GoodbyeParts };

/** Whose session it is, and what the hub speaks. */
export interface HubParty {
  /** Cluster id from the certificate. */
  readonly cluster: string;
  /** Protocol versions, ascending. */
  readonly versions: readonly number[];
}

/** The highest of `versions` that the agent speaks too; undefined when there is none. */
export function commonVersion(hello: Hello, versions: readonly number[]): number | undefined {
  return versions.findLast((version) => hello.protocolVersions.includes(version));
}

/** Judges a Hello against the identity of the certificate. Undefined when it is good. */
export function helloFault({ cluster, versions }: HubParty, hello: Hello): HelloFault | undefined {
  if (commonVersion(hello, versions) === undefined) {
    const found = hello.protocolVersions.slice(0, 8).join(", ");
    return broken(
      ProtocolError_Code.VERSION,
      `hello protocol_versions: contains one of ${versions.join(", ")}, found [${found}]`,
    );
  }
  if (hello.clusterId === cluster) return undefined;
  const message = `hello cluster_id: "${cluster}" as in the certificate (R-4.4), found "${clip(hello.clusterId)}"`;
  const code = Goodbye_Code.IDENTITY_REFUSED;
  return {
    kind: "refusal",
    end: "IdentityRefused",
    goodbye: { code, retryAfterMs: SUPERSEDED_WAIT_MS, endpoint: "", message },
  };
}

/** Judges the first frame of a stream, which must be a good Hello. */
export function firstFrameFault(party: HubParty, { sessionId, payload }: Envelope): HelloFault | undefined {
  if (payload.case !== "hello")
    return broken(
      ProtocolError_Code.UNEXPECTED,
      `${payload.case ?? "unknown payload"} before Welcome: the first frame is Hello`,
    );
  if (sessionId !== "")
    return broken(ProtocolError_Code.INVALID, `envelope session_id: "", found "${clip(sessionId)}"`);
  return helloFault(party, payload.value);
}

function broken(code: ProtocolError_Code, message: string): HelloFault {
  return { kind: "violation", violation: violation(code, message) };
}
