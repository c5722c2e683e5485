import { execFile, execFileSync, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { CustomResourceDefinition, Pod } from "../../src/api/builtin.ts";
import { serveTestApi, type TestApi } from "../support/served-api.ts";
import { widgetCrd } from "../support/widget.ts";

/** One kubectl command at most. */
const COMMAND_TIMEOUT_MS = 30_000;

/** Programs to try: `KUBECTLS` (a list as in PATH) names further versions, such as `.ci/real-parts kubectl@1.34.4` builds. */
const kubectls = (process.env["KUBECTLS"] ?? process.env["TEST_ASSET_KUBECTL"] ?? "kubectl").split(":").filter(runs);
if (kubectls.length === 0)
  process.stderr.write("kubectl commands are not tried: there is no kubectl on this machine\n");

function runs(program: string): boolean {
  try {
    execFileSync(program, ["version", "--client"], { stdio: "ignore" });
    return true;
  } catch {
    return false; // not there
  }
}

interface Step {
  /** Arguments, split at spaces. */
  readonly run: string;
  readonly input?: string;
  readonly code?: number;
  /** What standard output, or standard error of a failing command, looks like. */
  readonly says?: RegExp | string;
  readonly env?: Readonly<Record<string, string>>;
}

const widget = (name: string, spec: object): string =>
  stringify({ apiVersion: "example.com/v1", kind: "Widget", metadata: { name }, spec });
const configMap = (name: string, value: string, labels: object = {}): string =>
  stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels }, data: { key: value } });

