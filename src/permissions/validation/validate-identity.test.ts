import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { IdentityBinding, IdentityBindingSpec } from "../../api/kinds/identity-binding.ts";
import type { IdentityProvider, IdentityProviderSpec } from "../../api/kinds/identity-provider.ts";
import { boundSubjects } from "../builder/bound-subjects.ts";
import { validateIdentityBinding } from "./validate-identity-binding.ts";
import { validateIdentityProvider } from "./validate-identity-provider.ts";
import { passed, refused } from "./verdict.ts";

const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const PUBLIC = publicKey.export({ type: "spki", format: "pem" }).toString();
const PRIVATE = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const ISSUER = "https://sso.example.net";
const OIDC: IdentityProviderSpec = { type: "oidc", issuerURL: ISSUER, allowedAudiences: ["seam"] };

function provider(spec: IdentityProviderSpec): IdentityProvider {
  const metadata = { name: "sso", namespace: "seam-tenant-c1" };
  return { apiVersion: "guardian.ontai.dev/v1alpha1", kind: "IdentityProvider", metadata, spec };
}

function binding(spec: Partial<IdentityBindingSpec>): IdentityBinding {
  return {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "IdentityBinding",
    metadata: { name: "ada", namespace: "seam-tenant-c1" },
    spec: {
      identityType: "oidc",
      principalName: "ada",
      trustMethod: "token",
      tokenMaxTTLSeconds: 900,
      identityProviderRef: "sso",
      oidcConfig: { issuer: ISSUER, subject: "ada" },
      ...spec,
    },
  };
}

