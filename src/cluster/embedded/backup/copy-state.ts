import { SeamError } from "../../../base/errors.ts";
import { RevisionDatabase } from "../store/database.ts";
import { MAX_STATE_BYTES } from "../store/object-store.ts";
import { explainFailure } from "../store/store-failure.ts";

/**
 * Backs up a cluster that does not run, straight from its directory, into `file`, which must not exist.
 *
 * @throws SeamError `AlreadyOpen` when it does run, `NotWritable`, `DiskFull`, `Corrupt`
 */
export async function copyState(directory: string, file: string): Promise<void> {
  try {
    const database = new RevisionDatabase(directory, MAX_STATE_BYTES);
    try {
      await database.backup(file);
    } finally {
      database.close();
    }
  } catch (error) {
    const { reason, expected, remedy } = explainFailure(error, directory);
    throw new SeamError({ reason, object: `cluster directory ${directory}`, expected, remedy }, { cause: error });
  }
}
