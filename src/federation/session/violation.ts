import type { ProtocolError_Code } from "../../api/gen/conductor/federation/v1alpha1/session_pb.ts";

/** A broken rule of the protocol: answered with ProtocolError, then the stream is destroyed. */
export interface Violation {
  readonly code: ProtocolError_Code;
  /** Object, field, expectation. */
  readonly message: string;
}

/** Makes a {@link Violation}. */
export function violation(code: ProtocolError_Code, message: string): Violation {
  return { code, message };
}
