import { isMap, type JsonMap, member, memberText } from "../../json/mutable-json.ts";
import { nameProblem } from "../../metadata/names.ts";
import {
  type FieldError,
  forbiddenField,
  invalidValue,
  notFoundValue,
  notSupported,
  required,
} from "../../status-errors.ts";

const PROTOCOLS = ["SCTP", "TCP", "UDP"];

function mapsOf(map: JsonMap, field: string): readonly JsonMap[] {
  const value = member(map, field);
  return Array.isArray(value) ? value.filter(isMap) : [];
}

/** What core/v1 says about volumes and containers of a pod, beyond types and lists (`ValidatePodSpec`). */
export function checkPodSpec(spec: JsonMap | undefined, path: string): FieldError[] {
  if (!spec) return [];
  const errors: FieldError[] = [];
  const volumes = new Set<string>();
  mapsOf(spec, "volumes").forEach((volume, i) => errors.push(...checkVolume(volume, `${path}.volumes[${i}]`, volumes)));
  const names = new Set<string>();
  for (const list of ["containers", "initContainers"]) {
    mapsOf(spec, list).forEach((container, i) =>
      errors.push(...checkContainer(container, `${path}.${list}[${i}]`, names, volumes)),
    );
  }
  return errors;
}

function checkVolume(volume: JsonMap, path: string, names: Set<string>): FieldError[] {
  const errors: FieldError[] = [];
  const name = memberText(volume, "name");
  const sources = Object.keys(volume).filter((key) => key !== "name");
  if (sources.length === 0) errors.push(required(path, "must specify a volume type"));
  for (const source of sources.slice(1)) {
    errors.push(forbiddenField(`${path}.${source}`, "may not specify more than 1 volume type"));
  }
  const problem = name === "" ? undefined : nameProblem("label", name);
  if (name === "") errors.push(required(`${path}.name`));
  else if (problem) errors.push(invalidValue(`${path}.name`, name, problem));
  names.add(name);
  return errors;
}

function checkContainer(
  container: JsonMap,
  path: string,
  names: Set<string>,
  volumes: ReadonlySet<string>,
): FieldError[] {
  const errors: FieldError[] = [];
  const name = memberText(container, "name");
  const problem = name === "" ? undefined : nameProblem("label", name);
  if (problem) errors.push(invalidValue(`${path}.name`, name, problem));
  names.add(name);
  if (memberText(container, "image") === "") errors.push(required(`${path}.image`));
  mapsOf(container, "ports").forEach((port, i) => {
    const protocol = member(port, "protocol");
    if (protocol !== undefined && !PROTOCOLS.some((known) => known === protocol)) {
      errors.push(notSupported(`${path}.ports[${i}].protocol`, protocol, PROTOCOLS));
    }
  });
  mapsOf(container, "volumeMounts").forEach((mount, i) => {
    const volume = memberText(mount, "name");
    const at = `${path}.volumeMounts[${i}]`;
    if (volume === "") errors.push(required(`${at}.name`));
    else if (!volumes.has(volume)) errors.push(notFoundValue(`${at}.name`, volume));
    if (memberText(mount, "mountPath") === "") errors.push(required(`${at}.mountPath`));
  });
  return errors;
}
