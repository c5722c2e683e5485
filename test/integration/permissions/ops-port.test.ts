import { mkdtemp, rm } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { KubeObject } from "../../../src/api/object.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { type JsonObject, isJsonObject } from "../../../src/base/json.ts";
import { silentLog } from "../../../src/base/log.ts";
import { SeededRandom } from "../../../src/base/random.ts";
import { createPrometheusMetrics } from "../../../src/ops/metrics/prometheus-metrics.ts";
import { type TenantOps, startTenantOps } from "../../../src/ops/start-tenant-ops.ts";
import { clearTextPermissions } from "../../../src/permissions/http/clear-text-permissions.ts";
import { MAX_BODY_BYTES } from "../../../src/permissions/http/read-json.ts";
import { DecisionAudit } from "../../../src/permissions/service/decision-audit.ts";
import { permissionMethods } from "../../../src/permissions/service/permission-handlers.ts";
import { tokenReviews } from "../../../src/permissions/service/token-review.ts";
import { type SnapshotStore, openSnapshotStore } from "../../../src/permissions/store/snapshot-store.ts";
import { WORLD_NOW_MS } from "../../oracle/permission-worlds.ts";
import { signedSnapshot, testKey } from "../../oracle/signed-snapshots.ts";
import { oneGrant } from "../../support/snapshot-bench.ts";

const SERVICE = "/ontai.security.v1alpha1.PermissionService";
const CHECK = `${SERVICE}/CheckPermission`;
const clock = { ...systemClock, now: () => WORLD_NOW_MS };
const stop = new AbortController();
const key = testKey();
/** What the API server says of a token; anything else it does not know. */
const USERS: Readonly<Record<string, string>> = {
  operator: "system:serviceaccount:ont-system:reader",
  stranger: "system:serviceaccount:hello:hello",
};
let down = false;
let directory: string;
let store: SnapshotStore;
let ops: TenantOps;
let tokenless: TenantOps;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "ops-port-"));
  const common = { clock, log: silentLog, signal: stop.signal };
  store = await openSnapshotStore({ directory, cluster: "tenant-1", keys: key.ring, ...common });
  const lane = { audit: () => Promise.resolve() };
  const random = new SeededRandom(1);
  const metrics = createPrometheusMetrics();
  const audit = new DecisionAudit({ lane, random, clock, log: silentLog });
  const methods = permissionMethods({ store, audit, clock, random, metrics });
  const authenticateToken = tokenReviews({
    cluster: {
      create: <T extends KubeObject>(_: unknown, review: object): Promise<T> => {
        if (down) return Promise.reject(new Error("connect ECONNREFUSED"));
        const known = Object.entries(USERS).find(([token]) => JSON.stringify(review).includes(`"token":"${token}"`));
        const status = known === undefined ? {} : { authenticated: true, user: { username: known[1] } };
        return Promise.resolve({ ...review, status } as unknown as T);
      },
    },
    clock: systemClock,
    log: silentLog,
  });
  const handler = { methods, log: silentLog, signal: stop.signal, bodyDeadlineMs: 300 };
  const shared = { metrics, readiness: [], log: silentLog, signal: stop.signal };
  ops = await startTenantOps({
    ...shared,
    http: { address: "0.0.0.0", port: 0 },
    handlers: [clearTextPermissions({ ...handler, authenticateToken })],
  });
  tokenless = await startTenantOps({
    ...shared,
    http: { address: "127.0.0.1", port: 0 },
    handlers: [clearTextPermissions(handler)],
  });
  const signed = signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: clock.now() });
  await store.activate(await store.prepare(signed.envelope, () => Promise.resolve(signed.content)));
});

afterAll(async () => {
  stop.abort();
  await Promise.all([ops.closed, tokenless.closed, store.closed]);
  await rm(directory, { recursive: true });
});

interface Asked {
  readonly token?: string;
  readonly contentType?: string;
  readonly body?: string;
  readonly method?: string;
  readonly host?: string;
  readonly port?: number;
  /** The body never ends. */
  readonly endless?: boolean;
}

