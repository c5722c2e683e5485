import { Secret } from "../../../api/builtin.ts";
import { signedPackSecretName, tenantNamespace } from "../../../api/names.ts";
import { digestOf } from "../../../base/digest.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import { parsePackManifest } from "../../../packs/manifest/pack-manifest.ts";
import { decodeEnvelope } from "../../../trust/dsse.ts";
import type { SignedManifestRef } from "./acknowledgement.ts";

/** Most serials remembered; the oldest leaves. */
const MAX_SERIALS = 20_000;

/** Says what was signed for a pack on a cluster, from the Secret the signer wrote. */
export class SignedManifests {
  readonly #cluster: Cluster;
  /** Serial by envelope digest: a manifest of thousands of objects is parsed once, not once per report. */
  readonly #serials = new Map<string, number>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Undefined when nothing readable was signed. */
  async read(cluster: string, packInstalled: string): Promise<SignedManifestRef | undefined> {
    const key = { namespace: tenantNamespace(cluster), name: signedPackSecretName(cluster, packInstalled) };
    const secret = await ifPresent(this.#cluster.get(Secret, key));
    const encoded = secret?.data?.["envelope"];
    if (encoded === undefined) return undefined;
    const bytes = Buffer.from(encoded, "base64");
    const digest = digestOf(bytes);
    const serial = this.#serials.get(digest) ?? serialOf(bytes);
    if (serial === undefined) return undefined;
    this.#remember(digest, serial);
    return { serial, digest };
  }

  #remember(digest: string, serial: number): void {
    this.#serials.set(digest, serial);
    if (this.#serials.size <= MAX_SERIALS) return;
    const [oldest] = this.#serials.keys();
    if (oldest !== undefined) this.#serials.delete(oldest);
  }
}

function serialOf(bytes: Uint8Array): number | undefined {
  const envelope = decodeEnvelope(bytes);
  if (envelope === undefined) return undefined;
  try {
    return parsePackManifest(envelope.body).serial;
  } catch {
    return undefined; // a Secret that holds no manifest signs nothing
  }
}