/** Commands by what they are about; the steps of one entry follow each other. `{dir}` is a scratch folder. */
const COMMANDS: Readonly<Record<string, readonly Step[]>> = {
  "every output of get": [
    { run: "apply -f -", input: widget("out", { size: 7, color: "red" }) },
    { run: "get wd out", says: /^NAME +SIZE +READY\nout +7 *\n$/ },
    { run: "get wd out -o wide", says: /COLOR\nout +7 +red\n$/ },
    { run: "get wd out -o json", says: /"size": 7/ },
    { run: "get wd out -o yaml", says: /\n {2}size: 7\n/ },
    { run: "get wd out -o name", says: "widget.example.com/out\n" },
    { run: "get wd out -o jsonpath={.spec.color}", says: "red" },
    { run: "get wd out -o go-template={{.spec.size}}", says: "7" },
    { run: "get wd out -o custom-columns=N:.metadata.name,S:.spec.size", says: /^N +S\nout +7\n$/ },
    { run: "get wd out --show-labels --no-headers", says: /^out +7 +<none>\n$/ },
    { run: "get wd,configmaps -A --ignore-not-found -o name", says: /widget\.example\.com\/out/ },
    { run: "get wd --sort-by=.spec.size -o name", says: /out/ },
    { run: "get wd out --output-watch-events --watch-only --request-timeout=1s", says: "" },
  ],
  "explain, recursively too": [
    { run: "explain wd.spec --recursive", says: /color\t<string>[\s\S]*size\t<integer> -required-/ },
    { run: "explain pod.spec.containers --recursive", says: /livenessProbe\t<Probe>[\s\S]*httpGet/ },
  ],
  describe: [
    { run: "create deployment shown --image=i:1" },
    { run: "describe deployment shown", says: /Selector: +app=shown[\s\S]*Image: +i:1/ },
    { run: "describe namespace default", says: /Status: +Active/ },
    { run: "create secret generic hidden --from-literal=a=b" },
    { run: "describe secret hidden", says: /a: +1 bytes/ },
  ],
  diff: [
    { run: "apply -f -", input: configMap("diffed", "1") },
    { run: "diff -f -", input: configMap("diffed", "1"), says: "" },
    { run: "diff -f -", input: configMap("diffed", "2"), code: 1, says: "" },
    { run: "diff --server-side --force-conflicts -f -", input: configMap("diffed", "3"), code: 1, says: "" },
  ],
  "apply with prune by an applyset": [
    {
      run: "apply --prune --applyset=configmaps/set -n default -f -",
      input: `${configMap("kept", "1")}---\n${configMap("pruned", "1")}`,
      env: { KUBECTL_APPLYSET: "true" },
    },
    {
      run: "apply --prune --applyset=configmaps/set -n default -f -",
      input: configMap("kept", "1"),
      says: /configmap\/pruned pruned/,
      env: { KUBECTL_APPLYSET: "true" },
    },
    { run: "get configmap pruned", code: 1, says: /NotFound/ },
  ],
  replace: [
    { run: "create -f -", input: configMap("replaced", "1") },
    { run: "replace -f -", input: configMap("replaced", "2"), says: "configmap/replaced replaced\n" },
    { run: "replace --force -f -", input: configMap("replaced", "3"), says: /configmap\/replaced replaced\n$/ },
    { run: "get configmap replaced -o jsonpath={.data.key}", says: "3" },
    { run: "replace -f -", input: configMap("not-there", "1"), code: 1, says: /NotFound/ },
  ],
  "delete with every cascade": [
    { run: "create deployment one --image=i" },
    { run: "delete deployment one --cascade=background --wait", says: /"one" deleted/ },
    { run: "create deployment two --image=i" },
    { run: "delete deployment two --cascade=orphan --wait", says: /"two" deleted/ },
    { run: "create deployment three --image=i" },
    { run: "delete deployment three --cascade=foreground --wait", says: /"three" deleted/ },
    { run: "create configmap four" },
    { run: "delete configmap four --wait=false --now", says: /"four" deleted/ },
    { run: "wait --for=delete configmap/four --timeout=5s" },
  ],
  events: [
    {
      run: "create -f -",
      input: stringify({
        apiVersion: "v1",
        kind: "Event",
        metadata: { name: "e.1" },
        involvedObject: { apiVersion: "v1", kind: "ConfigMap", name: "e", namespace: "default" },
        reason: "Tested",
        message: "an event of a test",
        type: "Normal",
        lastTimestamp: "2026-01-02T03:04:05Z",
      }),
    },
    { run: "events", says: /Tested[\s\S]*an event of a test/ },
    { run: "events --for=configmap/e", says: /Tested/ },
    { run: "get events --field-selector=involvedObject.name=e -o name", says: "event/e.1\n" },
  ],
  "who may, who am I, tokens": [
    { run: "auth can-i create pods", says: "yes\n" },
    { run: "auth can-i --list", says: /^\*\.\* +\[\] +\[\] +\[\*\]$/m },
    { run: "auth whoami", says: /Username +admin/ },
    { run: "create serviceaccount robot" },
    { run: "create token robot", says: /^[\w-]+\.[\w-]+\.[\w-]+\n?$/ },
  ],
  "what is served": [
    { run: "api-resources -o name", says: /^widgets\.example\.com$/m },
    { run: "api-resources --verbs=list --namespaced --sort-by=kind", says: /widgets/ },
    { run: "api-versions", says: /^example\.com\/v1$/m },
    { run: "cluster-info", says: /control plane.*is running at/ },
    { run: "version -o json", says: /"gitVersion": "v1\.36\.0\+seam"/ },
    { run: "get --raw /readyz?verbose", says: /readyz check passed/ },
    { run: "get --raw /openapi/v3", says: /apis\/example\.com\/v1/ },
    { run: "get --raw /metrics", says: /^apiserver_request_total\{/m },
  ],
  "labels, annotations, patches": [
    { run: "create configmap marked" },
    { run: "label configmap marked a=b", says: "configmap/marked labeled\n" },
    { run: "label configmap marked a=c", code: 1, says: /already has a value/ },
    { run: "label configmap marked a=c --overwrite", says: "configmap/marked labeled\n" },
    { run: "annotate configmap marked n=o --field-manager=me", says: "configmap/marked annotated\n" },
    { run: 'patch configmap marked -p {"data":{"k":"v"}}', says: "configmap/marked patched\n" },
    { run: "get configmap marked -o jsonpath={.data.k}{.metadata.labels.a}", says: "vc" },
    { run: "label configmap marked a-", says: "configmap/marked unlabeled\n" },
  ],
  logs: [
    { run: "logs runner", says: "first\nsecond\n" },
    { run: "logs runner --tail=1 --timestamps", says: /^2026-01-01T00:00:00\.000Z second\n$/ },
    { run: "logs runner -f", says: "first\nsecond\nthird\n" },
    { run: "logs nobody", code: 1, says: /NotFound/ },
  ],
  "typing errors": [
    {
      run: "apply -f -",
      input: stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "typo" }, dota: {} }),
      code: 1,
      says: /unknown field "dota"/,
    },
    {
      run: "apply --server-side -f -",
      input: widget("typo", { size: 1, sise: 2 }),
      code: 1,
      says: /\.spec\.sise: field not declared in schema|unknown field "spec\.sise"/,
    },
  ],
};