function ask(path: string, asked: Asked = {}): Promise<{ readonly code: number; readonly body: JsonObject }> {
  const { token, contentType = "application/json", method = "POST", host = "127.0.0.1" } = asked;
  const body = asked.body ?? JSON.stringify({ principal: "alice", verb: "get", resource: "pods", namespace: "team-1" });
  return new Promise((resolve, reject) => {
    const call = httpRequest(
      {
        host,
        port: asked.port ?? ops.httpPort,
        path,
        method,
        agent: false,
        headers: { "content-type": contentType, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.on("end", () => {
          const value: unknown = text.startsWith("{") ? JSON.parse(text) : { text };
          resolve({ code: response.statusCode ?? 0, body: isJsonObject(value) ? value : {} });
        });
      },
    );
    call.on("error", reject);
    if (asked.endless === true) call.write(body);
    else call.end(body);
  });
}

it("answers questions as JSON beside health and metrics, to who has a token and the right to ask", async () => {
  expect(await ask(CHECK, { token: "operator" })).toMatchObject({
    code: 200,
    body: { allowed: true, code: "ALLOWED", meta: { freshness: "FRESH", sequence: "1" } },
  });
  const denied = JSON.stringify({ principal: "alice", verb: "delete", resource: "pods" });
  expect((await ask(CHECK, { token: "operator", body: denied })).body).toMatchObject({ code: "NO_MATCHING_RULE" });
  expect((await ask(CHECK, { token: "stranger" })).body).toMatchObject({ code: "CALLER_NOT_AUTHORIZED" });
  const own = JSON.stringify({ principal: USERS["stranger"], verb: "get", resource: "pods" });
  expect((await ask(CHECK, { token: "stranger", body: own })).body).toMatchObject({ code: "PRINCIPAL_UNKNOWN" });
  expect(await ask(`${SERVICE}/GetStatus`, { token: "operator", body: "{}" })).toMatchObject({
    code: 200,
    body: { cluster: "tenant-1" },
  });
  expect((await fetch(`http://127.0.0.1:${ops.httpPort}/healthz`)).status).toBe(200);
  expect((await fetch(`http://127.0.0.1:${ops.httpPort}/metrics`)).status).toBe(200);
});

it("knows nobody without a token, nor by a wrong one, and names what to do where there are none", async () => {
  expect(await ask(CHECK)).toMatchObject({ code: 401, body: { reason: "Unauthorized" } });
  expect(await ask(CHECK, { token: "forged" })).toMatchObject({
    code: 401,
    body: { message: "the bearer token is refused: the API server does not know it" },
  });
  expect(await ask(CHECK, { token: "operator", port: tokenless.httpPort })).toMatchObject({
    code: 401,
    body: {
      message:
        "this cluster issues no tokens, and this port has no TLS for a client certificate; ask over HTTPS on the webhook port (8443)",
    },
  });
});

it("says no, and why, while TokenReview is down; what is no decision is unavailable", async () => {
  down = true;
  try {
    expect(await ask(CHECK, { token: "never-seen-before" })).toMatchObject({
      code: 200,
      body: {
        code: "CALLER_NOT_AUTHORIZED",
        reason: expect.stringContaining("could not be reviewed") as string,
      },
    });
    expect((await ask(CHECK, { token: "never-seen-before" })).body).not.toHaveProperty("allowed", true);
    expect(await ask(`${SERVICE}/GetStatus`, { token: "never-seen-before", body: "{}" })).toMatchObject({
      code: 503,
      body: { code: "unavailable" },
    });
  } finally {
    down = false;
  }
});

it("refuses what is no question: other media, too large, endless, malformed, no such method", async () => {
  const token = "operator";
  expect((await ask(CHECK, { token, contentType: "text/plain" })).code).toBe(415);
  expect((await ask(CHECK, { token, method: "PUT" })).code).toBe(405);
  const large = JSON.stringify({ principal: "a".repeat(MAX_BODY_BYTES), verb: "get", resource: "pods" });
  expect(await ask(CHECK, { token, body: large })).toMatchObject({ body: { code: "resource_exhausted" } });
  expect(await ask(CHECK, { token, body: "{", endless: true })).toMatchObject({ code: 408 });
  expect(await ask(CHECK, { token, body: "{" })).toMatchObject({ code: 400, body: { code: "invalid_argument" } });
  expect(await ask(CHECK, { token, body: "{}" })).toMatchObject({
    code: 400,
    body: { code: "invalid_argument", message: expect.stringContaining("principal") as string },
  });
  expect((await ask(`${SERVICE}/Nothing`, { token })).code).toBe(404);
  expect((await ask("/ontai.security.v1alpha1.Other/CheckPermission", { token })).code).toBe(404);
  // It still answers.
  expect((await ask(CHECK, { token })).body).toMatchObject({ allowed: true });
});

const elsewhere = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

it.skipIf(elsewhere === undefined)(
  "takes no token that crossed a network in clear text (needs an address that is not loopback)",
  async () => {
    expect(await ask(CHECK, { token: "operator", host: elsewhere ?? "" })).toMatchObject({
      code: 403,
      body: {
        message:
          "this port has no TLS and takes tokens from its own machine only; ask over HTTPS on the webhook port (8443), or by kubectl port-forward",
      },
    });
  },
);
