import { describe, expect, it } from "vitest";
import { canonicalJson } from "../../base/canonical-json.ts";
import type { JsonObject } from "../../base/json.ts";
import { correctionId, encodeCorrection, parseCorrection, parseCorrectionId } from "./correction.ts";
import { packDeliveryBody } from "./pack-delivery-body.ts";
import { encodePackManifest, type PackManifest, parsePackManifest } from "./pack-manifest.ts";
import { encodeTombstone, parseTombstone } from "./tombstone.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const MANIFEST: PackManifest = {
  apiVersion: "seam.ontai.dev/v1alpha1",
  kind: "PackInstalled",
  namespace: "seam-tenant-east",
  name: "hello-east",
  uid: "u-1",
  clusterPackRef: "hello-v1",
  clusterPackNamespace: "seam-system",
  version: "v1",
  targetClusterRef: "east",
  serial: 3,
  issuedAt: "2026-01-10T08:00:00Z",
  artifact: { registryUrl: "packs.seam.local/hello", rbacDigest: DIGEST, workloadDigest: DIGEST, checksum: DIGEST },
  executionOrder: [{ name: "stateful", manifests: ["/ConfigMap/hello/a"] }],
  deployedResources: [{ apiVersion: "v1", kind: "ConfigMap", namespace: "hello", name: "a", specHash: DIGEST }],
  lifecyclePolicies: { adoption: "Adopt", replace: ["Job"] },
  supersedes: { serial: 2, version: "v0" },
  tombstone: false,
};

function refusal(change: JsonObject): string {
  const body = Buffer.from(canonicalJson({ ...(MANIFEST as unknown as JsonObject), ...change }));
  try {
    parsePackManifest(body);
  } catch (error) {
    return error instanceof Error ? error.message : "?";
  }
  return "accepted";
}

describe("pack manifest", () => {
  it("parses what it encodes", () => {
    expect(parsePackManifest(encodePackManifest(MANIFEST))).toEqual(MANIFEST);
  });

  it("names the field that is wrong", () => {
    expect(refusal({ serial: 0 })).toBe("pack manifest: serial: is an integer from 1 to 9007199254740991, found 0");
    expect(refusal({ extra: 1 })).toBe("pack manifest: extra: is not a member of this version of the format");
    expect(refusal({ uid: undefined })).toBe("pack manifest: uid: is a string, found nothing");
    expect(refusal({ tombstone: true })).toContain("removal is said by a Tombstone/v1 body");
    expect(refusal({ kind: "PackDelivery" })).toContain("is one of PackInstalled");
    expect(
      refusal({ artifact: { registryUrl: "x", rbacDigest: "sha256:0", workloadDigest: DIGEST, checksum: DIGEST } }),
    ).toContain("artifact.rbacDigest: matches");
    expect(refusal({ executionOrder: [{ name: "rbac" }, { name: "rbac" }] })).toContain(
      "names every stage at most once",
    );
    expect(refusal({ deployedResources: [{ apiVersion: "v1", kind: "X", name: "a" }] })).toContain(
      "deployedResources[0].specHash",
    );
    expect(refusal({ lifecyclePolicies: { adoption: "Maybe" } })).toContain(
      'lifecyclePolicies.adoption: is one of Fail, Adopt, found "Maybe"',
    );
  });

  it("reads only canonical bytes", () => {
    expect(() => parsePackManifest(Buffer.from(JSON.stringify(MANIFEST)))).toThrow("RFC 8785");
  });
});

describe("tombstone and correction", () => {
  it("parse what they encode", () => {
    const tombstone = {
      _type: "Tombstone/v1",
      cluster: "east",
      kind: "PackInstalled",
      name: "hello-east",
      uid: "u-1",
      serial: 4,
      lifecyclePolicies: {},
      issuedAt: "2026-01-10T08:00:00Z",
    } as const;
    expect(parseTombstone(encodeTombstone(tombstone))).toEqual(tombstone);
    const correction = {
      _type: "Correction/v1",
      cluster: "east",
      packInstalled: "hello-east",
      serial: 3,
      correlationId: "c-1",
      attempt: 2,
      signalName: "drift-hello-east",
      issuedAt: "2026-01-10T08:00:00Z",
    } as const;
    expect(parseCorrection(encodeCorrection(correction))).toEqual(correction);
    expect(parseCorrectionId(correctionId(correction))).toEqual({ correlationId: "c-1", attempt: 2 });
    expect(parseCorrectionId("nothing")).toBeUndefined();
  });
});

describe("packDeliveryBody", () => {
  it("leaves out the mutable member and everything outside spec", () => {
    const delivery = {
      apiVersion: "seam.ontai.dev/v1alpha1",
      kind: "PackDelivery",
      metadata: { name: "hello-v1", namespace: "seam-system", labels: { a: "b" } },
      spec: { version: "v1", rollbackToRevision: 3 },
    };
    expect(Buffer.from(packDeliveryBody(delivery)).toString()).toBe(
      '{"apiVersion":"seam.ontai.dev/v1alpha1","kind":"PackDelivery","name":"hello-v1","namespace":"seam-system","spec":{"version":"v1"}}',
    );
  });
});
