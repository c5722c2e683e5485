import { readFileSync } from "node:fs";

/** What tells a process from another one that gets its number later. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

/** Start time of a process in clock ticks since boot, with the boot's id; undefined when it is gone. Linux; elsewhere the number alone. */
function startTimeOf(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
  } catch {
    return undefined;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z") return undefined;
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${fields[19] ?? ""}`;
  } catch {
    return "unknown";
  }
}

/** Who the process with this number is now. */
export function identityOf(pid: number): ProcessIdentity {
  return { pid, startTime: startTimeOf(pid) ?? "" };
}

/** Reads an identity; undefined when there is none. */
export function readIdentity(file: string): ProcessIdentity | undefined {
  try {
    const value = JSON.parse(readFileSync(file, "utf8")) as Partial<ProcessIdentity>;
    return typeof value.pid === "number" ? { pid: value.pid, startTime: value.startTime ?? "" } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether this very process still runs. */
export function isAlive({ pid, startTime }: ProcessIdentity): boolean {
  return startTimeOf(pid) === startTime;
}
