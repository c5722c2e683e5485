import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { integerBetween, type Random } from "../../src/base/random.ts";
import { openState } from "../../src/cluster/embedded/backup/state-file.ts";
import { verifyState } from "../../src/cluster/embedded/backup/verify-state.ts";
import { isPresent, stepBody } from "./crash-model.ts";

const WRITER = fileURLToPath(new URL("./crash-writer.ts", import.meta.url));
const KEYS = 12;
/** A writer is killed after so many lines at most, or so many milliseconds after it was started. */
const MAX_LINES = 200;
const MAX_STARTUP_MS = 400;

/** What a run of crashes saw. */
export interface CrashReport {
  readonly kills: number;
  /** Kills before the first write was answered. */
  readonly early: number;
  readonly answered: number;
  /** Empty when every answered write was there each time, and nothing else. */
  readonly problems: readonly string[];
}

interface Progress {
  /** Last step that was answered, and last that was begun. */
  answered: number;
  begun: number;
}

/** Kills writers of one cluster directory one after another at random points and checks after each what is stored. */
export async function runCrashes(
  directory: string,
  options: { readonly kills: number; readonly random: Random; readonly compileCache: string },
): Promise<CrashReport> {
  const { kills } = options;
  const keys = Array.from({ length: KEYS }, (): Progress => ({ answered: 0, begun: 0 }));
  const problems: string[] = [];
  let highest = 0;
  let answered = 0;
  let early = 0;
  for (let kill = 0; kill < kills && problems.length === 0; kill++) {
    const before = highest;
    let lines = 0;
    for (const line of await crash(directory, kill, keys, options)) {
      const [sign, key = "", step = "0", version = "0"] = line.split(" ");
      const progress = keys[Number(key.slice("key-".length))];
      if (!progress) throw new Error(`the writer said ${line}`);
      if (sign === ">") progress.begun = Number(step);
      else {
        progress.answered = Number(step);
        answered++;
        lines++;
        if (Number(version) !== 0 && Number(version) <= before) problems.push(`kill ${kill}: version ${version} twice`);
        highest = Math.max(highest, Number(version));
      }
    }
    if (lines === 0) early++;
    problems.push(...check(directory, keys, highest).map((problem) => `kill ${kill}: ${problem}`));
  }
  return { kills, early, answered, problems };
}

/** Starts a writer, kills it at a random point and returns what it said. */
async function crash(
  directory: string,
  kill: number,
  keys: readonly Progress[],
  { random, compileCache }: { readonly random: Random; readonly compileCache: string },
): Promise<readonly string[]> {
  const steps = keys.map((progress) => String(progress.answered + 1));
  const child = spawn(process.execPath, [WRITER, directory, String(kill), ...steps], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache },
  });
  const said: string[] = [];
  const reader = createInterface({ input: child.stdout });
  const atLine = random.next() < 0.8 ? integerBetween(random, 1, MAX_LINES) : undefined;
  reader.on("line", (line) => {
    said.push(line);
    if (said.length === atLine) child.kill("SIGKILL");
  });
  const exited = once(child, "exit");
  const closed = once(reader, "close");
  if (atLine === undefined) {
    // The moment itself is what is random here: in the middle of opening, of recovery, of the first writes.
    setTimeout(() => child.kill("SIGKILL"), integerBetween(random, 20, MAX_STARTUP_MS));
  }
  const [[code, signal]] = await Promise.all([exited, closed]);
  if (signal !== "SIGKILL") throw new Error(`the writer ended by itself with ${String(code ?? signal)}`);
  return said;
}

/** Compares what is stored with what was answered; what was only begun may be there or not, and is what the next writer goes on from. */
function check(directory: string, keys: readonly Progress[], highest: number): readonly string[] {
  let version: number;
  const problems: string[] = [];
  const stored = new Map<string, string>();
  try {
    const state = verifyState(directory);
    problems.push(...state.problems);
    ({ version } = state);
    readStored(directory, stored);
  } catch (error) {
    // Killed before there was a database at all.
    if (keys.every((progress) => progress.answered === 0)) return [];
    throw error;
  }
  if (version < highest) problems.push(`the state is at version ${version}, but ${highest} was answered`);
  keys.forEach((progress, index) => {
    const key = `key-${index}`;
    const body = stored.get(key);
    const candidates: number[] = [];
    for (let step = progress.answered; step <= progress.begun; step++) candidates.push(step);
    const found = candidates.find((step) => matches(body, key, step));
    if (found === undefined) {
      problems.push(`${key} should be at step ${progress.answered} to ${progress.begun}, but is ${body ?? "missing"}`);
      return;
    }
    progress.answered = found;
    progress.begun = found;
  });
  return problems;
}

function readStored(directory: string, stored: Map<string, string>): void {
  const state = openState(directory);
  try {
    for (const chunk of state.revisions()) {
      for (const { collection, name, deleted, body } of chunk) {
        if (collection !== "/configmaps" || !name.startsWith("key-")) continue;
        if (deleted) stored.delete(name);
        else stored.set(name, body);
      }
    }
  } finally {
    state.close();
  }
}

function matches(body: string | undefined, key: string, step: number): boolean {
  if (body === undefined) return !isPresent(step);
  if (!isPresent(step)) return false;
  const { metadata, data } = stepBody(key, step);
  const object = JSON.parse(body) as { readonly metadata: { readonly labels?: object }; readonly data?: object };
  return isDeepStrictEqual(object.metadata.labels, metadata.labels) && isDeepStrictEqual(object.data, data);
}
