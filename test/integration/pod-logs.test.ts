import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Pod } from "../../src/api/builtin.ts";
import type { LogLine, PodLogs } from "../../src/cluster/pod-logs.ts";
import { serveTestApi, type TestApi } from "../support/served-api.ts";

const LOG = "/api/v1/namespaces/default/pods/worker/log";
const STARTED_MS = Date.UTC(2026, 0, 2, 3, 4, 5);

/** What the containers of these tests wrote: `one` a line a second, the last of them still to come. */
const recorded: readonly LogLine[] = ["first", "second", "third"].map((text, index) => ({
  atMs: STARTED_MS + index * 1000,
  text,
}));
const podLogs: PodLogs = {
  open: async (_pod, container, previous) =>
    container !== "one" || previous
      ? undefined
      : {
          lines: recorded,
          async *follow() {
            yield { atMs: STARTED_MS + 3000, text: "fourth" };
          },
        },
};

let test: TestApi;
beforeAll(async () => {
  test = await serveTestApi({ podLogs });
  const pod = (name: string, containers: readonly string[]) =>
    test.cluster.create(Pod, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "default" },
      spec: { containers: containers.map((container) => ({ name: container, image: "image:1" })) },
    });
  await pod("worker", ["one"]);
  await pod("pair", ["one", "two"]);
});
afterAll(() => test.close());

describe("pods/log", () => {
  it.each([
    ["", "first\nsecond\nthird\n"],
    ["tailLines=1", "third\n"],
    ["tailLines=0", ""],
    ["tailLines=10", "first\nsecond\nthird\n"],
    ["limitBytes=8", "first\nse"],
    ["follow=true&tailLines=1", "third\nfourth\n"],
    ["sinceTime=2026-01-02T03:04:06Z", "second\nthird\n"],
    ["timestamps=true&tailLines=1", "2026-01-02T03:04:07.000Z third\n"],
    ["container=one&tailLines=1", "third\n"],
  ])("answers ?%s", async (query, text) => {
    expect(await test.send(`${LOG}?${query}`)).toMatchObject({ status: 200, text });
  });

  it.each([
    ["/pods/pair/log", 400, "a container name must be specified for pod pair, choose one of: [one two]"],
    ["/pods/worker/log?container=nine", 400, "container nine is not valid for pod worker"],
    [
      "/pods/pair/log?container=two",
      400,
      'container "two" in pod "pair" is waiting to start: no container of this pod runs on this machine',
    ],
    ["/pods/worker/log?previous=true", 400, 'previous terminated container "one" in pod "worker" not found'],
    ["/pods/nobody/log", 404, 'pods "nobody" not found'],
    [
      "/pods/worker/log?tailLines=-1",
      422,
      'PodLogOptions "" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0',
    ],
    [
      "/pods/worker/log?limitBytes=0",
      422,
      'PodLogOptions "" is invalid: limitBytes: Invalid value: 0: must be greater than 0',
    ],
    ["/pods/worker/log?sinceTime=yesterday", 400, 'sinceTime: "yesterday" is no RFC 3339 time'],
  ])("refuses %s", async (path, status, message) => {
    expect(await test.send(`/api/v1/namespaces/default${path}`)).toMatchObject({ status, json: { message } });
  });

  it("takes the right to get pods/log", async () => {
    expect(await test.send(LOG, { certificate: test.bob })).toMatchObject({
      status: 403,
      json: {
        message:
          'pods "worker" is forbidden: User "bob" cannot get resource "pods/log" in API group "" in the namespace "default"',
      },
    });
    expect((await test.send("/api/v1")).json).toMatchObject({
      resources: expect.arrayContaining([expect.objectContaining({ name: "pods/log", verbs: ["get"] })]) as unknown,
    });
  });
});
