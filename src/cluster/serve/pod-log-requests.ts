import type { Unstructured } from "../../api/object.ts";
import { Pod } from "../../api/builtin.ts";
import type { Clock } from "../../base/clock.ts";
import { isJsonObject, type JsonValue } from "../../base/json.ts";
import type { ApiStatusError } from "../api-status-error.ts";
import type { ContainerLog, LogLine, PodLogs } from "../pod-logs.ts";
import { badRequest } from "./api-errors.ts";
import type { Exchange } from "./exchange.ts";
import { booleanParameter, invalidOptions, numberParameter, textParameter } from "./query-options.ts";
import type { ServedCluster } from "./served-cluster.ts";
import type { ResponseStream } from "./response-stream.ts";

/** What a client asks of `pods/log`. */
interface LogQuery {
  readonly container: string | undefined;
  readonly follow: boolean;
  readonly previous: boolean;
  readonly timestamps: boolean;
  readonly tailLines: number | undefined;
  readonly limitBytes: number;
  /** Lines from before are left out, Unix milliseconds. */
  readonly sinceMs: number;
}

/**
 * Answers `GET …/pods/{name}/log` as a kubelet does: plain text, a line each, chunked while it is followed.
 *
 * @throws ApiStatusError 404 without such a pod, 400 for a container that is not in it or has not started, 422 for bad options
 */
export async function answerPodLog(
  exchange: Exchange,
  parts: { readonly cluster: ServedCluster; readonly podLogs: PodLogs | undefined; readonly clock: Clock },
  key: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<void> {
  const query = logQuery(exchange.query, parts.clock.now());
  const pod: Unstructured = { ...(await parts.cluster.get(Pod, key)) };
  const container = containerOf(pod, query.container);
  const log = await parts.podLogs?.open(pod, container, query.previous);
  if (log === undefined) throw notStarted(pod, container, query.previous);
  const stream = exchange.stream("text/plain", false, parts.clock, signal);
  await sendLog(log, query, stream, signal);
}

async function sendLog(log: ContainerLog, query: LogQuery, stream: ResponseStream, signal: AbortSignal): Promise<void> {
  let left = query.limitBytes;
  const send = async (line: LogLine): Promise<boolean> => {
    const text = `${query.timestamps ? `${new Date(line.atMs).toISOString()} ` : ""}${line.text}\n`;
    const bytes = Buffer.from(text);
    const part = bytes.length > left ? bytes.subarray(0, left) : bytes;
    left -= part.length;
    return (await stream.write(part)) && left > 0;
  };
  try {
    const recorded = log.lines.filter((line) => line.atMs >= query.sinceMs);
    const { tailLines } = query;
    for (const line of tailLines === undefined ? recorded : recorded.slice(recorded.length - tailLines))
      if (!(await send(line))) return;
    if (!query.follow) return;
    for await (const line of log.follow(signal)) if (!(await send(line))) return;
  } finally {
    stream.end();
  }
}

/** @throws ApiStatusError 422 */
function logQuery(query: URLSearchParams, nowMs: number): LogQuery {
  const positive = (name: string): number | undefined => {
    const value = numberParameter(query, name);
    if (value !== undefined && (value < 1 || query.get(name)?.startsWith("-") === true))
      throw invalidPodLogOptions(name, value, "must be greater than 0");
    return value;
  };
  const tail = query.get("tailLines") ?? "";
  if (tail.startsWith("-")) throw invalidPodLogOptions("tailLines", Number(tail), "must be greater than or equal to 0");
  const sinceTime = textParameter(query, "sinceTime");
  const sinceSeconds = positive("sinceSeconds");
  if (sinceTime !== undefined && sinceSeconds !== undefined)
    throw invalidOptions(
      "PodLogOptions",
      [
        {
          reason: "FieldValueForbidden",
          field: "",
          message: "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
        },
      ],
      "",
    );
  const since = sinceTime === undefined ? undefined : Date.parse(sinceTime);
  if (since !== undefined && Number.isNaN(since))
    throw badRequest(`sinceTime: ${JSON.stringify(sinceTime)} is no RFC 3339 time`);
  return {
    container: textParameter(query, "container"),
    follow: booleanParameter(query, "follow"),
    previous: booleanParameter(query, "previous"),
    timestamps: booleanParameter(query, "timestamps"),
    tailLines: numberParameter(query, "tailLines"),
    limitBytes: positive("limitBytes") ?? Number.POSITIVE_INFINITY,
    sinceMs: since ?? (sinceSeconds === undefined ? 0 : nowMs - sinceSeconds * 1000),
  };
}

function invalidPodLogOptions(field: string, value: number, message: string): ApiStatusError {
  return invalidOptions(
    "PodLogOptions",
    [{ reason: "FieldValueInvalid", field, message: `Invalid value: ${value}: ${message}` }],
    "",
  );
}

/** The container asked for, or the only one. @throws ApiStatusError 400 in the words of Kubernetes */
function containerOf(pod: Unstructured, asked: string | undefined): string {
  const spec = isJsonObject(pod["spec"]) ? pod["spec"] : {};
  const named = (list: JsonValue | undefined): string[] =>
    Array.isArray(list)
      ? (list as readonly JsonValue[]).flatMap((each) =>
          isJsonObject(each) && typeof each["name"] === "string" ? [each["name"]] : [],
        )
      : [];
  const containers = named(spec["containers"]);
  const initial = named(spec["initContainers"]);
  const { name } = pod.metadata;
  if (asked !== undefined) {
    if ([...initial, ...containers].includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${name}`);
  }
  const [only] = containers;
  if (only !== undefined && containers.length === 1) return only;
  const annotated = pod.metadata.annotations?.["kubectl.kubernetes.io/default-container"];
  if (annotated !== undefined && containers.includes(annotated)) return annotated;
  const choices = initial.length === 0 ? "" : ` or one of the init containers: [${initial.join(" ")}]`;
  throw badRequest(
    `a container name must be specified for pod ${name}, choose one of: [${containers.join(" ")}]${choices}`,
  );
}

function notStarted(pod: Unstructured, container: string, previous: boolean): ApiStatusError {
  const { name } = pod.metadata;
  if (previous)
    return badRequest(
      `previous terminated container ${JSON.stringify(container)} in pod ${JSON.stringify(name)} not found`,
    );
  return badRequest(
    `container ${JSON.stringify(container)} in pod ${JSON.stringify(name)} is waiting to start: no container of this pod runs on this machine`,
  );
}
