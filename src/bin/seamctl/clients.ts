import { type GrpcClient, createGrpcClient } from "../../api/grpc/client.ts";
import { AuditService } from "../../api/gen/conductor/fleet/v1alpha1/audit_pb.ts";
import { FleetService, ReceiptService, RevocationService } from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { PermissionService } from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { clientCredentials } from "../../trust/tls/client-credentials.ts";
import type { DescService } from "@bufbuild/protobuf";
import { explainUnreachable } from "./unreachable.ts";
import {
  type PermissionTarget,
  type PermissionTargetOptions,
  type Target,
  type TargetOptions,
  fleetTarget,
  permissionTarget,
} from "./mesh-file.ts";

function connect<S extends DescService>(service: S, target: Target): GrpcClient<S> {
  return createGrpcClient(service, {
    address: target.address,
    credentials: clientCredentials({
      caPem: target.caPem,
      certificatePem: target.certPem,
      privateKeyPem: target.keyPem,
    }),
  });
}

/** Runs `use` with a client that is closed afterwards, whatever happens. @throws SeamError `ServiceUnreachable` */
async function using<S extends DescService, R>(
  service: S,
  target: Target,
  options: TargetOptions,
  use: (client: GrpcClient<S>) => Promise<R>,
): Promise<R> {
  const client = connect(service, target);
  try {
    return await use(client);
  } catch (error) {
    throw explainUnreachable(error, service.name, target.address, options);
  } finally {
    client.close();
  }
}

/** A call to FleetService. */
export function withFleet<R>(
  options: TargetOptions,
  use: (client: GrpcClient<typeof FleetService>) => Promise<R>,
): Promise<R> {
  return using(FleetService, fleetTarget(options), options, use);
}

/** A call to ReceiptService. */
export function withReceipts<R>(
  options: TargetOptions,
  use: (client: GrpcClient<typeof ReceiptService>) => Promise<R>,
): Promise<R> {
  return using(ReceiptService, fleetTarget(options), options, use);
}

/** A call to RevocationService. */
export function withRevocations<R>(
  options: TargetOptions,
  use: (client: GrpcClient<typeof RevocationService>) => Promise<R>,
): Promise<R> {
  return using(RevocationService, fleetTarget(options), options, use);
}

/** A call to AuditService. */
export function withAudit<R>(
  options: TargetOptions,
  use: (client: GrpcClient<typeof AuditService>) => Promise<R>,
): Promise<R> {
  return using(AuditService, fleetTarget(options), options, use);
}

/** A call to the PermissionService of one tenant, without `cluster` the first; with `--hub` to the hub's. */
export function withPermissions<R>(
  options: PermissionTargetOptions,
  cluster: string | undefined,
  use: (client: GrpcClient<typeof PermissionService>, target: PermissionTarget) => Promise<R>,
): Promise<R> {
  const target = permissionTarget(options, cluster);
  return using(PermissionService, target, options, (client) => use(client, target));
}
