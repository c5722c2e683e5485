import { Script } from "node:vm";
import { afterEach, describe, expect, it } from "vitest";
import { silentLog } from "../../base/log.ts";
import { createPrometheusMetrics } from "../metrics/prometheus-metrics.ts";
import { startTenantOps } from "../start-tenant-ops.ts";
import { STATUS_SCRIPT } from "./status-script.ts";

let stop = new AbortController();
afterEach(() => {
  stop.abort();
  stop = new AbortController();
});

const start = (port: number, missing: () => string | undefined): ReturnType<typeof startTenantOps> =>
  startTenantOps({
    http: { address: "127.0.0.1", port },
    metrics: createPrometheusMetrics(),
    readiness: [
      { name: "snapshot", check: missing },
      { name: "keys", check: () => undefined },
    ],
    log: silentLog,
    signal: stop.signal,
  });

describe("ops over HTTP on a tenant", () => {
  it("is alive while it is not ready, and says what is missing", async () => {
    let missing: string | undefined = "no verified snapshot yet";
    const { httpPort } = await start(0, () => missing);
    const url = `http://127.0.0.1:${httpPort}`;
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    const not = await fetch(`${url}/readyz`);
    expect([not.status, await not.json()]).toEqual([
      503,
      {
        ready: false,
        checks: [
          { name: "snapshot", ok: false, detail: "no verified snapshot yet" },
          { name: "keys", ok: true, detail: "" },
        ],
      },
    ]);
    missing = undefined;
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${url}/metrics`)).text()).toContain("process_heap_bytes");
  });

  it("counts a check that throws as missing", async () => {
    const { httpPort } = await start(0, () => {
      throw new Error("the store is closed");
    });
    const response = await fetch(`http://127.0.0.1:${httpPort}/readyz`);
    expect(await response.text()).toContain("the store is closed");
  });

  it("names a busy port, and frees its own when it stops", async () => {
    const { httpPort, closed } = await start(0, () => undefined);
    await expect(start(httpPort, () => undefined)).rejects.toThrow(
      `ops listener 127.0.0.1:${httpPort}: port: a free port, but another program listens there; stop that program or choose another port`,
    );
    stop.abort();
    await closed;
    stop = new AbortController();
    const again = await start(httpPort, () => undefined);
    expect(again.httpPort).toBe(httpPort);
  });
});

it("the status page's script is a program", () => {
  expect(() => new Script(STATUS_SCRIPT)).not.toThrow();
});
