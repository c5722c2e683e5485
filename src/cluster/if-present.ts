import { isStatus } from "./api-status-error.ts";

/** Resolves with undefined when the object does not exist; any other failure stays one. */
export async function ifPresent<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (isStatus(error, "NotFound")) return undefined;
    throw error;
  }
}
