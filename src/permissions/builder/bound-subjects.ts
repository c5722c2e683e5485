import type { IdentityBinding } from "../../api/kinds/identity-binding.ts";
import type { SubjectName } from "../rules/principal.ts";

function user(name: string): SubjectName {
  return { kind: "User", namespace: "", name };
}

function group(name: string): SubjectName {
  return { kind: "Group", namespace: "", name };
}

/** Subjects that a valid IdentityBinding makes of its principal (permissions §8.2 step 4). */
export function boundSubjects({ spec }: IdentityBinding): readonly SubjectName[] {
  switch (spec.identityType) {
    case "oidc": {
      const { issuer = "", subject = "", groups = [] } = spec.oidcConfig ?? {};
      const named = groups.map((name) => group(`oidc:${issuer}#${name}`));
      return subject === "" ? named : [user(`oidc:${issuer}#${subject}`), ...named];
    }
    case "serviceAccount": {
      const { name = "", namespace = "" } = spec.serviceAccountConfig ?? {};
      return [{ kind: "ServiceAccount", namespace, name }];
    }
    case "certificate": {
      const { commonName = "", organization = "", matchOrganization = false } = spec.certificateConfig ?? {};
      return [matchOrganization ? group(organization) : user(commonName)];
    }
  }
}
