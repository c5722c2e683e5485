import { readFile } from "node:fs/promises";
import { Agent, request } from "undici";
import { parse } from "yaml";
import type { JsonObject } from "../../src/base/json.ts";
import type { SnapshotContent } from "../../src/permissions/snapshot/content.ts";
import type { RealApiServer } from "../support/real-api-server.ts";
import { ALPHABET, type RandomQuestion, WORLD_NOW_MS } from "./permission-worlds.ts";
import { rbacObjectsOf, reviewOf } from "./rbac-objects.ts";

/** A tagged world with its questions. */
export interface TaggedWorld {
  readonly tag: string;
  readonly content: SnapshotContent;
  readonly questions: readonly RandomQuestion[];
}

/** Requests under way at once. */
const IN_FLIGHT = 24;
/** How long the server's authorizer may take to hear of the last object, milliseconds. */
const HEARD_WITHIN_MS = 60_000;
const RBAC_PATH = "/apis/rbac.authorization.k8s.io/v1";
/** Every namespace a question may name; bindings for all namespaces stand in each. */
const NAMESPACES: readonly string[] = [...new Set(["unlisted", ...ALPHABET.namespaces])].filter((name) => name !== "");

/** Decides by a real API server's own RBAC authorizer, through SubjectAccessReviews. */
export class RealAuthorizer {
  readonly #agent: Agent;
  readonly #url: string;
  readonly #close: () => Promise<void>;

  private constructor(agent: Agent, url: string, close: () => Promise<void>) {
    this.#agent = agent;
    this.#url = url;
    this.#close = close;
  }

  static async open(server: RealApiServer): Promise<RealAuthorizer> {
    const config = parse(await readFile(server.kubeconfig, "utf8")) as {
      clusters: { cluster: { "certificate-authority-data": string } }[];
      users: { user: { "client-certificate-data": string; "client-key-data": string } }[];
    };
    const pem = (text = ""): string => Buffer.from(text, "base64").toString("utf8");
    const user = config.users[0]?.user;
    const agent = new Agent({
      connections: IN_FLIGHT,
      connect: {
        ca: pem(config.clusters[0]?.cluster["certificate-authority-data"]),
        cert: pem(user?.["client-certificate-data"]),
        key: pem(user?.["client-key-data"]),
      },
    });
    const authorizer = new RealAuthorizer(agent, server.url, () => server.close());
    await authorizer.#namespaces();
    return authorizer;
  }

  /** Creates the objects of the worlds and waits until the authorizer has heard of all of them. */
  async hold(worlds: readonly TaggedWorld[]): Promise<void> {
    const objects = worlds.map(({ tag, content }) => rbacObjectsOf(content, tag, NAMESPACES, WORLD_NOW_MS));
    const last = worlds.at(-1)?.tag ?? "";
    const heard = `heard-${last}`;
    const role = {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: heard },
      rules: [{ apiGroups: ["heard"], resources: ["*"], verbs: ["*"] }],
    };
    const binding = (name: string): JsonObject => ({
      apiVersion: "rbac.authorization.k8s.io/v1",
      metadata: { name: heard },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: heard },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name }],
    });
    await this.#createAll(
      "clusterroles",
      objects.flatMap((each) => each.clusterRoles),
    );
    await this.#createAll(
      "clusterrolebindings",
      objects.flatMap((each) => each.clusterRoleBindings),
    );
    await this.#createAll(
      "rolebindings",
      objects.flatMap((each) => each.roleBindings),
    );
    // Events of one kind come in their order: whoever heard of these three heard of everything before.
    await this.#create("clusterroles", role);
    await this.#create("clusterrolebindings", binding(`${heard}-wide`));
    await this.#create("rolebindings", {
      ...binding(`${heard}-narrow`),
      metadata: { name: heard, namespace: "default" },
    });
    const asked = { verb: "get", group: "heard", resource: "x", namespace: "default" };
    const deadline = performance.now() + HEARD_WITHIN_MS;
    for (const user of [`${heard}-wide`, `${heard}-narrow`])
      while (!(await this.review({ spec: { user, resourceAttributes: asked } })))
        if (performance.now() > deadline) throw new Error(`the authorizer did not hear of ${user}`);
  }

  /** Answers of the server, in the order of the questions. */
  async answers({ tag, questions }: TaggedWorld): Promise<readonly boolean[]> {
    const answers: boolean[] = [];
    await each(questions, async (question, i) => {
      answers[i] = await this.review(reviewOf(question, tag));
    });
    return answers;
  }

  /** One review. @throws Error for anything but an answer */
  async review(body: JsonObject): Promise<boolean> {
    const path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    const full = { apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview", ...body };
    const { status } = (await this.#post(path, full)) as { status: { allowed: boolean; evaluationError?: string } };
    if (status.evaluationError !== undefined) throw new Error(status.evaluationError);
    return status.allowed;
  }

  async close(): Promise<void> {
    await this.#agent.close();
    await this.#close();
  }

  async #namespaces(): Promise<void> {
    for (const name of NAMESPACES)
      if (name !== "default" && !name.startsWith("kube-"))
        await this.#post("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  }

  async #createAll(resource: string, objects: readonly JsonObject[]): Promise<void> {
    await each(objects, (object) => this.#create(resource, object));
  }

  async #create(resource: string, object: JsonObject): Promise<void> {
    const { namespace } = object["metadata"] as { readonly namespace?: string };
    const scope = namespace === undefined ? "" : `/namespaces/${namespace}`;
    await this.#post(`${RBAC_PATH}${scope}/${resource}`, object);
  }

  async #post(path: string, body: JsonObject): Promise<unknown> {
    const answer = await request(`${this.#url}${path}`, {
      dispatcher: this.#agent,
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${path} of ${JSON.stringify(body)}: ${answer.statusCode} ${text}`);
    return JSON.parse(text);
  }
}

/** Some at a time, in any order. */
async function each<T>(list: readonly T[], work: (item: T, i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < list.length; i = next++) {
      const item = list[i];
      if (item !== undefined) await work(item, i);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}
