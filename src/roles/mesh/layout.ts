import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { SeamError, errorMessage } from "../../base/errors.ts";

/** Format of the state directory; a directory of a higher one is refused, never rewritten. */
export const LAYOUT_VERSION = 1;
/** `up` refuses to start with less free space than this, bytes: SQLite must be able to finish what it began. */
export const MIN_FREE_BYTES = 64 * 1024 * 1024;

/** Paths of one state directory. Documented in docs/state-directory.md and stable. */
export class MeshLayout {
  readonly root: string;

  constructor(directory: string) {
    this.root = resolve(directory);
  }

  get versionFile(): string {
    return join(this.root, "version");
  }
  get lockFile(): string {
    return join(this.root, "up.lock");
  }
  get kubeconfig(): string {
    return join(this.root, "kubeconfig");
  }
  /** Settings of the last `up`, for commands that find the mesh by its directory. */
  get settings(): string {
    return join(this.root, "mesh.json");
  }
  get operator(): string {
    return join(this.root, "operator");
  }
  get logs(): string {
    return join(this.root, "logs");
  }
  /** One `NAME.pid` per running process, and `NAME.hold` for one that is to stay down. */
  get run(): string {
    return join(this.root, "run");
  }
  get management(): string {
    return join(this.root, "management");
  }
  /** What hub replicas of their own reach the management cluster with. */
  get hubKubeconfig(): string {
    return join(this.management, "hub-kubeconfig");
  }
  /** What the process of a cluster with an API server of its own reaches it with. */
  externalKubeconfig(name: string): string {
    return join(this.run, `${name}.kubeconfig`);
  }
  /** OCI image layout that `pack publish` writes to. */
  get packs(): string {
    return join(this.management, "packs");
  }
  /** Compiled code of all processes, so that they start quicker; may be removed at any time. */
  get compileCache(): string {
    return join(this.root, "compile-cache");
  }

  tenant(name: string): string {
    return join(this.root, "tenants", name);
  }
  log(name: string): string {
    return join(this.logs, `${name}.log`);
  }
  pid(name: string): string {
    return join(this.run, `${name}.pid`);
  }
  hold(name: string): string {
    return join(this.run, `${name}.hold`);
  }
}

/**
 * Creates the state directory or checks that an existing one can be used.
 *
 * @throws SeamError `StateDirectoryNewer`, `StateDirectoryUnwritable`, `StateDirectoryForeign`, `DiskFull`
 */
export function prepareLayout(layout: MeshLayout): void {
  const object = `state directory ${layout.root}`;
  try {
    mkdirSync(layout.root, { recursive: true, mode: 0o700 });
    accessSync(layout.root, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new SeamError(
      {
        reason: "StateDirectoryUnwritable",
        object,
        expected: `must be a directory this user can write (${errorMessage(cause)})`,
        remedy: "choose another with --dir, or change its owner",
      },
      { cause },
    );
  }
  const { bavail, bsize } = statfsSync(layout.root);
  if (bavail * bsize < MIN_FREE_BYTES) {
    throw new SeamError({
      reason: "DiskFull",
      object,
      expected: `needs ${MIN_FREE_BYTES / 2 ** 20} MiB of free space, found ${Math.floor((bavail * bsize) / 2 ** 20)} MiB`,
      remedy: "free some space, or choose another file system with --dir",
    });
  }
  if (existsSync(layout.versionFile)) {
    const text = readFileSync(layout.versionFile, "utf8").trim();
    const version = Number(text);
    if (!Number.isInteger(version) || version < 1) {
      throw new SeamError({
        reason: "StateDirectoryForeign",
        object,
        field: "version",
        expected: `must hold the number of a layout, found ${JSON.stringify(text.slice(0, 40))}`,
        remedy: "this is not a state directory of seamctl; choose another with --dir",
      });
    }
    if (version > LAYOUT_VERSION) {
      throw new SeamError({
        reason: "StateDirectoryNewer",
        object,
        field: "version",
        expected: `must be at most ${LAYOUT_VERSION}, found ${version}: a newer seamctl wrote it`,
        remedy: "use that seamctl, or start a fresh mesh with --dir",
      });
    }
  } else {
    const others = readdirSync(layout.root).filter((name) => name !== "version.tmp");
    if (others.length > 0) {
      throw new SeamError({
        reason: "StateDirectoryForeign",
        object,
        expected: `must be new, empty or a state directory of seamctl, but it holds other files (${others[0] ?? ""})`,
        remedy: "choose another with --dir",
      });
    }
    writeFileSync(`${layout.versionFile}.tmp`, `${LAYOUT_VERSION}\n`);
    renameSync(`${layout.versionFile}.tmp`, layout.versionFile);
  }
  for (const directory of [layout.logs, layout.run, layout.management, layout.packs]) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }
}
