import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { EDGE_GROUPS } from "../../oracle/edge-groups.ts";

const ROOT = join(import.meta.dirname, "../../..");
const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");
const LINE = /^\| (?<claim>.+?) \| `(?<file>[^`]+)` > (?<title>.+) \|$/;

const lines = read("docs/permission-proof.md")
  .split("\n")
  .flatMap((line) => {
    const { claim, file, title } = LINE.exec(line)?.groups ?? {};
    return claim === undefined || file === undefined || title === undefined ? [] : [{ claim, file, title }];
  });
/** About admission webhooks and delivery gates (permissions §13, §14). */
const ELSEWHERE = new Set(["W20", "W26"]);
const numbered = (prefix: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, at) => `${prefix}${at + 1}`);

describe("docs/permission-proof.md", () => {
  it.each(lines)("$claim: $file has a test that begins so", ({ file, title }) => {
    expect(read(file)).toContain(title);
  });

  it("names every weakness of permissions §18 and every invariant of §15", () => {
    const named = new Set(lines.map(({ claim }) => claim.split(" ")[0]));
    const wanted = [...numbered("W", 28).filter((name) => !ELSEWHERE.has(name)), ...numbered("", 15)];
    expect(wanted.filter((name) => !named.has(name))).toEqual([]);
  });

  it("all 24 groups of permissions §16 have cases or a test of their own", () => {
    const properties = read("test/integration/permissions/edge-groups.test.ts");
    const present = numbered("", 24).filter((number) => {
      const group = EDGE_GROUPS.find((each) => String(each.number) === number);
      return (group?.cases.length ?? 0) > 0 || properties.includes(`"§16.${number} `);
    });
    expect(present).toEqual(numbered("", 24));
  });
});
