import type { WatchedRow } from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";

/** Most rows a caller may say it has: more than any fleet one hub serves. */
const MAX_HAVE = 100_000;

/**
 * What a caller of a watch has from an earlier stream: revisions by key. Nothing is remembered here between two streams, so any replica
 * resumes, and one that was started again too.
 *
 * @throws GrpcStatusError INVALID_ARGUMENT
 */
export function resumedFrom(have: readonly WatchedRow[]): ReadonlyMap<string, string> {
  if (have.length > MAX_HAVE)
    throw new GrpcStatusError(Status.INVALID_ARGUMENT, {
      reason: "TooManyRows",
      object: "watch request",
      field: "have",
      expected: `at most ${MAX_HAVE} rows`,
      remedy: "watch without it: everything comes first",
    });
  return new Map(have.map(({ key, revision }) => [key, revision]));
}