describe("validateIdentityProvider", () => {
  it.each<readonly [string, IdentityProviderSpec, readonly string[]]>([
    ["an issuer with audiences", OIDC, []],
    ["plain http", { ...OIDC, issuerURL: "http://sso.example.net" }, ["IssuerURLValid"]],
    ["credentials in the URL", { ...OIDC, issuerURL: "https://a:b@sso.example.net" }, ["IssuerURLValid"]],
    ["everything missing", { type: "oidc" }, ["IssuerURLValid", "AudiencesNotEmpty"]],
    ["a public key", { type: "token", tokenSigningKey: PUBLIC }, []],
    ["a private key", { type: "token", tokenSigningKey: PRIVATE }, ["TokenSigningKeyValid"]],
    ["no key", { type: "token", tokenSigningKey: "hello" }, ["TokenSigningKeyValid"]],
    ["no certificate", { type: "pki", caBundle: "hello" }, ["CABundleValid"]],
    [
      "a broken certificate",
      { type: "pki", caBundle: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----" },
      ["CABundleValid"],
    ],
    ["a rule over claims", { ...OIDC, validationRules: ["claims.email.endsWith('@example.net')"] }, []],
    [
      "rules that are none",
      { ...OIDC, validationRules: ["claims.", "other == 1"] },
      ["ValidationRuleParses[0]", "ValidationRuleParses[1]"],
    ],
  ])("%s", (_name, spec, checks) => {
    const verdict = validateIdentityProvider(provider(spec));
    expect(verdict.failed.map(({ check }) => check)).toEqual(checks);
    expect([verdict.ok, verdict.reason]).toEqual(checks.length === 0 ? [true, "Valid"] : [false, "Invalid"]);
  });

  it("says object, field, expectation and remedy, and never shows a private key", () => {
    const { message } = validateIdentityProvider(provider({ type: "token", tokenSigningKey: PRIVATE }));
    expect(message).toBe(
      "TokenSigningKeyValid: IdentityProvider seam-tenant-c1/sso: spec.tokenSigningKey: a public key in PEM for type token, found a private key; put the public key",
    );
  });
});

describe("validateIdentityBinding", () => {
  const sso = { object: provider(OIDC), verdict: passed("Valid", "") };
  const judge = (spec: Partial<IdentityBindingSpec>, around = { provider: sso as typeof sso | undefined }) =>
    validateIdentityBinding(binding(spec), { principalKnown: true, ...around });
  const certificate: Partial<IdentityBindingSpec> = {
    identityType: "certificate",
    trustMethod: "mtls",
    certificateConfig: { commonName: "ada" },
  };
  const pki = { object: provider({ type: "pki" }), verdict: passed("Valid", "") };

  it.each<readonly [string, Partial<IdentityBindingSpec>, string]>([
    ["a subject of an issuer", {}, "TrustAnchorResolved"],
    ["a token that lives too long", { tokenMaxTTLSeconds: 901 }, "TokenTTLExceeded"],
    ["a token that lives for ever", { tokenMaxTTLSeconds: 0 }, "TokenTTLExceeded"],
    ["W23: every identity of an issuer", { oidcConfig: { issuer: ISSUER } }, "ValidationFailed"],
    [
      "another issuer than the provider's",
      { oidcConfig: { issuer: "https://x", subject: "a" } },
      "TrustAnchorTypeMismatch",
    ],
    ["no provider for oidc", { identityProviderRef: "" }, "TrustAnchorNotFound"],
    ["a certificate under an oidc provider", certificate, "TrustAnchorTypeMismatch"],
    ["a certificate by token", { ...certificate, trustMethod: "token" }, "TrustMethodMismatch"],
    ["an empty principal", { principalName: "" }, "ValidationFailed"],
    ["control characters", { oidcConfig: { issuer: ISSUER, subject: "a\0b" } }, "ValidationFailed"],
  ])("%s", (_name, spec, reason) => {
    expect(judge(spec).reason).toBe(reason);
  });

  it("looks at the provider's own verdict, at its existence and at the namespace's principals", () => {
    expect(judge({}, { provider: { object: sso.object, verdict: refused("Invalid", []) } }).reason).toBe(
      "TrustAnchorInvalid",
    );
    expect(judge({}, { provider: undefined }).reason).toBe("TrustAnchorNotFound");
    expect(judge(certificate, { provider: pki }).reason).toBe("TrustAnchorResolved");
    expect(validateIdentityBinding(binding({}), { provider: sso, principalKnown: false }).reason).toBe(
      "PrincipalNotInNamespace",
    );
  });

  it("reports every failed check, not the first", () => {
    const verdict = judge(
      {
        principalName: " ",
        trustMethod: "token",
        tokenMaxTTLSeconds: 5_000,
        identityType: "serviceAccount",
        serviceAccountConfig: {},
      },
      { provider: sso },
    );
    expect(verdict.failed.map(({ check }) => check)).toEqual([
      "PrincipalNameNotEmpty",
      "TokenTTLValid",
      "AccountNameNotEmpty",
      "AccountNamespaceNotEmpty",
      "ProviderTypeMatches",
    ]);
    expect(verdict.message).toContain(
      "TokenTTLValid: IdentityBinding seam-tenant-c1/ada: spec.tokenMaxTTLSeconds: 1 to 900 seconds for trustMethod token, found 5000; shorten the lifetime of tokens",
    );
  });

  it("makes subjects of identities", () => {
    const names = (spec: Partial<IdentityBindingSpec>) =>
      boundSubjects(binding(spec)).map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`);
    expect(names({ oidcConfig: { issuer: ISSUER, subject: "a", groups: ["g"] } })).toEqual([
      `User /oidc:${ISSUER}#a`,
      `Group /oidc:${ISSUER}#g`,
    ]);
    expect(names(certificate)).toEqual(["User /ada"]);
    const organization = { commonName: "ada", organization: "ops", matchOrganization: true };
    expect(names({ ...certificate, certificateConfig: organization })).toEqual(["Group /ops"]);
    const account = { name: "x", namespace: "y" };
    expect(names({ identityType: "serviceAccount", serviceAccountConfig: account })).toEqual(["ServiceAccount y/x"]);
  });
});
