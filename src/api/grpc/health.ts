import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../gen/grpc/health/v1/health_pb.ts";
import { type GrpcService, implementService } from "./service-implementation.ts";
import { GrpcStatusError, Status } from "./status-error.ts";

export { ServingStatus };

/** Names the server as a whole. */
const WHOLE_SERVER = "";

/** Serving status per service name, as grpc.health.v1 shows it. */
export class HealthRegistry {
  readonly #status = new Map<string, ServingStatus>([[WHOLE_SERVER, ServingStatus.SERVING]]);
  readonly #listeners = new Set<() => void>();

  /** Sets the status of a service; the empty name is the server as a whole. Watchers hear of changes. */
  set(service: string, status: ServingStatus): void {
    if (this.#status.get(service) === status) return;
    this.#status.set(service, status);
    for (const listener of this.#listeners) listener();
  }

  get(service: string): ServingStatus | undefined {
    return this.#status.get(service);
  }

  /** Every known name with its status. */
  all(): ReadonlyMap<string, ServingStatus> {
    return this.#status;
  }

  /** Calls `listener` after each change. Returns the way to stop. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** grpc.health.v1: Check, List and Watch over a registry. */
export function healthService(registry: HealthRegistry): GrpcService {
  return implementService(Health, {
    check({ service }) {
      const status = registry.get(service);
      if (status === undefined) throw new GrpcStatusError(Status.NOT_FOUND, `service "${service}" is not known here`);
      return { status };
    },
    list() {
      const statuses = Object.fromEntries([...registry.all()].map(([name, status]) => [name, { status }]));
      return { statuses };
    },
    async *watch({ service }, { signal }) {
      let last: ServingStatus | undefined;
      let changed = false;
      let wake = (): void => {};
      const stop = registry.subscribe(() => {
        changed = true;
        wake();
      });
      const onAbort = (): void => wake();
      signal.addEventListener("abort", onAbort);
      try {
        while (!signal.aborted) {
          changed = false;
          // The protocol keeps the watch open for a name that may appear later.
          const status = registry.get(service) ?? ServingStatus.SERVICE_UNKNOWN;
          if (status !== last) yield { status };
          last = status;
          if (!changed && !signal.aborted)
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
        }
      } finally {
        stop();
        signal.removeEventListener("abort", onAbort);
      }
    },
  });
}
