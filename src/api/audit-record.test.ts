import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { AUDIT_ACTIONS, LINEAGE_RECORD_REF, auditObject } from "./audit-record.ts";
import { RBACProfile } from "./kinds/rbac-profile.ts";

it("docs/audit.md says of every action when it is recorded", () => {
  const text = readFileSync(new URL("../../docs/audit.md", import.meta.url), "utf8");
  expect(AUDIT_ACTIONS.filter((action) => !text.includes(`\`${action}\``))).toEqual([]);
});

it("names an object and the LineageRecord of its root", () => {
  const metadata = { name: "web", namespace: "seam-tenant-east" };
  expect(auditObject(RBACProfile, metadata)).toEqual({
    resource: "rbacprofiles.guardian.ontai.dev/web",
    kind: "RBACProfile",
    namespace: "seam-tenant-east",
  });
  const annotated = (value: string) =>
    auditObject(RBACProfile, { ...metadata, annotations: { [LINEAGE_RECORD_REF]: value } });
  expect(annotated("seam-system/root").lineageIndexRef).toEqual({ namespace: "seam-system", name: "root" });
  expect(annotated("root").lineageIndexRef).toEqual({ namespace: "seam-tenant-east", name: "root" });
});
