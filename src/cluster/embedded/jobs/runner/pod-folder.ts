import { join } from "node:path";

/** Folder of the pods below that of the cluster. */
export const PODS_FOLDER = "pods";

/** Files of one running pod. Its folder is named by its uid: a pod of the same name has another one. */
export class PodFolder {
  readonly path: string;

  constructor(clusterDirectory: string, uid: string) {
    this.path = join(clusterDirectory, PODS_FOLDER, uid);
  }
  /** What the shim is to run: {@link ShimOrder}, with Secrets in the environment. Whoever takes the file away decides: the shim runs it, the cluster gives it up. */
  order(run: number): string {
    return join(this.path, `order.${run}`);
  }
  /** Output so far, one line a line in the format of the container runtime interface. */
  log(run: number): string {
    return join(this.path, `log.${run}`);
  }
  /** Process id of the shim and when the machine started it, by the shim. */
  process(run: number): string {
    return join(this.path, `process.${run}`);
  }
  /** How it ended: an ExitReport. */
  exit(run: number): string {
    return join(this.path, `exit.${run}`);
  }
  /** Touched while the cluster lives: a shim whose lease is old ends its program. */
  get lease(): string {
    return join(this.path, "lease");
  }
  /** Files of a volume. */
  volume(name: string): string {
    return join(this.path, "volumes", name);
  }
}

/** What a shim is told to run. */
export interface ShimOrder {
  readonly argv: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly log: string;
  readonly exit: string;
  /** Where the shim says which process it is. */
  readonly process: string;
  readonly lease: string;
  /** Time between the request to end and the end. */
  readonly graceMs: number;
  /** Age of the lease at which nobody is interested any more. */
  readonly abandonedAfterMs: number;
  readonly maxLogBytes: number;
}
