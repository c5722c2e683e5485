import { type FileHandle, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemRandom } from "../base/random.ts";

/** Mode of files that hold a private key: the owner reads and writes, nobody else. */
export const PRIVATE_FILE_MODE = 0o600;
/** Mode of files that anyone may read. */
export const PUBLIC_FILE_MODE = 0o644;
/** Mode of folders that hold private keys. */
export const PRIVATE_DIRECTORY_MODE = 0o700;

/**
 * Replaces a file so that a crash at any moment leaves either the old or the new content: temporary file in the same folder, fsync,
 * rename, fsync of the folder. Missing folders are created. The mode holds from the first byte on, whatever the umask.
 */
export async function writeFileDurably(path: string, data: Uint8Array | string, mode: number): Promise<void> {
  const directory = dirname(path);
  const directoryMode = mode === PRIVATE_FILE_MODE ? PRIVATE_DIRECTORY_MODE : 0o755;
  await mkdir(directory, { recursive: true, mode: directoryMode });
  const temporary = join(directory, `.${Buffer.from(systemRandom.bytes(8)).toString("hex")}.tmp`);
  let handle: FileHandle | undefined;
  try {
    handle = await open(temporary, "wx", mode);
    await handle.chmod(mode);
    await handle.writeFile(data);
    await handle.sync();
    await handle.close();
    handle = undefined;
    await rename(temporary, path);
  } catch (error) {
    await handle?.close();
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}

/** Makes a rename or removal in `directory` durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Content of a file, or undefined when it does not exist; any other failure is thrown. */
export async function readFileIfPresent(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
