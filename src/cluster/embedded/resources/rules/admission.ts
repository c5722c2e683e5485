import { errorMessage } from "../../../../base/errors.ts";
import { isMap, type Json, type JsonMap, member, memberMap, memberText } from "../../json/mutable-json.ts";
import { qualifiedNameProblem, subdomainProblem } from "../../metadata/names.ts";
import { type FieldError, forbiddenField, invalidValue, notSupported, required } from "../../status-errors.ts";
import type { KindContext, KindRules } from "../served-resource.ts";

const OPERATIONS = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const REASONS = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;
const MAX_TIMEOUT_SECONDS = 30;

function listOf(map: JsonMap | undefined, field: string): readonly Json[] {
  const value = map ? member(map, field) : undefined;
  return Array.isArray(value) ? value : [];
}

function mapsOf(map: JsonMap | undefined, field: string): readonly JsonMap[] {
  return listOf(map, field).filter(isMap);
}

function checkWord(map: JsonMap, field: string, path: string, words: readonly string[]): FieldError[] {
  const value = member(map, field);
  return value === undefined || words.some((word) => word === value)
    ? []
    : [notSupported(`${path}.${field}`, value, words)];
}

/** A CEL expression of admission. `type` is what it must give. */
function checkExpression(
  map: JsonMap,
  field: string,
  path: string,
  type: "bool" | "string" | "any",
  context: KindContext,
): FieldError[] {
  const text = memberText(map, field).trim();
  const at = `${path}.${field}`;
  if (text === "") return [required(at, `${field} is not specified`)];
  try {
    const found = context.compileAdmission(text);
    if (type === "any" || found === type || found === "dyn") return [];
    return [invalidValue(at, text, `must evaluate to ${type} but got ${found}`)];
  } catch (error) {
    return [invalidValue(at, text, `compilation failed: ERROR: ${errorMessage(error)}`)];
  }
}

function checkConditions(map: JsonMap, path: string, context: KindContext): FieldError[] {
  return mapsOf(map, "matchConditions").flatMap((condition, i) => {
    const at = `${path}.matchConditions[${i}]`;
    const name = memberText(condition, "name");
    const problem = name === "" ? undefined : qualifiedNameProblem(name);
    const errors = checkExpression(condition, "expression", at, "bool", context);
    if (name === "") errors.push(required(`${at}.name`));
    else if (problem) errors.push(invalidValue(`${at}.name`, name, problem));
    return errors;
  });
}

function checkRule(rule: JsonMap, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ["operations", "apiGroups", "apiVersions", "resources"]) {
    const values = listOf(rule, field);
    if (values.length === 0) errors.push(required(`${path}.${field}`));
    if (values.length > 1 && values.includes("*") && field !== "resources") {
      errors.push(invalidValue(`${path}.${field}`, values, "if '*' is present, must not specify other values"));
    }
  }
  listOf(rule, "operations").forEach((operation, i) => {
    if (!OPERATIONS.some((known) => known === operation)) {
      errors.push(notSupported(`${path}.operations[${i}]`, operation, OPERATIONS));
    }
  });
  errors.push(...checkWord(rule, "scope", path, ["*", "Cluster", "Namespaced"]));
  return errors;
}

function checkClientConfig(webhook: JsonMap, path: string): FieldError[] {
  const config = memberMap(webhook, "clientConfig") ?? {};
  const url = member(config, "url");
  const service = memberMap(config, "service");
  const at = `${path}.clientConfig`;
  if ((url === undefined) === (service === undefined))
    return [required(at, "exactly one of url or service is required")];
  if (typeof url === "string") {
    const form = "desired format: https://host[/path]";
    if (!URL.canParse(url)) return [required(`${at}.url`, `url must be a valid URL: ${url}; ${form}`)];
    const { protocol, username, hash, search } = new URL(url);
    const errors: FieldError[] = [];
    if (protocol !== "https:") {
      errors.push(invalidValue(`${at}.url`, protocol.slice(0, -1), `'https' is the only allowed URL scheme; ${form}`));
    }
    if (username !== "")
      errors.push(invalidValue(`${at}.url`, username, "user information is not permitted in the URL"));
    if (hash !== "") errors.push(invalidValue(`${at}.url`, hash.slice(1), "fragments are not permitted in the URL"));
    if (search !== "")
      errors.push(invalidValue(`${at}.url`, search.slice(1), "query parameters not permitted in the URL"));
    return errors;
  }
  return ["name", "namespace"].flatMap((field) =>
    memberText(service, field) === "" ? [required(`${at}.service.${field}`, `service ${field} is required`)] : [],
  );
}

function checkWebhook(webhook: JsonMap, path: string, context: KindContext): FieldError[] {
  const errors: FieldError[] = [];
  const name = memberText(webhook, "name");
  if (subdomainProblem(name)) errors.push(invalidValue(`${path}.name`, name, subdomainProblem(name) ?? ""));
  else if (name.split(".").length < 3) {
    errors.push(
      invalidValue(`${path}.name`, name, "should be a domain with at least three segments separated by dots"),
    );
  }
  mapsOf(webhook, "rules").forEach((rule, i) => errors.push(...checkRule(rule, `${path}.rules[${i}]`)));
  errors.push(
    ...checkWord(webhook, "failurePolicy", path, ["Fail", "Ignore"]),
    ...checkWord(webhook, "matchPolicy", path, ["Equivalent", "Exact"]),
  );
  const sideEffects = member(webhook, "sideEffects");
  const effects = ["None", "NoneOnDryRun"];
  if (sideEffects === undefined) {
    errors.push(required(`${path}.sideEffects`, `must specify one of ${effects.join(", ")}`));
  } else errors.push(...checkWord(webhook, "sideEffects", path, effects));
  const timeout = member(webhook, "timeoutSeconds");
  if (typeof timeout === "number" && (timeout < 1 || timeout > MAX_TIMEOUT_SECONDS)) {
    errors.push(
      invalidValue(
        `${path}.timeoutSeconds`,
        timeout,
        `the timeout value must be between 1 and ${MAX_TIMEOUT_SECONDS} seconds`,
      ),
    );
  }
  errors.push(...checkConditions(webhook, path, context), ...checkClientConfig(webhook, path));
  const versions = listOf(webhook, "admissionReviewVersions");
  if (versions.length === 0) {
    errors.push(required(`${path}.admissionReviewVersions`, "must specify one of v1, v1beta1"));
  } else if (!versions.includes("v1") && !versions.includes("v1beta1")) {
    errors.push(invalidValue(`${path}.admissionReviewVersions`, versions, "must include at least one of v1, v1beta1"));
  }
  return errors;
}

