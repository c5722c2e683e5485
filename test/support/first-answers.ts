import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { PermissionService } from "../../src/api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { createGrpcClient } from "../../src/api/grpc/client.ts";
import { clientCredentials } from "../../src/trust/tls/client-credentials.ts";
import type { TenantOnDisk } from "./tenant-on-disk.ts";

/** Longest wait for a phase of a start, milliseconds. */
export const START_MS = 60_000;

const HOOK = join(import.meta.dirname, "loaded-modules.ts");

/** A tenant that answered rightly and is up. */
export interface AnsweredTenant {
  /** URLs of the files it loaded, in order. */
  readonly loaded: readonly string[];
  /** Ends it; resolves when it has exited. */
  stop(): Promise<void>;
}

/**
 * Starts a tenant that may `get` and no more (`oneGrant`), asks it both ways at once, and waits until the whole of it is up.
 *
 * @param program file of `conductor`
 * @param list file for the names of what is loaded
 * @param started hears of the process as soon as there is one, to end it whatever happens
 */
export async function firstAnswers(
  program: string,
  tenant: TenantOnDisk,
  list: string,
  started: (child: ChildProcess) => void,
): Promise<AnsweredTenant> {
  const running = spawn(process.execPath, ["--import", HOOK, program, "agent"], {
    env: { ...tenant.environment, LOADED_MODULES: list },
    stdio: ["ignore", "pipe", "inherit"],
  });
  started(running);
  const exited = new Promise<void>((resolve) => running.once("exit", () => resolve()));
  let log = "";
  running.stdout.setEncoding("utf8").on("data", (text: string) => (log += text));
  await expect.poll(() => log, { timeout: START_MS }).toContain('"msg":"answering; the rest of the tenant follows"');
  const client = createGrpcClient(PermissionService, {
    address: `127.0.0.1:${tenant.port}`,
    credentials: clientCredentials(tenant.operator),
  });
  const asked = { principal: "alice", resource: "pods", namespace: "default" };
  expect(await client.checkPermission({ ...asked, verb: "get" })).toMatchObject({ allowed: true });
  expect(await client.checkPermission({ ...asked, verb: "delete" })).toMatchObject({ allowed: false });
  client.close();
  await expect.poll(() => log, { timeout: START_MS }).toContain('"msg":"tenant is up"');
  return {
    loaded: (await readFile(list, "utf8"))
      .split("\n")
      .filter((url) => url.startsWith("file:") && url !== `file://${HOOK}`),
    stop: () => {
      running.kill("SIGTERM");
      return exited;
    },
  };
}
