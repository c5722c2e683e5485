import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { serveTestApi, type TestApi } from "../support/served-api.ts";
import { Widget, widgetCrd } from "../support/widget.ts";

/** One kubectl command at most. */
const COMMAND_TIMEOUT_MS = 20_000;

const kubectl = findKubectl();
if (kubectl === undefined) process.stderr.write("kubectl tests are skipped: there is no kubectl on this machine\n");

function findKubectl(): string | undefined {
  const candidates = [process.env["TEST_ASSET_KUBECTL"], "kubectl"].filter((each) => each !== undefined);
  return candidates.find((each) => {
    try {
      execFileSync(each, ["version", "--client"], { stdio: "ignore" });
      return true;
    } catch {
      return false; // not there
    }
  });
}

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

let api: TestApi;

function environment(): NodeJS.ProcessEnv {
  // Discovery caches of another cluster on the same port must not be met.
  return { ...process.env, KUBECONFIG: api.kubeconfig, KUBECACHEDIR: join(api.directory, "kube-cache") };
}

function run(args: readonly string[], input?: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      kubectl ?? "kubectl",
      args,
      { env: environment(), timeout: COMMAND_TIMEOUT_MS },
      (error, out, err) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ code, out, err: err.replaceAll(/^WARNING: version difference.*\n/gm, "") });
      },
    );
    child.stdin?.end(input);
  });
}

/** Runs a command that must succeed. */
async function ok(args: string, input?: string): Promise<string> {
  const outcome = await run(args.split(" "), input);
  expect(outcome, `kubectl ${args}`).toMatchObject({ code: 0 });
  return outcome.out;
}

/** Cells of a table that kubectl printed: at least two spaces part columns. */
function table(text: string): readonly (readonly string[])[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => line.trimEnd().split(/ {2,}/));
}

const widget = (name: string, spec: object): string =>
  stringify({ apiVersion: "example.com/v1", kind: "Widget", metadata: { name, labels: { app: "shop" } }, spec });

