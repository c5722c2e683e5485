import type { IdentityBinding } from "../../api/kinds/identity-binding.ts";
import type { IdentityProvider } from "../../api/kinds/identity-provider.ts";
import { isPlainText } from "../rules/plain-text.ts";
import { type FailedCheck, type Verdict, objectText, passed, refused } from "./verdict.ts";

/** Longest lifetime of a token that may stand for a principal, seconds (permissions §2.7). */
export const MAX_TOKEN_TTL_SECONDS = 900;

/** What a binding is judged by: objects of its own namespace. */
export interface BindingSurroundings {
  /** The provider it names, with the verdict on it; undefined when there is none. */
  readonly provider: { readonly object: IdentityProvider; readonly verdict: Verdict } | undefined;
  /** A profile of the same namespace has the principal. */
  readonly principalKnown: boolean;
}

/** Type of provider that each type of identity needs. */
const PROVIDER_TYPES = { oidc: "oidc", certificate: "pki", serviceAccount: "token" } as const;

/** Reasons in the order in which they stand for the whole; all failures are in the message. */
const REASONS = [
  "ValidationFailed",
  "TokenTTLExceeded",
  "TrustMethodMismatch",
  "TrustAnchorNotFound",
  "TrustAnchorTypeMismatch",
  "TrustAnchorInvalid",
  "PrincipalNotInNamespace",
] as const;
type Reason = (typeof REASONS)[number];
type Fail = (reason: Reason, check: string, field: string, expected: string, remedy: string) => void;

function checkForm({ spec }: IdentityBinding, fail: Fail): void {
  const { identityType, principalName, trustMethod, tokenMaxTTLSeconds: ttl = 0 } = spec;
  if (principalName.trim() === "")
    fail("ValidationFailed", "PrincipalNameNotEmpty", "spec.principalName", "a principal, found none", "name it");
  if (!Object.hasOwn(PROVIDER_TYPES, identityType))
    fail(
      "ValidationFailed",
      "IdentityTypeValid",
      "spec.identityType",
      `oidc, serviceAccount or certificate, found ${JSON.stringify(identityType)}`,
      "choose one",
    );
  if (!["mtls", "token"].includes(trustMethod))
    fail(
      "ValidationFailed",
      "TrustMethodValid",
      "spec.trustMethod",
      `mtls or token, found ${JSON.stringify(trustMethod)}`,
      "choose one",
    );
  if (trustMethod === "token" && (ttl <= 0 || ttl > MAX_TOKEN_TTL_SECONDS))
    fail(
      "TokenTTLExceeded",
      "TokenTTLValid",
      "spec.tokenMaxTTLSeconds",
      `1 to ${MAX_TOKEN_TTL_SECONDS} seconds for trustMethod token, found ${ttl}`,
      "shorten the lifetime of tokens",
    );
  if (trustMethod === "token" && identityType === "certificate")
    fail(
      "TrustMethodMismatch",
      "TrustMethodMatches",
      "spec.trustMethod",
      "mtls for identityType certificate, found token",
      "set trustMethod: mtls",
    );
}

/** Every text that becomes part of a subject: one broken name must not make a tenant refuse its whole snapshot. */
function checkText({ spec }: IdentityBinding, fail: Fail): void {
  const { oidcConfig, serviceAccountConfig, certificateConfig } = spec;
  const texts: readonly (readonly [string, string | undefined])[] = [
    ["spec.principalName", spec.principalName],
    ["spec.oidcConfig.issuer", oidcConfig?.issuer],
    ["spec.oidcConfig.subject", oidcConfig?.subject],
    ...(oidcConfig?.groups ?? []).map((name, i) => [`spec.oidcConfig.groups[${i}]`, name] as const),
    ["spec.serviceAccountConfig.name", serviceAccountConfig?.name],
    ["spec.serviceAccountConfig.namespace", serviceAccountConfig?.namespace],
    ["spec.certificateConfig.commonName", certificateConfig?.commonName],
    ["spec.certificateConfig.organization", certificateConfig?.organization],
  ];
  for (const [field, text] of texts)
    if (text !== undefined && !isPlainText(text))
      fail(
        "ValidationFailed",
        "TextWellFormed",
        field,
        `text without control or broken characters, found ${JSON.stringify(text)}`,
        "correct it",
      );
}

