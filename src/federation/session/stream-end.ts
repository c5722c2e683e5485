/** Why a machine ends a stream: for the gRPC status, logs and metrics. */
export type StreamEnd =
  | "Superseded"
  | "ProtocolError"
  | "HeartbeatMissed"
  | "HelloTimeout"
  | "LoadFailed"
  | "DrainTimeout"
  | "Stalled"
  | "IdentityRefused"
  | "Evicted"
  | "PeerGoodbye"
  | "Stopped";
