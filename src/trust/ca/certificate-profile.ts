import { isIP } from "node:net";
import { SeamError } from "../../base/errors.ts";
import { clusterIdFault } from "../identity/cluster-id.ts";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  SubjectAlternativeNameExtension,
} from "./x509-library.ts";

/** What a leaf certificate is for. Each kind has its own fixed key usages, so none can stand in for another. */
export type CertificateProfile =
  | {
      /** A server: hub, API server, PermissionService, webhooks. At least one name. */
      readonly kind: "server";
      readonly commonName: string;
      readonly dnsNames: readonly string[];
      readonly ipAddresses: readonly string[];
    }
  | {
      /** A tenant's agent: client only, its one SAN is the cluster id. */
      readonly kind: "tenant";
      readonly cluster: string;
    }
  | {
      /** A person or program that calls the internal services: CN is the user, O are the groups. No SAN. */
      readonly kind: "operator";
      readonly user: string;
      readonly groups: readonly string[];
    };

/** Subject and extensions of a profile. */
export interface CertificateContent {
  readonly subject: Name;
  readonly extensions: readonly Extension[];
}

/** Most names of one server certificate. */
const MAX_NAMES = 64;

/** @throws SeamError `CertificateProfileInvalid` */
export function certificateContent(profile: CertificateProfile): CertificateContent {
  const leaf = [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
  ];
  switch (profile.kind) {
    case "server":
      return {
        subject: subject(profile.commonName),
        extensions: [...leaf, new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]), serverNames(profile)],
      };
    case "tenant": {
      const fault = clusterIdFault(profile.cluster);
      if (fault !== undefined) throw invalid(`tenant certificate "${profile.cluster}"`, "cluster", fault);
      return {
        subject: subject(profile.cluster, ["seam:tenants"]),
        extensions: [
          ...leaf,
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]),
          new SubjectAlternativeNameExtension([{ type: "dns", value: profile.cluster }]),
        ],
      };
    }
    case "operator":
      if (profile.user === "") throw invalid("operator certificate", "user", "a user name is required");
      return {
        subject: subject(profile.user, profile.groups),
        extensions: [...leaf, new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth])],
      };
  }
}

function subject(commonName: string, organizations: readonly string[] = []): Name {
  return new Name([{ CN: [commonName] }, ...organizations.map((organization) => ({ O: [organization] }))]);
}

function serverNames(profile: CertificateProfile & { readonly kind: "server" }): SubjectAlternativeNameExtension {
  const object = `server certificate "${profile.commonName}"`;
  const count = profile.dnsNames.length + profile.ipAddresses.length;
  if (count === 0) throw invalid(object, "dnsNames", "at least one DNS name or IP address is required");
  if (count > MAX_NAMES) throw invalid(object, "dnsNames", `at most ${MAX_NAMES} names, found ${count}`);
  for (const address of profile.ipAddresses)
    if (isIP(address) === 0) throw invalid(object, "ipAddresses", `IP addresses, found "${address}"`);
  return new SubjectAlternativeNameExtension([
    ...profile.dnsNames.map((value) => ({ type: "dns" as const, value })),
    ...profile.ipAddresses.map((value) => ({ type: "ip" as const, value })),
  ]);
}

function invalid(object: string, field: string, expected: string): SeamError {
  return new SeamError({ reason: "CertificateProfileInvalid", object, field, expected });
}