describe.skipIf(kubectl === undefined)("kubectl", () => {
  beforeAll(async () => {
    api = await serveTestApi();
    await ok("apply -f -", stringify(widgetCrd));
  });
  afterAll(() => api.close());

  it("finds kinds, versions and documentation", async () => {
    expect(await ok("api-resources --no-headers --api-group=example.com")).toMatch(
      /^widgets +wd +example\.com\/v1 +true +Widget\n$/,
    );
    expect((await ok("api-versions")).split("\n")).toEqual(expect.arrayContaining(["v1", "apps/v1", "example.com/v1"]));
    const size = await ok("explain widget.spec.size");
    expect(size).toContain("FIELD: size <integer>");
    expect(size).toContain("How big it is.");
    expect(await ok("explain deployment.spec.template.spec")).toMatch(/containers\t<\[\]Container>/);
    expect(await ok("version -o json")).toContain('"gitVersion": "v1.36.0+seam"');
    expect(await ok("get --raw /readyz")).toBe("ok");
  });

  it("applies, client side and server side, and finds conflicts", async () => {
    expect(await ok("apply -f -", widget("applied", { size: 3 }))).toBe("widget.example.com/applied created\n");
    expect(await ok("apply -f -", widget("applied", { size: 3 }))).toBe("widget.example.com/applied unchanged\n");
    expect(await ok("apply -f -", widget("applied", { size: 4 }))).toBe("widget.example.com/applied configured\n");
    const serverSide = "apply --server-side --field-manager";
    expect(await ok(`${serverSide}=first -f -`, widget("ssa", { size: 1 }))).toBe(
      "widget.example.com/ssa serverside-applied\n",
    );
    const conflict = await run(`${serverSide}=second -f -`.split(" "), widget("ssa", { size: 2 }));
    expect(conflict.code).toBe(1);
    expect(conflict.err).toContain('Apply failed with 1 conflict: conflict with "first": .spec.size');
    await ok(`${serverSide}=second --force-conflicts -f -`, widget("ssa", { size: 2 }));
    expect(await ok("get wd ssa -o jsonpath={.spec.size}")).toBe("2");
  });

  it("refuses what the schema does not allow, in Kubernetes' words", async () => {
    const unknown = await run(["apply", "-f", "-"], widget("bad", { size: 1, bogus: true }));
    expect(unknown).toMatchObject({ code: 1 });
    expect(unknown.err).toContain('strict decoding error: unknown field "spec.bogus"');
    const warned = await run(["apply", "--validate=warn", "-f", "-"], widget("bad", { size: 0, bogus: true }));
    expect(warned.err).toContain('Warning: unknown field "spec.bogus"\nThe Widget "bad" is invalid: spec.size');
    const small = await run(["apply", "-f", "-"], widget("bad", { size: 0 }));
    expect(small.err).toBe(
      'The Widget "bad" is invalid: spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1\n',
    );
    const missing = await run(["get", "wd", "nobody"]);
    expect(missing).toEqual({
      code: 1,
      out: "",
      err: 'Error from server (NotFound): widgets.example.com "nobody" not found\n',
    });
  });

  it("shows tables, wide tables, all namespaces and selections", async () => {
    await ok("apply -f -", widget("shown", { size: 7, color: "red" }));
    expect(table(await ok("get wd shown"))).toEqual([
      ["NAME", "SIZE", "READY"],
      ["shown", "7"],
    ]);
    expect(table(await ok("get wd shown -o wide"))[0]).toEqual(["NAME", "SIZE", "READY", "COLOR"]);
    expect(table(await ok("get wd -A --field-selector metadata.name=shown"))[1]).toEqual(["default", "shown", "7"]);
    expect(await ok("get wd -l app=none -o name")).toBe("");
    expect(await ok("get wd -l app=shop --field-selector metadata.name=shown -o name")).toBe(
      "widget.example.com/shown\n",
    );
    expect(JSON.parse(await ok("get wd shown -o json"))).toMatchObject({ spec: { size: 7 } });
    expect(await ok("describe wd shown")).toMatch(/^Name: +shown\n/);
  });

  it("lists in chunks", async () => {
    for (const name of ["chunk-1", "chunk-2", "chunk-3"]) await ok(`create configmap ${name} --from-literal=a=b`);
    await ok("label configmap chunk-1 chunk-2 chunk-3 chunked=yes");
    const names = await ok("get configmap -l chunked=yes --chunk-size=1 -o name");
    expect(names).toBe("configmap/chunk-1\nconfigmap/chunk-2\nconfigmap/chunk-3\n");
  });

  it("creates built-in kinds by its generators", async () => {
    await ok("create namespace shop");
    expect(table(await ok("get namespace shop"))[1]?.slice(0, 2)).toEqual(["shop", "Active"]);
    await ok("create secret generic token -n shop --from-literal=key=value");
    expect(await ok("get secret token -n shop -o jsonpath={.data.key}")).toBe(Buffer.from("value").toString("base64"));
    await ok("create deployment web -n shop --image=web:1 --replicas=2");
    expect(table(await ok("get deployment web -n shop"))[1]?.slice(0, 4)).toEqual(["web", "0/2", "0", "0"]);
    await ok("scale deployment web -n shop --replicas=5");
    expect(await ok("get deployment web -n shop -o jsonpath={.spec.replicas}")).toBe("5");
    await ok("create role reader -n shop --verb=get,list --resource=pods");
    expect(JSON.parse(await ok("get role reader -n shop -o json"))).toMatchObject({
      rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get", "list"] }],
    });
    await ok("create job once -n shop --image=job:1");
    expect(table(await ok("get job once -n shop"))[1]?.slice(0, 3)).toEqual(["once", "Running", "0/1"]);
  });

  it("patches, labels, annotates and edits", async () => {
    await ok("apply -f -", widget("changed", { size: 1 }));
    await ok('patch wd changed --type=merge -p {"spec":{"size":2}}');
    await ok('patch wd changed --type=json -p [{"op":"replace","path":"/spec/color","value":"green"}]');
    await ok(
      'patch wd changed --subresource=status --type=merge -p {"status":{"conditions":[{"type":"Ready","status":"True"}]}}',
    );
    await ok("label wd changed tier=gold");
    await ok("annotate wd changed note=hello");
    const editor = join(api.directory, "editor.sh");
    await writeFile(editor, '#!/bin/sh\nsed -i s/green/yellow/ "$1"\n', { mode: 0o755 });
    const edited = await new Promise<string>((resolve, reject) => {
      execFile(
        kubectl ?? "kubectl",
        ["edit", "wd", "changed"],
        { env: { ...environment(), KUBE_EDITOR: editor }, timeout: COMMAND_TIMEOUT_MS },
        (error, out) => (error === null ? resolve(out) : reject(error)),
      );
    });
    expect(edited).toBe("widget.example.com/changed edited\n");
    expect(await api.cluster.get(Widget, { namespace: "default", name: "changed" })).toMatchObject({
      metadata: { labels: { app: "shop", tier: "gold" }, annotations: { note: "hello" } },
      spec: { size: 2, color: "yellow" },
      status: { conditions: [{ type: "Ready", status: "True" }] },
    });
    expect(await ok("wait --for=condition=Ready wd/changed --timeout=5s")).toBe(
      "widget.example.com/changed condition met\n",
    );
  });

  it("watches as a table", async () => {
    const child: ChildProcess = spawn(kubectl ?? "kubectl", ["get", "configmap", "-l", "watched=yes", "-w"], {
      env: environment(),
      stdio: ["ignore", "pipe", "ignore"],
    });
    try {
      const lines = createInterface({ input: child.stdout ?? process.stdin })[Symbol.asyncIterator]();
      const next = async (): Promise<readonly string[]> =>
        (table(String((await lines.next()).value))[0] ?? []).slice(0, 2);
      await ok("create configmap watched --from-literal=a=1");
      await ok("label configmap watched watched=yes");
      expect(await next()).toEqual(["NAME", "DATA"]);
      expect(await next()).toEqual(["watched", "1"]);
      await ok('patch configmap watched --type=merge -p {"data":{"b":"2"}}');
      expect(await next()).toEqual(["watched", "2"]);
    } finally {
      child.kill();
    }
  });

  it("deletes, by itself, by selection and with its dependents", async () => {
    await ok("apply -f -", widget("gone", { size: 1 }));
    expect(await ok("delete wd gone --wait --dry-run=server")).toContain("(server dry run)");
    expect(await ok("delete wd gone --wait")).toMatch(/^widget\.example\.com "gone" deleted/);
    await ok("create configmap one --from-literal=a=b");
    await ok("label configmap one doomed=yes");
    await ok("delete configmap -l doomed=yes");
    expect(await ok("get configmap -l doomed=yes -o name")).toBe("");
    await ok("create deployment temporary --image=x");
    await ok("delete deployment temporary --cascade=foreground --wait");
  });

  it("makes tokens of service accounts and acts as others", async () => {
    await ok("create serviceaccount robot");
    await ok("create role podreader --verb=get,list --resource=pods");
    await ok("create rolebinding robots --role=podreader --serviceaccount=default:robot");
    const token = (await ok("create token robot --duration=15m")).trim();
    expect(token.split(".")).toHaveLength(3);
    const robot = "system:serviceaccount:default:robot";
    expect(await ok(`auth can-i list pods --as=${robot}`)).toBe("yes\n");
    const listed = await ok(`auth can-i --list --as=${robot}`);
    expect(listed).toMatch(/^pods +\[\] +\[\] +\[get list\]$/m);
    expect(listed).toMatch(/^selfsubjectreviews\.authentication\.k8s\.io +\[\] +\[\] +\[create\]$/m);
    expect(await ok(`--as=${robot} auth whoami -o jsonpath={.status.userInfo.username}`)).toBe(robot);
  });

  it("answers for the user of the context", async () => {
    expect(await ok("auth can-i create pods")).toBe("yes\n");
    expect(await run("--context bob auth can-i create pods".split(" "))).toMatchObject({ code: 1, out: "no\n" });
    expect(await ok("--context bob auth whoami -o jsonpath={.status.userInfo.username}")).toBe("bob");
    const refused = await run("--context bob get pods".split(" "));
    expect(refused.err).toBe(
      'Error from server (Forbidden): pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default"\n',
    );
  });
});
