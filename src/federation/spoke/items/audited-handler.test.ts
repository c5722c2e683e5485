import { expect, it } from "vitest";
import { RememberingTrail } from "../../../../test/support/remembering-trail.ts";
import { Nack_Class } from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { ItemContext, ItemHandler, ItemOutcome } from "../ports.ts";
import { auditedHandler } from "./audited-handler.ts";

function context(name: string, digest: string): ItemContext {
  return {
    cluster: "tenant-1",
    item: { kind: "PackInstalled", name, version: 3, digest, size: 1 } as unknown as ItemContext["item"],
    body: new Uint8Array(),
    blobs: { read: () => Promise.resolve(new Uint8Array()) },
    signal: new AbortController().signal,
    waitingFor: () => {},
  };
}

function answering(outcome: ItemOutcome): ItemHandler {
  const answer = () => Promise.resolve(outcome);
  return { kind: "PackInstalled", verify: answer, apply: answer, healthy: answer, remove: answer };
}

const nack = (classOf: Nack_Class, reason: string): ItemOutcome => ({
  ok: false,
  nack: { class: classOf, retryable: true, reason, detail: "why" },
});

it("tells what is not trusted, once for each body and reason, and changes no outcome", async () => {
  const trail = new RememberingTrail();
  const untrusted = nack(Nack_Class.UNTRUSTED, "UNKNOWN_KEY");
  const handler = auditedHandler(answering(untrusted), trail);
  for (let tries = 0; tries < 3; tries++) expect(await handler.verify(context("web", "sha256:a"))).toBe(untrusted);
  await handler.verify(context("web", "sha256:b"));
  expect(trail.records).toMatchObject([
    {
      action: "signature.rejected",
      decision: "deny",
      subject: "cluster:tenant-1",
      resource: "web",
      code: "UNKNOWN_KEY",
      details: { version: 3, digest: "sha256:a", detail: "why" },
    },
    { details: { digest: "sha256:b" } },
  ]);
});

it("is silent about success and about refusals for other reasons", async () => {
  const trail = new RememberingTrail();
  await auditedHandler(answering({ ok: true }), trail).apply(context("web", "sha256:a"));
  await auditedHandler(answering(nack(Nack_Class.BUSY, "LATER")), trail).verify(context("web", "sha256:a"));
  expect(trail.records).toEqual([]);
});
