import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CustomResourceDefinition } from "../../src/api/builtin.ts";
import { serveTestApi, type TestApi } from "../support/served-api.ts";
import { widgetCrd } from "../support/widget.ts";

const python = process.env["SEAM_PYTHON_KUBERNETES"];
const PROGRAM = join(import.meta.dirname, "clients/list_watch_patch.py");
const TIMEOUT_MS = 60_000;

if (python !== undefined)
  describe("Python's Kubernetes client", () => {
    let api: TestApi;
    beforeAll(async () => {
      api = await serveTestApi();
      await api.cluster.create(CustomResourceDefinition, widgetCrd);
    });
    afterAll(() => api.close());

    it("lists, watches, patches and applies a custom resource", async () => {
      const { stdout } = await promisify(execFile)(python ?? "", [PROGRAM], {
        env: { ...process.env, KUBECONFIG: api.kubeconfig },
        timeout: TIMEOUT_MS,
      });
      expect(JSON.parse(stdout)).toEqual({
        events: [
          ["ADDED", 1],
          ["MODIFIED", 2],
          ["MODIFIED", 3],
          ["DELETED", 3],
        ],
        refused: [422, "Invalid"],
        applied: 3,
        names: ["py"],
        configMaps: "ConfigMapList",
        version: "v1.36.0+seam",
      });
    });
  });
if (python === undefined)
  describe("Python's Kubernetes client", () => {
    it("is skipped: set SEAM_PYTHON_KUBERNETES (.ci/python-kubernetes)", (context) => {
      context.skip();
    });
  });
