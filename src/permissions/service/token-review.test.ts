import { expect, it } from "vitest";
import type { KubeObject } from "../../api/object.ts";
import { ManualClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { TOKEN_CACHE_MS, tokenReviews } from "./token-review.ts";

/** An API server that knows one token; a test says whether it answers at all. */
function apiServer(): { readonly cluster: Pick<Cluster, "create">; asked: number; answers: boolean } {
  const server = {
    asked: 0,
    answers: true,
    cluster: {
      create: <T extends KubeObject>(_: unknown, review: object): Promise<T> => {
        server.asked += 1;
        if (!server.answers) return new Promise<T>(() => {});
        const known = JSON.stringify(review).includes('"token":"good"');
        const user = { username: "system:serviceaccount:a:b", groups: ["system:serviceaccounts"] };
        return Promise.resolve({ ...review, status: known ? { authenticated: true, user } : {} } as unknown as T);
      },
    },
  };
  return server;
}

it("asks once a minute for a token, and once for many callers", async () => {
  const server = apiServer();
  const clock = new ManualClock();
  const authenticate = tokenReviews({ cluster: server.cluster, clock, log: silentLog });
  const verdicts = await Promise.all([authenticate("good"), authenticate("good"), authenticate("good")]);
  expect(verdicts.map(({ ok }) => ok)).toEqual([true, true, true]);
  expect(verdicts[0]).toMatchObject({
    principal: { kind: "token", name: "system:serviceaccount:a:b", groups: ["system:serviceaccounts"] },
  });
  expect(server.asked).toBe(1);
  await clock.advance(TOKEN_CACHE_MS + 1);
  await authenticate("good");
  expect(server.asked).toBe(2);
});

it("refuses what the API server does not know, and forgets that soon", async () => {
  const server = apiServer();
  const clock = new ManualClock();
  const authenticate = tokenReviews({ cluster: server.cluster, clock, log: silentLog });
  for (let n = 0; n < 3; n++) expect(await authenticate("bad")).toMatchObject({ ok: false, reason: "TokenRefused" });
  expect(server.asked).toBe(1);
  await clock.advance(6_000);
  await authenticate("bad");
  expect(server.asked).toBe(2);
});

it("refuses while the API server is silent, and asks again afterwards", async () => {
  const server = apiServer();
  server.answers = false;
  const clock = new ManualClock();
  const authenticate = tokenReviews({ cluster: server.cluster, clock, log: silentLog });
  const verdict = authenticate("good");
  await clock.advance(6_000);
  expect(await verdict).toMatchObject({ ok: false, reason: "TokenReviewUnavailable" });
  server.answers = true;
  expect(await authenticate("good")).toMatchObject({ ok: true });
});
