import { existsSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import type { PodObject } from "../../../../api/builtin.ts";
import type { Clock } from "../../../../base/clock.ts";
import type { ContainerLog, LogLine, PodLogs } from "../../../pod-logs.ts";
import { PodFolder } from "./pod-folder.ts";
import { restartCount } from "./pod-status.ts";

/** How often a followed log is looked at for more. */
const FOLLOW_INTERVAL_MS = 200;
const READ_BYTES = 256 * 1024;

/** The logs of pods that were run as processes, from their folders below that of the cluster. */
export function podLogFiles(directory: string, clock: Clock): PodLogs {
  return {
    open: async (pod, _container, previous): Promise<ContainerLog | undefined> => {
      const run = restartCount(pod as unknown as PodObject) - (previous ? 1 : 0);
      const folder = new PodFolder(directory, pod.metadata.uid ?? "");
      if (run < 0 || !existsSync(folder.log(run))) return undefined;
      const file = new LogFile(folder.log(run));
      const lines = await file.all();
      const ended = (): boolean => existsSync(folder.exit(run)) || !existsSync(folder.path);
      return { lines, follow: (signal) => followed(file, ended, clock, signal) };
    },
  };
}

async function* followed(
  file: LogFile,
  ended: () => boolean,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  for (;;) {
    const over = ended(); // before the last look: what was written until then is in it
    yield* await file.more();
    if (over || signal.aborted) return;
    try {
      await clock.sleep(FOLLOW_INTERVAL_MS, signal);
    } catch {
      return; // nobody reads any more
    }
  }
}

/** One log with the older half that was put aside; reads on where it stopped, also over a change of files. */
class LogFile {
  readonly #file: string;
  readonly #parser = new LineParser();
  #offset = 0;
  #inode = 0;

  constructor(file: string) {
    this.#file = file;
  }

  async all(): Promise<readonly LogLine[]> {
    const older = `${this.#file}.old`;
    const lines = existsSync(older) ? new LineParser().take(await readFile(older, "utf8")) : [];
    return [...lines, ...(await this.more())];
  }

  async more(): Promise<readonly LogLine[]> {
    if (!existsSync(this.#file)) return [];
    const lines: LogLine[] = [];
    const handle = await open(this.#file);
    try {
      const { ino } = await handle.stat();
      if (this.#inode !== 0 && ino !== this.#inode) {
        lines.push(...(await this.#rest()));
        this.#offset = 0;
      }
      this.#inode = ino;
      const buffer = Buffer.alloc(READ_BYTES);
      for (;;) {
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, this.#offset);
        if (bytesRead === 0) return lines;
        // Whole lines only: the rest is read again with what follows it.
        const end = buffer.subarray(0, bytesRead).lastIndexOf(10) + 1;
        if (end === 0) return lines;
        this.#offset += end;
        for (const line of this.#parser.take(buffer.toString("utf8", 0, end))) lines.push(line);
      }
    } finally {
      await handle.close();
    }
  }

  /** What was still to be read of the file that has been put aside. */
  async #rest(): Promise<readonly LogLine[]> {
    const older = `${this.#file}.old`;
    if (!existsSync(older)) return [];
    const bytes = await readFile(older);
    return this.#parser.take(bytes.toString("utf8", this.#offset));
  }
}

/** Reads `time stream F|P text`; parts of one line are put together again. */
class LineParser {
  #partial: LogLine | undefined;

  take(text: string): readonly LogLine[] {
    const lines: LogLine[] = [];
    for (const line of text.split("\n")) {
      const parts = /^(?<time>\S+) (?:stdout|stderr) (?<tag>[FP]) (?<text>.*)$/s.exec(line)?.groups;
      if (!parts) continue;
      const whole: LogLine = {
        atMs: this.#partial?.atMs ?? Date.parse(parts["time"] ?? ""),
        text: (this.#partial?.text ?? "") + (parts["text"] ?? ""),
      };
      this.#partial = parts["tag"] === "P" ? whole : undefined;
      if (parts["tag"] === "F") lines.push(whole);
    }
    return lines;
  }
}
