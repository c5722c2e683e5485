import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findProgram } from "../support/find-program.ts";
import { type RunningCommand, freeOffset, meshUp } from "./run-seamctl.ts";

const run = promisify(execFile);
const project = fileURLToPath(new URL("../../", import.meta.url));
const offset = await freeOffset();
const place = mkdtempSync(join(tmpdir(), "seam-readme-"));

/** Shell blocks of the README below a heading. */
function blocks(heading: string): string {
  const text = readFileSync(join(project, "README.md"), "utf8");
  const [, section] = text.split(new RegExp(`^#+ ${heading}$`, "m"));
  const found = [...(section ?? "").split(/^#+ /m)[0]!.matchAll(/^```sh\n(.*?)^```/gms)].map(
    ([, block]) => block ?? "",
  );
  return found.join("");
}

/** Commands of shell blocks: one a line, those that end in a backslash joined; assignments stay with all that follow them. */
function commands(text: string): readonly { readonly typed: string; readonly script: string }[] {
  let setting = "";
  const found: { typed: string; script: string }[] = [];
  for (const typed of text.replaceAll("\\\n", " ").split("\n")) {
    if (/^(export )?[A-Z0-9_]+=\S*$/.test(typed) || typed.startsWith("export ")) setting += `${typed}\n`;
    else if (typed.trim() !== "") found.push({ typed, script: setting + typed });
  }
  return found;
}

/** The documented ports, moved to where this mesh has them. */
function moved(script: string): string {
  return script.replaceAll(/127\.0\.0\.1:(\d+)/g, (_, port: string) => `127.0.0.1:${Number(port) + offset}`);
}

let up: RunningCommand;
beforeAll(async () => {
  // What is typed in a clone must work in a folder with the same parts and a mesh of its own in .seam.
  for (const part of ["node_modules", "examples", "package.json"]) symlinkSync(join(project, part), join(place, part));
  up = await meshUp(join(place, ".seam"), offset);
}, 150_000);
afterAll(async () => {
  await up.stop();
  rmSync(place, { recursive: true, force: true });
});

const sections = [
  { heading: "Look around", program: "npx" },
  { heading: "kubectl", program: "kubectl" },
  { heading: "grpcurl", program: "grpcurl" },
  { heading: "curl", program: "curl" },
] as const;

describe("README", () => {
  for (const { heading, program } of sections) {
    const all = commands(blocks(heading));
    it(`has lines to type under ${heading}`, () => expect(all.length).toBeGreaterThan(0));
    const found = program === "grpcurl" ? (process.env["GRPCURL"] ?? findProgram(program)) : findProgram(program);
    describe.skipIf(found === undefined)(`${heading}${found === undefined ? `: no ${program} here` : ""}`, () => {
      it.each(all.map((each) => [each.typed, each.script] as const))("$ %s", async (_, script) => {
        const own =
          program === "grpcurl" && found !== undefined ? `grpcurl() { ${JSON.stringify(found)} "$@"; }\n` : "";
        const result = await run("bash", ["-c", moved(own + script)], { cwd: place, timeout: 60_000 });
        // npm has words of its own about the settings of the person who runs it.
        expect(result.stderr.replaceAll(/^npm (warn|notice) .*\n/gm, "")).toBe("");
        expect(result.stdout).not.toBe("");
      });
    });
  }
});