function checkConfig({ spec }: IdentityBinding, fail: Fail): void {
  const missing = (check: string, field: string, expected: string): void =>
    fail("ValidationFailed", check, field, `${expected}, found none`, "fill it in");
  switch (spec.identityType) {
    case "oidc": {
      const { issuer = "", subject = "", groups = [] } = spec.oidcConfig ?? {};
      if (issuer === "") missing("IssuerNotEmpty", "spec.oidcConfig.issuer", "the issuer");
      if (subject === "" && groups.length === 0)
        missing(
          "SubjectOrGroups",
          "spec.oidcConfig.subject",
          "a subject or groups: else every identity of the issuer would be the principal",
        );
      return;
    }
    case "serviceAccount": {
      const { name = "", namespace = "" } = spec.serviceAccountConfig ?? {};
      if (name === "") missing("AccountNameNotEmpty", "spec.serviceAccountConfig.name", "a name");
      if (namespace === "") missing("AccountNamespaceNotEmpty", "spec.serviceAccountConfig.namespace", "a namespace");
      return;
    }
    case "certificate": {
      const { commonName = "", organization = "", matchOrganization = false } = spec.certificateConfig ?? {};
      if (commonName === "") missing("CommonNameNotEmpty", "spec.certificateConfig.commonName", "a common name");
      if (matchOrganization && organization === "")
        missing("OrganizationNotEmpty", "spec.certificateConfig.organization", "an organization to match");
    }
  }
}

function checkAnchor({ metadata, spec }: IdentityBinding, around: BindingSurroundings, fail: Fail): void {
  const { identityProviderRef: name = "", identityType } = spec;
  const field = "spec.identityProviderRef";
  if (name === "") {
    if (identityType !== "serviceAccount")
      fail(
        "TrustAnchorNotFound",
        "ProviderNamed",
        field,
        `an IdentityProvider for ${identityType}, found none`,
        "name it",
      );
    return;
  }
  const where = `IdentityProvider ${metadata.namespace ?? ""}/${name}`;
  if (around.provider === undefined) {
    fail("TrustAnchorNotFound", "ProviderExists", field, `${where} exists, found none`, "create it or name another");
    return;
  }
  const { object, verdict } = around.provider;
  const wanted = PROVIDER_TYPES[identityType];
  if (object.spec.type !== wanted)
    fail(
      "TrustAnchorTypeMismatch",
      "ProviderTypeMatches",
      field,
      `${where} is of type ${wanted} for ${identityType}, found ${object.spec.type}`,
      "name a provider of that type",
    );
  else if (identityType === "oidc" && spec.oidcConfig?.issuer !== object.spec.issuerURL)
    fail(
      "TrustAnchorTypeMismatch",
      "IssuerMatches",
      "spec.oidcConfig.issuer",
      `the issuer of ${where}, ${object.spec.issuerURL ?? "none"}, found ${spec.oidcConfig?.issuer ?? "none"}`,
      "write the issuer as the provider has it",
    );
  if (!verdict.ok)
    fail(
      "TrustAnchorInvalid",
      "ProviderValid",
      field,
      `${where} is valid, found: ${verdict.message}`,
      "correct that provider",
    );
}

/** Checks an IdentityBinding, all of it (permissions §2.7); condition IdentityBindingValid. */
export function validateIdentityBinding(binding: IdentityBinding, around: BindingSurroundings): Verdict {
  const object = objectText("IdentityBinding", binding.metadata);
  const failed: FailedCheck[] = [];
  const reasons = new Set<Reason>();
  const fail: Fail = (reason, check, field, expected, remedy) => {
    reasons.add(reason);
    failed.push({ check, object, field, expected, remedy });
  };
  checkForm(binding, fail);
  checkText(binding, fail);
  checkConfig(binding, fail);
  checkAnchor(binding, around, fail);
  const { namespace = "" } = binding.metadata;
  if (binding.spec.principalName !== "" && !around.principalKnown)
    fail(
      "PrincipalNotInNamespace",
      "PrincipalInNamespace",
      "spec.principalName",
      `the principal of an RBACProfile in ${namespace}, found ${binding.spec.principalName}`,
      "create the binding where the profile is",
    );
  const reason = REASONS.find((each) => reasons.has(each));
  if (reason !== undefined) return refused(reason, failed);
  return binding.spec.identityProviderRef === undefined
    ? passed("Valid", "a service account needs no provider")
    : passed("TrustAnchorResolved", `IdentityProvider ${binding.spec.identityProviderRef}`);
}
