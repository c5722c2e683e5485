import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { HubDriver } from "../../../../test/transcript/hub-driver.ts";
import { runTranscript } from "../../../../test/transcript/script.ts";

const SUFFIX = ".transcript.txt";

/** Each transcript is a story with its outcome; `vitest -u` writes the outcome anew, and the difference is read by a person. */
describe("hub session", () => {
  for (const file of readdirSync(import.meta.dirname).filter((name) => name.endsWith(SUFFIX)))
    it(file.slice(0, -SUFFIX.length), async () => {
      const path = join(import.meta.dirname, file);
      const outcome = runTranscript(readFileSync(path, "utf8"), new HubDriver());
      await expect(outcome).toMatchFileSnapshot(path);
    });
});