export const webhookConfigurationRules: KindRules = {
  validate: (object, _old, context) =>
    mapsOf(object, "webhooks").flatMap((webhook, i) => checkWebhook(webhook, `webhooks[${i}]`, context)),
};

function checkMatch(match: JsonMap | undefined, path: string, needed: boolean): FieldError[] {
  const rules = mapsOf(match, "resourceRules");
  if (!match) return needed ? [required(path)] : [];
  return [
    ...(needed && rules.length === 0 ? [required(`${path}.resourceRules`)] : []),
    ...rules.flatMap((rule, i) => checkRule(rule, `${path}.resourceRules[${i}]`)),
    ...mapsOf(match, "excludeResourceRules").flatMap((rule, i) =>
      checkRule(rule, `${path}.excludeResourceRules[${i}]`),
    ),
    ...checkWord(match, "matchPolicy", path, ["Equivalent", "Exact"]),
  ];
}

function checkValidation(validation: JsonMap, path: string, context: KindContext): FieldError[] {
  const errors = checkExpression(validation, "expression", path, "bool", context);
  if (member(validation, "messageExpression") !== undefined) {
    errors.push(...checkExpression(validation, "messageExpression", path, "string", context));
  }
  if (memberText(validation, "message").includes("\n")) {
    errors.push(invalidValue(`${path}.message`, member(validation, "message"), "message must not contain line breaks"));
  }
  errors.push(...checkWord(validation, "reason", path, REASONS));
  return errors;
}

export const policyRules: KindRules = {
  validate(object, _old, context) {
    const spec = memberMap(object, "spec") ?? {};
    const errors = checkWord(spec, "failurePolicy", "spec", ["Fail", "Ignore"]);
    const paramKind = memberMap(spec, "paramKind");
    for (const field of paramKind ? ["apiVersion", "kind"] : []) {
      if (memberText(paramKind, field) === "") errors.push(required(`spec.paramKind.${field}`));
    }
    errors.push(...checkMatch(memberMap(spec, "matchConstraints"), "spec.matchConstraints", true));
    errors.push(...checkConditions(spec, "spec", context));
    mapsOf(spec, "variables").forEach((variable, i) => {
      const path = `spec.variables[${i}]`;
      const name = memberText(variable, "name");
      if (name === "") errors.push(required(`${path}.name`, "name is not specified"));
      else if (!IDENTIFIER.test(name))
        errors.push(invalidValue(`${path}.name`, name, "name is not a valid CEL identifier"));
      errors.push(...checkExpression(variable, "expression", path, "any", context));
    });
    const validations = mapsOf(spec, "validations");
    if (validations.length === 0 && mapsOf(spec, "auditAnnotations").length === 0) {
      for (const field of ["validations", "auditAnnotations"]) {
        errors.push(required(`spec.${field}`, "validations or auditAnnotations must contain at least one item"));
      }
    }
    validations.forEach((validation, i) =>
      errors.push(...checkValidation(validation, `spec.validations[${i}]`, context)),
    );
    return errors;
  },
};

export const policyBindingRules: KindRules = {
  validate(object) {
    const spec = memberMap(object, "spec") ?? {};
    const errors: FieldError[] = [];
    if (memberText(spec, "policyName") === "") errors.push(required("spec.policyName"));
    const paramRef = memberMap(spec, "paramRef");
    if (paramRef) errors.push(...checkParamRef(paramRef));
    errors.push(...checkMatch(memberMap(spec, "matchResources"), "spec.matchResources", false));
    const actions = listOf(spec, "validationActions");
    if (actions.length === 0) {
      errors.push(required("spec.validationActions", "at least one validation action is required"));
    }
    actions.forEach((action, i) => {
      const known = ["Audit", "Deny", "Warn"];
      if (!known.some((word) => word === action))
        errors.push(notSupported(`spec.validationActions[${i}]`, action, known));
    });
    if (actions.includes("Deny") && actions.includes("Warn")) {
      const why =
        "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
      errors.push(invalidValue("spec.validationActions", actions, why));
    }
    return errors;
  },
};

function checkParamRef(paramRef: JsonMap): FieldError[] {
  const errors: FieldError[] = [];
  const named = memberText(paramRef, "name") !== "";
  const selects = memberMap(paramRef, "selector") !== undefined;
  if (named && selects) errors.push(forbiddenField("spec.paramRef.name", "name and selector are mutually exclusive"));
  if (!named && !selects) errors.push(required("spec.paramRef", "one of name or selector must be specified"));
  const action = member(paramRef, "parameterNotFoundAction");
  if (action === undefined) errors.push(required("spec.paramRef.parameterNotFoundAction"));
  else errors.push(...checkWord(paramRef, "parameterNotFoundAction", "spec.paramRef", ["Allow", "Deny"]));
  return errors;
}
