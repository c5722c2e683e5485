import { expect, it } from "vitest";
import { LogDestination } from "./log-destination.ts";

/** A file on a disk with that much room. */
class Disk {
  text = "";
  room = 0;

  readonly write = (bytes: Uint8Array): number => {
    if (this.room === 0) throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    const written = Math.min(this.room, bytes.length);
    this.text += Buffer.from(bytes.subarray(0, written)).toString("utf8");
    this.room -= written;
    return written;
  };
}

it("gives up what cannot be written, and says how much that was", () => {
  const disk = new Disk();
  const log = new LogDestination(disk.write);
  disk.room = 14; // the second line is cut
  for (const line of ["first\n", "second line\n", "third\n", "fourth\n"]) log.write(line);
  disk.room = 1_000;
  for (const line of ["fifth\n", "sixth\n"]) log.write(line);
  expect(disk.text).toBe(
    'first\nsecond l\n{"level":40,"lost":3,"msg":"log lines could not be written"}\nfifth\nsixth\n',
  );
});

it("keeps count while not even that can be written", () => {
  const disk = new Disk();
  const log = new LogDestination(disk.write);
  for (let at = 0; at < 5; at++) log.write("lost\n");
  disk.room = 1_000;
  log.write("said\n");
  expect(disk.text).toBe('{"level":40,"lost":5,"msg":"log lines could not be written"}\nsaid\n');
});
