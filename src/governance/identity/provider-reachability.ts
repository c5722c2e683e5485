import { IdentityProvider } from "../../api/kinds/identity-provider.ts";
import { FIELD_MANAGERS } from "../../api/names.ts";
import type { Clock } from "../../base/clock.ts";
import { type Random, jittered } from "../../base/random.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { Informer } from "../../controller/cache/informer.ts";
import type { Reconciler } from "../../controller/controller.ts";
import { applyStatus } from "../../controller/status.ts";
import { validateIdentityProvider } from "../../permissions/validation/validate-identity-provider.ts";
import { probeIssuer } from "./probe-issuer.ts";

/** How often an issuer is asked, milliseconds; jittered, so that a fleet's issuers are not asked together (permissions §2.6). */
const EVERY_MS = 5 * 60_000;

/** What the reconciler works with. */
export interface ReachabilityParts {
  readonly cluster: Cluster;
  readonly providers: Informer<IdentityProvider>;
  /** Fencing check before leader-only writes. @throws NotLeading */
  readonly assertFenced: () => void;
  readonly clock: Clock;
  readonly random: Random;
}

/** Keeps condition Reachable of OIDC providers; it never decides anything, since a short outage of an issuer revokes nothing. */
export function providerReachability(parts: ReachabilityParts): Reconciler {
  return async (key, signal) => {
    const provider = parts.providers.get(key);
    if (provider === undefined || provider.metadata.deletionTimestamp !== undefined) return;
    const { type, issuerURL = "" } = provider.spec;
    const asked = type === "oidc" && validateIdentityProvider(provider).ok;
    const probe = asked ? await probeIssuer(issuerURL, { signal }) : undefined;
    parts.assertFenced();
    const condition = probe && {
      type: "Reachable",
      status: probe.reachable ? ("True" as const) : ("False" as const),
      reason: probe.reachable ? "Reachable" : "Unreachable",
      message: probe.message,
      observedGeneration: provider.metadata.generation ?? 0,
    };
    const current = parts.providers.get(key);
    if (current === undefined || current.metadata.uid !== provider.metadata.uid) return;
    const content = condition === undefined ? {} : { conditions: [condition] };
    await applyStatus(parts, IdentityProvider, current, content, FIELD_MANAGERS.identityProbe);
    return probe === undefined ? undefined : { requeueAfterMs: jittered(parts.random, EVERY_MS) };
  };
}
