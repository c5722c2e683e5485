import {
  ensureMap,
  isMap,
  type Json,
  jsonEqual,
  type JsonMap,
  member,
  memberMap,
  memberText,
} from "../../json/mutable-json.ts";
import { type FieldError, forbiddenField, invalidValue, notSupported, required } from "../../status-errors.ts";
import { checkPodSpec } from "./pod-checks.ts";
import type { KindRules } from "../served-resource.ts";

/** Tag of an image reference; `latest` when there is neither tag nor digest. */
function imageTag(image: string): string {
  if (image.includes("@")) return "digest";
  const colon = image.lastIndexOf(":");
  return colon > image.lastIndexOf("/") ? image.slice(colon + 1) : "latest";
}

function defaultContainers(spec: JsonMap): void {
  for (const field of ["containers", "initContainers", "ephemeralContainers"]) {
    const list = member(spec, field);
    if (!Array.isArray(list)) continue;
    for (const container of list) {
      if (!isMap(container)) continue;
      const image = container["image"];
      if (container["imagePullPolicy"] === undefined && typeof image === "string") {
        container["imagePullPolicy"] = imageTag(image) === "latest" ? "Always" : "IfNotPresent";
      }
    }
  }
}

/** Defaults of a pod spec that depend on other fields. */
function defaultPodSpec(spec: JsonMap | undefined): void {
  if (!spec) return;
  defaultContainers(spec);
  // The deprecated alias mirrors the field (core/v1 conversion).
  if (spec["serviceAccountName"] === undefined && typeof spec["serviceAccount"] === "string") {
    spec["serviceAccountName"] = spec["serviceAccount"];
  }
  if (typeof spec["serviceAccountName"] === "string") spec["serviceAccount"] = spec["serviceAccountName"];
}

function templateSpec(object: JsonMap): JsonMap | undefined {
  const template = memberMap(memberMap(object, "spec") ?? {}, "template");
  return template ? memberMap(template, "spec") : undefined;
}

/** The selector must select the template and never change (apps/v1). */
function checkSelector(object: JsonMap, old: JsonMap | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const spec = memberMap(object, "spec") ?? {};
  const selector = memberMap(spec, "selector");
  if (selector) {
    const wanted = memberMap(selector, "matchLabels") ?? {};
    if (Object.keys(wanted).length === 0 && !Array.isArray(selector["matchExpressions"])) {
      errors.push(invalidValue("spec.selector", selector, "empty selector is invalid for deployment"));
    }
    const template = memberMap(spec, "template") ?? {};
    const labels = memberMap(memberMap(template, "metadata") ?? {}, "labels") ?? {};
    if (Object.entries(wanted).some(([key, value]) => member(labels, key) !== value)) {
      errors.push(invalidValue("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"));
    }
    const before = old ? memberMap(memberMap(old, "spec") ?? {}, "selector") : undefined;
    if (before && !jsonEqual(before, selector))
      errors.push(invalidValue("spec.selector", selector, "field is immutable"));
  }
  errors.push(...checkPodSpec(templateSpec(object), "spec.template.spec"));
  return errors;
}

/** Admission plugin DefaultTolerationSeconds. */
function tolerateNodeTrouble(spec: JsonMap): void {
  const tolerations = Array.isArray(spec["tolerations"]) ? spec["tolerations"] : [];
  for (const key of ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]) {
    if (tolerations.some((toleration) => isMap(toleration) && (toleration["key"] ?? key) === key)) continue;
    tolerations.push({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 });
  }
  spec["tolerations"] = tolerations;
}

