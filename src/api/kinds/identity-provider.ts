// Generated from crds/ by `npm run generate`. Do not edit.
import type { KubeObject } from "../object.ts";
import type { ResourceType } from "../resource-type.ts";
import type { Condition } from "./condition.ts";
import type { SealedCausalChain } from "./sealed-causal-chain.ts";

/** IdentityProvider is a trust anchor: who may say who somebody is. */
export interface IdentityProvider extends KubeObject {
  readonly apiVersion: "guardian.ontai.dev/v1alpha1";
  readonly kind: "IdentityProvider";
  /** A trust anchor. */
  readonly spec: IdentityProviderSpec;
  /** Observed state. */
  readonly status?: IdentityProviderStatus;
}

/** The served resource of {@link IdentityProvider}. */
export const IdentityProvider: ResourceType<IdentityProvider> = {
  group: "guardian.ontai.dev",
  version: "v1alpha1",
  resource: "identityproviders",
  kind: "IdentityProvider",
  namespaced: true,
};

/** A trust anchor. */
export interface IdentityProviderSpec {
  /** Kind of trust anchor. */
  readonly type: "oidc" | "pki" | "token";
  /** Issuer of OpenID Connect tokens, https; for type oidc. */
  readonly issuerURL?: string;
  /** Certificates of authorities, PEM; for type pki. */
  readonly caBundle?: string;
  /** Public key that verifies tokens, PEM; for type token. */
  readonly tokenSigningKey?: string;
  /** Audiences a token may be for; empty is any, and type oidc names at least one. */
  readonly allowedAudiences?: readonly string[];
  /** CEL expressions over `claims`; all of them must hold. */
  readonly validationRules?: readonly string[];
  /** Sealed causal chain: the root declaration this object descends from. Set at creation, immutable. */
  readonly lineage?: SealedCausalChain;
}

/** Observed state. */
export interface IdentityProviderStatus {
  /** metadata.generation last processed by the owning reconciler. */
  readonly observedGeneration?: number;
  /** For people. */
  readonly validationSummary?: string;
  /** Latest observations of the object's state, one entry per type, one writer per entry. */
  readonly conditions?: readonly Condition[];
}
