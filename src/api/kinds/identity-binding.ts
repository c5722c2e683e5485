// Generated from crds/ by `npm run generate`. Do not edit.
import type { KubeObject } from "../object.ts";
import type { ResourceType } from "../resource-type.ts";
import type { Condition } from "./condition.ts";
import type { SealedCausalChain } from "./sealed-causal-chain.ts";

/** IdentityBinding says which authenticated identity is a principal. */
export interface IdentityBinding extends KubeObject {
  readonly apiVersion: "guardian.ontai.dev/v1alpha1";
  readonly kind: "IdentityBinding";
  /** An identity and the principal it is. */
  readonly spec: IdentityBindingSpec;
  /** Observed state. */
  readonly status?: IdentityBindingStatus;
}

/** The served resource of {@link IdentityBinding}. */
export const IdentityBinding: ResourceType<IdentityBinding> = {
  group: "guardian.ontai.dev",
  version: "v1alpha1",
  resource: "identitybindings",
  kind: "IdentityBinding",
  namespaced: true,
};

/** An identity and the principal it is. */
export interface IdentityBindingSpec {
  /** How the identity authenticates. */
  readonly identityType: "oidc" | "serviceAccount" | "certificate";
  /** Principal of an RBACProfile of this namespace. */
  readonly principalName: string;
  /** What carries the identity. */
  readonly trustMethod: "mtls" | "token";
  /** An OpenID Connect identity; for identityType oidc. */
  readonly oidcConfig?: OidcIdentity;
  /** A service account; for identityType serviceAccount. */
  readonly serviceAccountConfig?: ServiceAccountIdentity;
  /** A client certificate; for identityType certificate. */
  readonly certificateConfig?: CertificateIdentity;
  /** Longest lifetime of a token, seconds; for trustMethod token more than 0 and at most 900. */
  readonly tokenMaxTTLSeconds?: number;
  /** IdentityProvider of this namespace; required for oidc and certificate. */
  readonly identityProviderRef?: string;
  /** Sealed causal chain: the root declaration this object descends from. Set at creation, immutable. */
  readonly lineage?: SealedCausalChain;
}

/** An OpenID Connect identity; for identityType oidc. */
export interface OidcIdentity {
  /** Issuer, as in the provider. */
  readonly issuer: string;
  /** Client that tokens are issued to. */
  readonly clientID?: string;
  /** Claim with the groups. */
  readonly groupsClaim?: string;
  /** Claim with the subject; default `sub`. */
  readonly usernameClaim?: string;
  /** The one subject that is the principal. */
  readonly subject?: string;
  /** Groups whose members are the principal; at least one of subject and groups. */
  readonly groups?: readonly string[];
}

/** A service account; for identityType serviceAccount. */
export interface ServiceAccountIdentity {
  /** Its name. */
  readonly name?: string;
  /** Its namespace. */
  readonly namespace?: string;
}

/** A client certificate; for identityType certificate. */
export interface CertificateIdentity {
  /** Common name of the subject. */
  readonly commonName?: string;
  /** Organization of the subject. */
  readonly organization?: string;
  /** The group of that organization is the principal, instead of the common name. */
  readonly matchOrganization?: boolean;
}

/** Observed state. */
export interface IdentityBindingStatus {
  /** metadata.generation last processed by the owning reconciler. */
  readonly observedGeneration?: number;
  /** For people. */
  readonly validationSummary?: string;
  /** Latest observations of the object's state, one entry per type, one writer per entry. */
  readonly conditions?: readonly Condition[];
}
