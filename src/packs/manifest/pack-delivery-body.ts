import type { KubeObject } from "../../api/object.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import { SeamError } from "../../base/errors.ts";
import { isJsonObject } from "../../base/json.ts";

/** Largest signed body of a PackDelivery, bytes (resources-seam §0.5). */
export const MAX_PACK_DELIVERY_BODY_BYTES = 256 * 1024;

/**
 * What is signed for a PackDelivery: canonical JSON of `{apiVersion, kind, namespace, name, spec}`, spec without its only
 * mutable member `rollbackToRevision`. Payload type `pack-delivery`.
 *
 * @throws SeamError `TooLarge`, `NotCanonical`, `BodyInvalid`
 */
export function packDeliveryBody(delivery: KubeObject & { readonly spec: object }): Uint8Array {
  const what = `PackDelivery ${delivery.metadata.namespace ?? ""}/${delivery.metadata.name}`;
  const spec: unknown = delivery.spec;
  if (!isJsonObject(spec))
    throw new SeamError({ reason: "BodyInvalid", object: what, field: "spec", expected: "is an object" });
  const { rollbackToRevision: _mutable, ...immutable } = spec;
  const body = Buffer.from(
    canonicalJson({
      apiVersion: delivery.apiVersion,
      kind: delivery.kind,
      namespace: delivery.metadata.namespace,
      name: delivery.metadata.name,
      spec: immutable,
    }),
  );
  if (body.length > MAX_PACK_DELIVERY_BODY_BYTES)
    throw new SeamError({
      reason: "TooLarge",
      object: what,
      expected: `its signed body has at most ${MAX_PACK_DELIVERY_BODY_BYTES} bytes, found ${body.length}`,
      remedy: "name fewer manifests in executionOrder",
    });
  return body;
}
