import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigMap } from "../../../src/api/builtin.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLog } from "../../../src/base/log.ts";
import { systemRandom } from "../../../src/base/random.ts";
import { httpCluster } from "../../../src/cluster/kubernetes/http-cluster.ts";
import { findProgram } from "../../support/find-program.ts";

const NAMESPACE = `seam-${process.pid}`;
const NEAR = `seam${process.pid % 100_000}n`;
const FAR = `seam${process.pid % 100_000}f`;
const NET = `10.231.${process.pid % 250}`;
const ip = findProgram("ip");

/** Why there can be no network namespace here; undefined when there can. */
function missing(): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "needs root on Linux";
  if (ip === undefined) return "needs the program ip (iproute2)";
  try {
    execFileSync(ip, ["netns", "add", `${NAMESPACE}-probe`], { stdio: "ignore" });
    execFileSync(ip, ["netns", "delete", `${NAMESPACE}-probe`], { stdio: "ignore" });
    return undefined;
  } catch {
    return "this machine allows no network namespaces"; // a container without the right
  }
}

const reason = missing();

describe.skipIf(reason !== undefined)(
  `a path that swallows everything${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    let child: ChildProcess;
    const run = (...args: readonly string[]): void => {
      execFileSync(ip ?? "ip", args, { stdio: "ignore" });
    };

    beforeAll(async () => {
      run("netns", "add", NAMESPACE);
      run("link", "add", NEAR, "type", "veth", "peer", "name", FAR, "netns", NAMESPACE);
      run("addr", "add", `${NET}.1/24`, "dev", NEAR);
      run("link", "set", NEAR, "up");
      run("-n", NAMESPACE, "addr", "add", `${NET}.2/24`, "dev", FAR);
      run("-n", NAMESPACE, "link", "set", FAR, "up");
      const file = join(import.meta.dirname, "silent-watch-child.ts");
      child = spawn(ip ?? "ip", ["netns", "exec", NAMESPACE, process.execPath, file, `${NET}.2`], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      if (child.stdout !== null) await once(child.stdout, "data");
    });
    afterAll(() => {
      child.kill("SIGKILL");
      run("link", "delete", NEAR);
      run("netns", "delete", NAMESPACE);
    });

    it("ends a watch whose peer is gone without a word, by TCP's own questions", async () => {
      const cluster = httpCluster({
        server: `http://${NET}.2:8080`,
        userAgent: "test",
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
      });
      const events = cluster.watch(ConfigMap, { namespace: "one", timeoutSeconds: 300 }, new AbortController().signal);
      const iterator = events[Symbol.asyncIterator]();
      expect((await iterator.next()).value).toMatchObject({ type: "ADDED" });
      run("-n", NAMESPACE, "link", "set", FAR, "down");
      await expect(iterator.next()).rejects.toThrow();
      await cluster.close();
    }, 40_000);
  },
);
