import type { LifecyclePolicies } from "../../api/kinds/lifecycle-policies.ts";
import { canonicalJson, parseCanonicalJson } from "../../base/canonical-json.ts";
import type { JsonObject } from "../../base/json.ts";
import { readLifecyclePolicies } from "./lifecycle-policies.ts";
import { StrictObject } from "./strict-object.ts";

/**
 * The only reason to remove something from a tenant: a signed statement that the governed object is gone. Signed as
 * payload type `tombstone`.
 */
export interface Tombstone {
  readonly _type: "Tombstone/v1";
  readonly cluster: string;
  /** Item kind, for example `PackInstalled`. */
  readonly kind: string;
  /** Item name. */
  readonly name: string;
  /** UID of the removed object; must be the one the agent accepted. */
  readonly uid: string;
  /** Higher than any serial accepted for the name. */
  readonly serial: number;
  readonly lifecyclePolicies: LifecyclePolicies;
  /** RFC 3339. */
  readonly issuedAt: string;
}

/** Canonical body: the bytes that are signed. */
export function encodeTombstone(tombstone: Tombstone): Uint8Array {
  const body = Buffer.from(canonicalJson(tombstone as unknown as JsonObject));
  parseTombstone(body);
  return body;
}

/** Parses verified bytes. @throws SeamError `NotCanonical`, `BodyInvalid` */
export function parseTombstone(body: Uint8Array): Tombstone {
  const from = new StrictObject(parseCanonicalJson(body), "tombstone");
  const tombstone: Tombstone = {
    _type: from.choice("_type", ["Tombstone/v1"]),
    cluster: from.text("cluster", { max: 253 }),
    kind: from.text("kind", { max: 63 }),
    name: from.text("name", { max: 253 }),
    uid: from.text("uid", { max: 128 }),
    serial: from.integer("serial", 1),
    lifecyclePolicies: readLifecyclePolicies(from.object("lifecyclePolicies")),
    issuedAt: from.text("issuedAt", { max: 64 }),
  };
  from.end();
  return tombstone;
}
