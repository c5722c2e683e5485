import { isIP } from "node:net";
import { isMap, type Json, type JsonMap, member, memberMap, memberText } from "../../json/mutable-json.ts";
import { subdomainProblem } from "../../metadata/names.ts";
import { type FieldError, forbiddenField, invalidValue, notSupported, required } from "../../status-errors.ts";
import type { KindRules } from "../served-resource.ts";

function mapsOf(map: JsonMap, field: string): readonly JsonMap[] {
  const value = member(map, field);
  return Array.isArray(value) ? value.filter(isMap) : [];
}

function isCidr(text: string): boolean {
  const [address = "", bits = "", rest] = text.split("/");
  const family = isIP(address);
  return family !== 0 && rest === undefined && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
}

function checkPeer(peer: JsonMap, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const block = memberMap(peer, "ipBlock");
  const others = ["podSelector", "namespaceSelector"].filter((name) => member(peer, name) !== undefined);
  if (!block && others.length === 0) return [required(path, "must specify a peer")];
  if (!block) return [];
  const cidr = memberText(block, "cidr");
  const form = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
  if (cidr === "") errors.push(required(`${path}.ipBlock.cidr`));
  else if (!isCidr(cidr)) errors.push(invalidValue(`${path}.ipBlock.cidr`, cidr, form));
  const except = member(block, "except");
  (Array.isArray(except) ? except : []).forEach((range: Json, i) => {
    if (typeof range !== "string" || !isCidr(range))
      errors.push(invalidValue(`${path}.ipBlock.except[${i}]`, range, form));
  });
  if (others.length > 0) errors.push(forbiddenField(path, "may not specify both ipBlock and another peer"));
  return errors;
}

export const networkPolicyRules: KindRules = {
  applyDefaults(object) {
    const spec = memberMap(object, "spec");
    if (!spec || Array.isArray(spec["policyTypes"])) return;
    const egress = Array.isArray(spec["egress"]) && spec["egress"].length > 0;
    spec["policyTypes"] = egress ? ["Ingress", "Egress"] : ["Ingress"];
  },
  validate(object) {
    const spec = memberMap(object, "spec") ?? {};
    const errors: FieldError[] = [];
    for (const [direction, peers] of [
      ["ingress", "from"],
      ["egress", "to"],
    ] as const) {
      mapsOf(spec, direction).forEach((rule, i) => {
        mapsOf(rule, peers).forEach((peer, j) =>
          errors.push(...checkPeer(peer, `spec.${direction}[${i}].${peers}[${j}]`)),
        );
      });
    }
    const types = member(spec, "policyTypes");
    (Array.isArray(types) ? types : []).forEach((type: Json, i) => {
      if (type !== "Ingress" && type !== "Egress")
        errors.push(notSupported(`spec.policyTypes[${i}]`, type, ["Ingress", "Egress"]));
    });
    return errors;
  },
};

const PATH_TYPES = ["Exact", "ImplementationSpecific", "Prefix"];

function checkPath(path: JsonMap, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const type = memberText(path, "pathType");
  const text = memberText(path, "path");
  if (type === "") errors.push(required(`${at}.pathType`, "pathType must be specified"));
  else if (!PATH_TYPES.includes(type)) errors.push(notSupported(`${at}.pathType`, type, PATH_TYPES));
  else if (text !== "" && !text.startsWith("/"))
    errors.push(invalidValue(`${at}.path`, text, "must be an absolute path"));
  return errors;
}

export const ingressRules: KindRules = {
  validate(object) {
    const errors: FieldError[] = [];
    mapsOf(memberMap(object, "spec") ?? {}, "rules").forEach((rule, i) => {
      const host = memberText(rule, "host");
      const problem = host === "" ? undefined : subdomainProblem(host.replace(/^\*\./, ""));
      if (problem) errors.push(invalidValue(`spec.rules[${i}].host`, host, problem));
      mapsOf(memberMap(rule, "http") ?? {}, "paths").forEach((path, j) =>
        errors.push(...checkPath(path, `spec.rules[${i}].http.paths[${j}]`)),
      );
    });
    return errors;
  },
};