export const podRules: KindRules = {
  prepareCreate(object) {
    const spec = memberMap(object, "spec");
    if (spec) tolerateNodeTrouble(spec);
    object["status"] = { phase: "Pending", qosClass: "BestEffort" };
  },
  applyDefaults(object) {
    const spec = memberMap(object, "spec");
    defaultPodSpec(spec);
    if (spec) {
      spec["enableServiceLinks"] ??= true;
      spec["preemptionPolicy"] ??= "PreemptLowerPriority";
      spec["priority"] ??= 0;
    }
  },
  validate(object, old) {
    const errors: FieldError[] = [];
    errors.push(...checkPodSpec(memberMap(object, "spec"), "spec"));
    const before = old ? memberMap(old, "spec") : undefined;
    const spec = memberMap(object, "spec");
    if (before && spec && !jsonEqual(fixedPodFields(before), fixedPodFields(spec))) {
      errors.push(
        forbiddenField(
          "spec",
          "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ),
      );
    }
    return errors;
  },
};

/** A pod spec without what may change after creation. */
function fixedPodFields(spec: JsonMap): JsonMap {
  const fixed: JsonMap = { ...spec };
  for (const field of [
    "activeDeadlineSeconds",
    "tolerations",
    "terminationGracePeriodSeconds",
    "nodeName",
    "schedulingGates",
  ]) {
    delete fixed[field];
  }
  for (const field of ["containers", "initContainers"]) {
    const list = fixed[field];
    if (Array.isArray(list)) fixed[field] = list.map(withoutImage);
  }
  return fixed;
}

function withoutImage(container: Json): Json {
  return isMap(container) ? { ...container, image: "" } : container;
}

export const deploymentRules: KindRules = {
  applyDefaults(object) {
    const spec = memberMap(object, "spec");
    const strategy = spec ? memberMap(spec, "strategy") : undefined;
    if (strategy?.["type"] === "RollingUpdate") {
      const rolling = ensureMap(strategy, "rollingUpdate");
      rolling["maxUnavailable"] ??= "25%";
      rolling["maxSurge"] ??= "25%";
    }
    defaultPodSpec(templateSpec(object));
  },
  validate(object, old) {
    const errors = checkSelector(object, old);
    const strategy = memberMap(memberMap(object, "spec") ?? {}, "strategy");
    if (strategy?.["type"] === "Recreate" && strategy["rollingUpdate"] !== undefined) {
      errors.push(
        forbiddenField("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'"),
      );
    }
    return errors;
  },
};

export const replicaSetRules: KindRules = {
  applyDefaults: (object) => defaultPodSpec(templateSpec(object)),
  validate: checkSelector,
};

export const statefulSetRules: KindRules = {
  applyDefaults(object) {
    const spec = memberMap(object, "spec");
    const strategy = spec ? memberMap(spec, "updateStrategy") : undefined;
    if (strategy?.["type"] === "RollingUpdate") ensureMap(strategy, "rollingUpdate")["partition"] ??= 0;
    const claims = spec ? member(spec, "volumeClaimTemplates") : undefined;
    if (Array.isArray(claims)) {
      for (const claim of claims) {
        if (!isMap(claim)) continue;
        claim["apiVersion"] ??= "v1";
        claim["kind"] ??= "PersistentVolumeClaim";
        claim["status"] ??= { phase: "Pending" };
      }
    }
    defaultPodSpec(templateSpec(object));
  },
  validate(object, old) {
    const errors = checkSelector(object, old);
    const spec = memberMap(object, "spec");
    const before = old ? memberMap(old, "spec") : undefined;
    if (spec && before) {
      const fixed = ["serviceName", "podManagementPolicy", "volumeClaimTemplates"];
      if (fixed.some((field) => !jsonEqual(member(spec, field) ?? null, member(before, field) ?? null))) {
        errors.push(
          forbiddenField(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
          ),
        );
      }
    }
    return errors;
  },
};

const TEMPLATE_GENERATION = "deprecated.daemonset.template.generation";

function setTemplateGeneration(object: JsonMap, generation: number): void {
  ensureMap(ensureMap(object, "metadata"), "annotations")[TEMPLATE_GENERATION] = String(generation);
}

export const daemonSetRules: KindRules = {
  prepareCreate: (object) => setTemplateGeneration(object, 1),
  prepareUpdate(object, old) {
    const annotations = memberMap(memberMap(old, "metadata") ?? {}, "annotations") ?? {};
    const before = Number(annotations[TEMPLATE_GENERATION] ?? 1);
    const template = (set: JsonMap) => memberMap(memberMap(set, "spec") ?? {}, "template");
    setTemplateGeneration(object, jsonEqual(template(object), template(old)) ? before : before + 1);
  },
  applyDefaults(object) {
    const spec = memberMap(object, "spec");
    const strategy = spec ? memberMap(spec, "updateStrategy") : undefined;
    if (strategy?.["type"] === "RollingUpdate") {
      const rolling = ensureMap(strategy, "rollingUpdate");
      rolling["maxUnavailable"] ??= 1;
      rolling["maxSurge"] ??= 0;
    }
    defaultPodSpec(templateSpec(object));
  },
  validate: checkSelector,
};

/** Labels of the pods of a Job, by which it finds them (batch/v1 `generateSelector`). */
function selectByUid(object: JsonMap): void {
  const spec = memberMap(object, "spec");
  const metadata = memberMap(object, "metadata") ?? {};
  const template = spec ? memberMap(spec, "template") : undefined;
  const uid = metadata["uid"];
  const name = metadata["name"];
  if (!spec || !template || spec["manualSelector"] === true || typeof uid !== "string" || typeof name !== "string")
    return;
  const labels = ensureMap(ensureMap(template, "metadata"), "labels");
  labels["batch.kubernetes.io/controller-uid"] = uid;
  labels["batch.kubernetes.io/job-name"] = name;
  labels["controller-uid"] = uid;
  labels["job-name"] = name;
  spec["selector"] ??= { matchLabels: { "batch.kubernetes.io/controller-uid": uid } };
  // A Job without labels takes those of its pods (batch/v1 defaults).
  if (Object.keys(memberMap(metadata, "labels") ?? {}).length === 0) metadata["labels"] = structuredClone(labels);
}

export const jobRules: KindRules = {
  prepareCreate: selectByUid,
  applyDefaults(object) {
    const spec = memberMap(object, "spec");
    if (spec) {
      if (spec["completions"] === undefined && spec["parallelism"] === undefined) spec["completions"] = 1;
      spec["parallelism"] ??= 1;
      spec["podReplacementPolicy"] ??= memberMap(spec, "podFailurePolicy") ? "Failed" : "TerminatingOrFailed";
    }
    defaultPodSpec(templateSpec(object));
  },
  validate(object, old) {
    const errors: FieldError[] = [];
    const spec = memberMap(object, "spec") ?? {};
    const pod = templateSpec(object);
    if (pod && pod["restartPolicy"] === undefined) {
      errors.push(required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"'));
    }
    errors.push(...checkPodSpec(pod, "spec.template.spec"), ...checkJobSpec(spec));
    const before = old ? memberMap(old, "spec") : undefined;
    if (before) {
      const fixed = [
        "selector",
        "completionMode",
        "completions",
        "podFailurePolicy",
        ...(before["suspend"] === true ? [] : ["template"]),
      ];
      for (const field of fixed) {
        if (!jsonEqual(member(before, field) ?? null, member(spec, field) ?? null)) {
          errors.push(invalidValue(`spec.${field}`, member(spec, field) ?? null, "field is immutable"));
        }
      }
    }
    return errors;
  },
};

const FAILURE_ACTIONS = ["Count", "FailIndex", "FailJob", "Ignore"];

function checkJobSpec(spec: JsonMap): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ["activeDeadlineSeconds", "ttlSecondsAfterFinished"]) {
    const value = member(spec, field);
    if (typeof value === "number" && value < 0) {
      errors.push(invalidValue(`spec.${field}`, value, "must be greater than or equal to 0"));
    }
  }
  const rules = member(memberMap(spec, "podFailurePolicy") ?? {}, "rules");
  (Array.isArray(rules) ? rules.filter(isMap) : []).forEach((rule, i) => {
    const at = `spec.podFailurePolicy.rules[${i}]`;
    const action = member(rule, "action");
    if (!FAILURE_ACTIONS.some((known) => known === action)) {
      errors.push(notSupported(`${at}.action`, action ?? "", FAILURE_ACTIONS));
    }
    const codes = memberMap(rule, "onExitCodes");
    const values = codes && member(codes, "values");
    if (codes?.["operator"] !== "In" || !Array.isArray(values)) return;
    values.forEach((value, j) => {
      if (value === 0)
        errors.push(invalidValue(`${at}.onExitCodes.values[${j}]`, 0, "must not be 0 for the In operator"));
    });
  });
  const pod = memberMap(memberMap(spec, "template") ?? {}, "spec");
  if (member(spec, "podFailurePolicy") !== undefined && pod?.["restartPolicy"] === "OnFailure") {
    const why = 'only "Never" is supported when podFailurePolicy is specified';
    errors.push(invalidValue("spec.template.spec.restartPolicy", "OnFailure", why));
  }
  return errors;
}

export const cronJobRules: KindRules = {
  applyDefaults(object) {
    const jobTemplate = memberMap(memberMap(object, "spec") ?? {}, "jobTemplate");
    if (jobTemplate) defaultPodSpec(templateSpec(jobTemplate));
  },
  validate(object) {
    const schedule = memberText(memberMap(object, "spec"), "schedule").trim();
    const fields = schedule.split(/\s+/);
    if (schedule.startsWith("@") || fields.length === 5) return [];
    const why = `expected exactly 5 fields, found ${fields.length}: [${fields.join(" ")}]`;
    return [invalidValue("spec.schedule", schedule, why)];
  },
};
