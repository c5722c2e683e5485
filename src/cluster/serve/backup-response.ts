import { createReadStream } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { SeamError } from "../../base/errors.ts";
import { ApiStatusError } from "../api-status-error.ts";
import type { Exchange } from "./exchange.ts";
import type { ServedCluster } from "./served-cluster.ts";

/** Path of the whole state of the cluster as one file. Only who may `get` this path gets it: it holds every Secret. */
export const BACKUP_PATH = "/backup";
/** The copy while it is sent; one that a killed process left is replaced by the next. */
const BACKUP_FILE = "backup.sending";

/** Sends a consistent copy of the cluster's state, made while writes go on. One at a time. @throws ApiStatusError 409 */
export async function sendBackup(
  exchange: Exchange,
  { cluster, clock }: { readonly cluster: ServedCluster; readonly clock: Clock },
  signal: AbortSignal,
): Promise<void> {
  const file = join(cluster.directory, BACKUP_FILE);
  try {
    await rm(file, { force: true });
    await cluster.backup(file);
  } catch (error) {
    if (error instanceof SeamError) throw refusal(error);
    throw error;
  }
  const { size } = await stat(file);
  const content = createReadStream(file);
  // The open descriptor is enough: nothing is left behind however the sending ends.
  await new Promise<void>((resolve, reject) => content.once("open", () => resolve()).once("error", reject));
  await rm(file);
  const stream = exchange.stream("application/vnd.sqlite3", false, clock, signal, { "content-length": size });
  for await (const chunk of content as AsyncIterable<Uint8Array>) {
    const taken = stream.write(chunk);
    if (taken !== true && !(await taken)) return;
  }
  stream.end();
}

function refusal(error: SeamError): ApiStatusError {
  switch (error.reason) {
    case "BackupRunning":
      return new ApiStatusError(409, "Conflict", error.message, { retryAfterSeconds: 1 });
    case "DiskFull":
      return new ApiStatusError(507, "InsufficientStorage", error.message);
    default:
      return new ApiStatusError(500, "InternalError", `Internal error occurred: ${error.message}`);
  }
}
