import { isStatus } from "../../../cluster/api-status-error.ts";
import { FactRefused } from "../ports.ts";

/**
 * Runs a write and turns the API server's final refusals into {@link FactRefused}: what fails its schema today fails it tomorrow, and
 * retrying would hold back every later acknowledgement. Anything else stays a failure that is tried again.
 */
export async function storing<T>(what: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (isStatus(error, "Invalid", "BadRequest", "RequestEntityTooLarge"))
      throw new FactRefused("INVALID", `${what}: ${error.message}`);
    throw error;
  }
}
