import type { RunnerProgram } from "../cluster/embedded/jobs/runner/runner-program.ts";

/** Programs that Jobs of an embedded cluster run without containers: one entry for each subcommand of ours that is made for it. */
export const JOB_PROGRAMS: readonly RunnerProgram[] = [];
