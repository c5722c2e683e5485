import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readExternalCluster } from "./external-cluster.ts";

const directory = mkdtempSync(join(tmpdir(), "seam-external-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function file(text: string): string {
  const path = join(directory, "config.yaml");
  writeFileSync(path, text);
  return path;
}

const CONFIG = `apiVersion: v1
kind: Config
current-context: b
contexts:
  - { name: a, context: { cluster: one, user: none } }
  - { name: b, context: { cluster: two, user: me, namespace: x } }
clusters:
  - { name: one, cluster: { server: "https://one" } }
  - { name: two, cluster: { server: "https://two:6443", certificate-authority: pki/ca.crt } }
users:
  - { name: me, user: { exec: { command: get-token, apiVersion: client.authentication.k8s.io/v1 }, client-key: /abs/key } }
`;

describe("readExternalCluster", () => {
  it("takes cluster and user of the current context, files by their whole path", () => {
    expect(readExternalCluster("tenant-1", file(CONFIG))).toEqual({
      name: "tenant-1",
      server: "https://two:6443",
      cluster: { server: "https://two:6443", "certificate-authority": join(directory, "pki/ca.crt") },
      user: {
        exec: { command: "get-token", apiVersion: "client.authentication.k8s.io/v1" },
        "client-key": "/abs/key",
      },
    });
  });

  it.each([
    ["no context", CONFIG.replace("current-context: b", "current-context: z"), /current-context.*one of its contexts/],
    ["no such user", CONFIG.replace("current-context: b", "current-context: a"), /context\.user.*one of its users/],
    ["no server", CONFIG.replace("server: ", "servers: ").replace("server: ", "servers: "), /cluster with a server/],
    ["no YAML", "{", /a readable kubeconfig/],
    ["another document", "- 1", /a kubeconfig/],
  ])("names file and field: %s", (_name, text, message) => {
    expect(() => readExternalCluster("management", file(text))).toThrow(message);
    expect(() => readExternalCluster("management", file(text))).toThrow(/config\.yaml/);
  });
});
