import { X509Certificate, createPublicKey } from "node:crypto";
import { Environment } from "@marcbachmann/cel-js";
import type { IdentityProvider } from "../../api/kinds/identity-provider.ts";
import { errorMessage } from "../../base/errors.ts";
import { type FailedCheck, type Verdict, objectText, passed, refused } from "./verdict.ts";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;
/** Most certificates in one bundle. */
const MAX_CERTIFICATES = 100;

type Fail = (check: string, field: string, expected: string, remedy: string) => void;

/** Why a text is no bundle of certificates; undefined when it is one. */
function bundleProblem(pem: string): string | undefined {
  const blocks = pem.match(CERTIFICATE) ?? [];
  if (blocks.length === 0) return "none";
  if (blocks.length > MAX_CERTIFICATES) return `${blocks.length} certificates`;
  for (const [i, block] of blocks.entries())
    try {
      if (!new X509Certificate(block).ca) return `certificate ${i + 1}, which is not an authority's`;
    } catch (error) {
      return `certificate ${i + 1}, which cannot be read (${errorMessage(error)})`;
    }
  return undefined;
}

/** Why a text is no public key; undefined when it is one. A private key has no business in an object that many may read. */
function keyProblem(pem: string): string | undefined {
  if (pem.includes("PRIVATE KEY")) return "a private key";
  try {
    createPublicKey(pem);
    return undefined;
  } catch (error) {
    return `what cannot be read (${errorMessage(error)})`;
  }
}

/** Why an issuer is no issuer; undefined when it is one (OpenID Connect Discovery §3: https, no query, no fragment). */
function issuerProblem(issuer: string): string | undefined {
  const url = URL.parse(issuer);
  if (url === null || url.protocol !== "https:") return JSON.stringify(issuer);
  if (url.username !== "" || url.password !== "") return "credentials in the URL";
  return url.search !== "" || url.hash !== "" ? "a query or fragment" : undefined;
}

/** Why an expression is no CEL; undefined when it is. */
function expressionProblem(expression: string): string | undefined {
  try {
    const { valid, error } = new Environment().registerVariable("claims", "dyn").parse(expression).check();
    return valid ? undefined : (error?.message.split("\n")[0] ?? "an error");
  } catch (error) {
    return errorMessage(error).split("\n")[0] ?? "an error";
  }
}

function checkAnchor({ spec }: IdentityProvider, fail: Fail): void {
  const { type, issuerURL = "", caBundle = "", tokenSigningKey = "", allowedAudiences = [] } = spec;
  switch (type) {
    case "oidc": {
      const problem = issuerProblem(issuerURL);
      if (problem !== undefined)
        fail("IssuerURLValid", "spec.issuerURL", `an https URL for type oidc, found ${problem}`, "name the issuer");
      if (allowedAudiences.length === 0)
        fail(
          "AudiencesNotEmpty",
          "spec.allowedAudiences",
          "at least one audience for type oidc, found none",
          "name the audience that tokens for this fleet carry",
        );
      return;
    }
    case "pki": {
      const problem = bundleProblem(caBundle);
      if (problem !== undefined)
        fail(
          "CABundleValid",
          "spec.caBundle",
          `certificates of authorities in PEM for type pki, found ${problem}`,
          "correct the bundle",
        );
      return;
    }
    case "token": {
      const problem = keyProblem(tokenSigningKey);
      if (problem !== undefined)
        fail(
          "TokenSigningKeyValid",
          "spec.tokenSigningKey",
          `a public key in PEM for type token, found ${problem}`,
          "put the public key",
        );
      return;
    }
    default:
      fail("TypeValid", "spec.type", `oidc, pki or token, found ${JSON.stringify(type)}`, "choose one");
  }
}

/** Checks an IdentityProvider, all of it (permissions §2.6); condition Valid. */
export function validateIdentityProvider(provider: IdentityProvider): Verdict {
  const object = objectText("IdentityProvider", provider.metadata);
  const failed: FailedCheck[] = [];
  const fail: Fail = (check, field, expected, remedy) => failed.push({ check, object, field, expected, remedy });
  checkAnchor(provider, fail);
  const { allowedAudiences = [], validationRules = [] } = provider.spec;
  for (const [i, audience] of allowedAudiences.entries())
    if (audience.trim() === "")
      fail(
        `AudienceNotEmpty[${i}]`,
        `spec.allowedAudiences[${i}]`,
        "an audience, found none",
        "remove the empty entry",
      );
  for (const [i, expression] of validationRules.entries()) {
    const problem = expressionProblem(expression);
    if (problem !== undefined)
      fail(
        `ValidationRuleParses[${i}]`,
        `spec.validationRules[${i}]`,
        `a CEL expression, found: ${problem}`,
        "correct the expression",
      );
  }
  return failed.length === 0
    ? passed("Valid", `trust anchor of type ${provider.spec.type}`)
    : refused("Invalid", failed);
}
