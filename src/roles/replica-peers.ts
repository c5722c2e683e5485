import { readFileSync } from "node:fs";
import { FleetService } from "../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { createGrpcClient } from "../api/grpc/client.ts";
import type { ReplicaDirectory } from "../federation/hub/membership/replica-directory.ts";
import type { PeerFleetsParts } from "../ops/fleet/peer-fleets.ts";
import { clientCredentials } from "../trust/tls/client-credentials.ts";
import { type Environment, required } from "./environment.ts";

/**
 * How this replica asks the others about their agents: with an operator's certificate (`INTERNAL_PEER_CERT_PATH`). Without one it answers
 * from the management cluster alone.
 */
export function replicaPeers(
  env: Environment,
  replica: string,
  replicas: ReplicaDirectory,
): Pick<PeerFleetsParts, "peers" | "connect"> | undefined {
  const certificate = env["INTERNAL_PEER_CERT_PATH"];
  if (!certificate) return undefined;
  const key = required(env, "INTERNAL_PEER_KEY_PATH", "private key of INTERNAL_PEER_CERT_PATH");
  const ca = required(env, "INTERNAL_CA_CERT_PATH", "CA bundle of the internal services");
  const serverName = env["INTERNAL_SERVER_NAME"];
  return {
    peers: () =>
      replicas
        .alive()
        .filter((peer) => peer.replica !== replica && peer.internalEndpoint !== "")
        .map((peer) => ({ replica: peer.replica, address: peer.internalEndpoint })),
    // Read at each connection, so that renewed certificates count.
    connect: (address) =>
      createGrpcClient(FleetService, {
        address,
        credentials: clientCredentials(
          {
            caPem: readFileSync(ca, "utf8"),
            certificatePem: readFileSync(certificate, "utf8"),
            privateKeyPem: readFileSync(key, "utf8"),
          },
          serverName ? { serverName } : {},
        ),
      }),
  };
}
