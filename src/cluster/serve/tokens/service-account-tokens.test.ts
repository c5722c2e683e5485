import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ServiceAccount } from "../../../api/builtin.ts";
import { ManualClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { systemRandom } from "../../../base/random.ts";
import { type EmbeddedCluster, openEmbeddedCluster } from "../../embedded/embedded-cluster.ts";
import { ISSUER, ServiceAccountTokens, type TokenSubject } from "./service-account-tokens.ts";

let directory: string;
let cluster: EmbeddedCluster;
let clock: ManualClock;
let subject: TokenSubject;

const open = (file = "sa.key"): Promise<ServiceAccountTokens> =>
  ServiceAccountTokens.open({ keyPath: join(directory, file), cluster, clock, random: systemRandom });

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "seam-tokens-"));
  clock = new ManualClock();
  const parts = { clock, random: systemRandom, log: silentLog };
  cluster = await openEmbeddedCluster({ directory: join(directory, "cluster"), ...parts });
  const metadata = { name: "robot", namespace: "default" };
  const account = await cluster.create(ServiceAccount, { apiVersion: "v1", kind: "ServiceAccount", metadata });
  subject = { ...metadata, uid: account.metadata.uid ?? "" };
});
afterEach(async () => {
  await cluster.close();
  await rm(directory, { recursive: true, force: true });
});

describe("ServiceAccountTokens", () => {
  it("keeps its key for itself and across restarts", async () => {
    const token = (await open()).issue(subject, [ISSUER], 600);
    expect((await stat(join(directory, "sa.key"))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(directory, "sa.key"), "utf8")).toContain("BEGIN PRIVATE KEY");
    expect((await (await open()).user(token, [ISSUER]))?.user.name).toBe("system:serviceaccount:default:robot");
    expect(await (await open("other.key")).user(token, [ISSUER])).toBeUndefined();
  });

  it("ends a token with its time", async () => {
    const tokens = await open();
    const token = tokens.issue(subject, [ISSUER], 600);
    await clock.advance(599_000);
    expect(await tokens.user(token, [ISSUER])).toBeDefined();
    await clock.advance(1_000);
    expect(await tokens.user(token, [ISSUER])).toBeUndefined();
  });

  it("does not take another object of the same name for the one that got the token", async () => {
    const tokens = await open();
    const token = tokens.issue(subject, [ISSUER], 600);
    const { uid: _uid, ...metadata } = subject;
    await cluster.delete(ServiceAccount, metadata);
    await cluster.create(ServiceAccount, { apiVersion: "v1", kind: "ServiceAccount", metadata });
    expect(await tokens.user(token, [ISSUER])).toBeUndefined();
  });

  it("takes nothing that it did not sign", async () => {
    const tokens = await open();
    const [header = "", claims = "", signature = ""] = tokens.issue(subject, [ISSUER], 600).split(".");
    const unsigned = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
    for (const forged of [
      "",
      "a.b.c",
      `${unsigned}.${claims}.`,
      `${header}.${claims}.`,
      `${header}.${claims}a.${signature}`,
      `${header}.${claims}.${signature}.${signature}`,
    ])
      expect(await tokens.user(forged, [ISSUER])).toBeUndefined();
  });
});