for (const kubectl of kubectls)
  describe(`commands of ${basename(kubectl)}`, () => {
    let api: TestApi;
    const environment = (more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => ({
      ...process.env,
      KUBECONFIG: api.kubeconfig,
      KUBECACHEDIR: join(api.directory, "kube-cache"),
      ...more,
    });
    const run = ({ run: args, input, env }: Step): Promise<{ code: number; out: string; err: string }> =>
      new Promise((resolve) => {
        const child = execFile(
          kubectl,
          args.split(" "),
          { env: environment(env), timeout: COMMAND_TIMEOUT_MS },
          (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err }),
        );
        child.stdin?.end(input);
      });

    beforeAll(async () => {
      const atMs = Date.UTC(2026, 0, 1);
      const line = (text: string) => ({ atMs, text });
      api = await serveTestApi({
        podLogs: {
          open: async () => ({
            lines: [line("first"), line("second")],
            async *follow() {
              yield line("third");
            },
          }),
        },
      });
      await api.cluster.create(CustomResourceDefinition, widgetCrd);
      await api.cluster.create(Pod, {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "runner", namespace: "default" },
        spec: { containers: [{ name: "c", image: "i" }] },
      });
    });
    afterAll(() => api.close());

    for (const [title, steps] of Object.entries(COMMANDS))
      it(
        title,
        async () => {
          for (const step of steps) {
            const { code, out, err } = await run(step);
            const expected = step.code ?? 0;
            expect({ run: step.run, code, err: code === expected ? "" : err }).toEqual({
              run: step.run,
              code: expected,
              err: "",
            });
            const said = expected === 0 ? out : err;
            // No expectation, and the empty one of commands whose output is theirs to word, match everything.
            const says = step.says ?? "";
            expect(said).toMatch(
              says instanceof RegExp ? says : says === "" ? /^/ : new RegExp(`^${RegExp.escape(says)}$`),
            );
          }
        },
        120_000,
      );

    it("watches only what changes from now on", async () => {
      const child = spawn(kubectl, ["get", "wd", "--watch-only", "-o", "name"], {
        env: environment(),
        stdio: ["ignore", "pipe", "inherit"],
      });
      try {
        const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
        const first = lines.next();
        // Whatever comes before the watch stands is not shown, so it is told again until it is.
        const file = join(api.directory, "seen.yaml");
        let size = 1;
        const seen = { value: undefined as unknown };
        void first.then(({ value }) => (seen.value = value));
        while (seen.value === undefined) {
          await writeFile(file, widget("seen", { size: ++size }));
          await run({ run: `apply -f ${file}` });
        }
        expect(seen.value).toBe("widget.example.com/seen");
      } finally {
        child.kill();
      }
    });
  });
if (kubectls.length === 0)
  describe("commands of kubectl", () => {
    it("is skipped: no kubectl here (.ci/real-parts)", (context) => {
      context.skip();
    });
  });
