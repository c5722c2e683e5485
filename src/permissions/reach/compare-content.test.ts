import { describe, expect, it } from "vitest";
import { type ScanOutcome, scanDecision } from "../../../test/oracle/permission-scan.ts";
import { ALPHABET, WORLD_NOW_MS, randomWorld, ruleSetOf } from "../../../test/oracle/permission-worlds.ts";
import { SeededRandom } from "../../base/random.ts";
import type { AccessRequest } from "../rules/access-request.ts";
import { type SubjectName, principalRefOf } from "../rules/principal.ts";
import { ruleOf } from "../rules/rule.ts";
import type { SnapshotContent } from "../snapshot/content.ts";
import { compareContents, isUnchanged } from "./compare-content.ts";
import { subjectText } from "./subject-reach.ts";

const WORLDS = 25;

function* requests(): Generator<AccessRequest> {
  for (const verb of ["get", "create", "*", "fresh"]) {
    for (const path of ["", "/api/", "fresh", ...ALPHABET.paths]) yield { form: "path", verb, path };
    for (const apiGroup of [...ALPHABET.groups, "fresh"])
      for (const resource of [...ALPHABET.resources, "fresh"])
        for (const subresource of ["", "log", "fresh"])
          for (const name of ["", "a", "fresh"])
            for (const namespace of ["", "default", "fresh"])
              yield { form: "resource", verb, apiGroup, resource, subresource, name, namespace };
  }
}
const REQUESTS = [...requests()];

/** What the snapshot says of one subject alone. */
function ask(content: SnapshotContent, subject: SubjectName, request: AccessRequest): ScanOutcome {
  const group = subject.kind === "Group";
  const own = content.subjects.filter(({ kind, namespace, name }) =>
    [kind, namespace, name].every((part, i) => part === [subject.kind, subject.namespace, subject.name][i]),
  );
  const user = group ? "\0nobody" : principalRefOf(subject);
  return scanDecision({ ...content, subjects: own }, user, group ? [subject.name] : [], request, WORLD_NOW_MS);
}

function allowed(content: SnapshotContent, subject: SubjectName, request: AccessRequest): boolean {
  return ask(content, subject, request) === "allowed";
}

describe("compareContents", () => {
  it("names every subject whose decisions differ, and says gains and losses as the naive scan finds them", () => {
    let differing = 0;
    const unsaid: string[] = [];
    for (let seed = 0; seed < WORLDS; seed++) {
      const before = randomWorld(new SeededRandom(2 * seed));
      const after = randomWorld(new SeededRandom(2 * seed + 1));
      const said = new Set(
        compareContents(before, after, WORLD_NOW_MS)
          .subjects.filter(({ when }) => when === "now")
          .map(({ subject, change }) => `${change} ${subjectText(subject)}`),
      );
      for (const subject of [...before.subjects, ...after.subjects])
        for (const [change, from, to] of [
          ["gains", before, after],
          ["loses", after, before],
        ] as const) {
          // A small set of requests cannot show every difference; whatever it shows must be said.
          if (!REQUESTS.some((request) => allowed(to, subject, request) && !allowed(from, subject, request))) continue;
          differing++;
          const text = `${change} ${subjectText(subject)}`;
          if (!said.has(text)) unsaid.push(`seed ${seed}: ${text}`);
        }
    }
    expect(unsaid).toEqual([]);
    expect(differing).toBeGreaterThan(50);
  });

  it("is silent about equal contents in another order", () => {
    for (let seed = 0; seed < 30; seed++) {
      const content = randomWorld(new SeededRandom(seed));
      const shuffled = structuredClone(content);
      for (const list of [shuffled.subjects, ...shuffled.subjects.map(({ bindings }) => bindings)])
        (list as unknown[]).reverse();
      expect(isUnchanged(compareContents(content, shuffled, WORLD_NOW_MS))).toBe(true);
    }
  });

  const pods = ruleSetOf([ruleOf({ verbs: ["get"], apiGroups: [""], resources: ["pods"] })]);
  const world = (expiresAt: string, suspended: readonly string[] = []): SnapshotContent => ({
    ...randomWorld(new SeededRandom(1)),
    ruleSets: [pods],
    subjects: [
      {
        kind: "User",
        namespace: "",
        name: "ada",
        principalRef: "ada",
        bindings: [
          {
            ruleSet: pods.id,
            scope: "cluster",
            namespaces: [],
            expiresAt,
            source: { profileNamespace: "n", profileName: "p", declaration: 0, permissionSet: "s", policy: "q" },
          },
        ],
      },
    ],
    suspendedPrincipals: suspended,
  });
  const later = new Date(WORLD_NOW_MS + 60_000).toISOString();
  const changed = (before: SnapshotContent, after: SnapshotContent) =>
    compareContents(before, after, WORLD_NOW_MS).subjects.map(({ change, when }) => `${change} ${when}`);

  it("tells a grant that gets an end, one that loses it, and one that has ended", () => {
    expect(changed(world(""), world(later))).toEqual(["loses end of time-bound grants"]);
    expect(changed(world(later), world(""))).toEqual(["gains end of time-bound grants"]);
    const ended = new Date(WORLD_NOW_MS).toISOString();
    expect(changed(world(""), world(ended))).toEqual(["loses now"]);
    expect(changed(world(ended), world(later))).toEqual(["gains now"]);
  });

  it("a suspended principal loses everything, by name", () => {
    const changes = compareContents(world(""), world("", ["ada"]), WORLD_NOW_MS);
    expect(changes.suspended).toEqual(["ada"]);
    expect(changes.subjects.map(({ change, when }) => `${change} ${when}`)).toEqual(["loses now"]);
    expect(compareContents(world("", ["ada"]), world(""), WORLD_NOW_MS).resumed).toEqual(["ada"]);
  });
});
