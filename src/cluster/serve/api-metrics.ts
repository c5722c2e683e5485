import { Counter, Gauge, Histogram, Registry } from "prom-client";

/** Label combinations of one server; requests beyond are counted with an empty resource. */
const MAX_SERIES = 4_000;
/** Seconds, as kube-apiserver has them. */
const DURATION_BUCKETS = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];

/** What a request is counted as. */
export interface RequestLabels {
  /** Upper case as in the metrics of Kubernetes: `GET`, `LIST`, `WATCH`, `APPLY`, … */
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  readonly scope: "" | "cluster" | "namespace" | "resource";
}

/** A request being answered. */
export interface RunningRequest {
  readonly labels: RequestLabels;
  readonly longRunning: boolean;
  /** Monotonic milliseconds. */
  readonly startedMs: number;
}

const LABELS = ["verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component"] as const;
const COMPONENT = "apiserver";

/** The metrics of one API server, under the names that dashboards of Kubernetes know. */
export class ApiMetrics {
  readonly #registry = new Registry();
  readonly #series = new Set<string>();
  readonly #requests = new Counter({
    name: "apiserver_request_total",
    help: "Requests by verb, resource and HTTP code.",
    labelNames: [...LABELS, "code"],
    registers: [this.#registry],
  });
  readonly #durations = new Histogram({
    name: "apiserver_request_duration_seconds",
    help: "Time from the headers of a request to its answer; watches are left out.",
    labelNames: [...LABELS],
    buckets: DURATION_BUCKETS,
    registers: [this.#registry],
  });
  readonly #inflight = new Gauge({
    name: "apiserver_current_inflight_requests",
    help: "Requests being answered, without watches.",
    labelNames: ["request_kind"],
    registers: [this.#registry],
  });
  readonly #longRunning = new Gauge({
    name: "apiserver_longrunning_requests",
    help: "Watches and followed logs that are open.",
    labelNames: ["verb", "group", "version", "resource", "subresource", "scope", "component"],
    registers: [this.#registry],
  });
  readonly #watchEvents = new Counter({
    name: "apiserver_watch_events_total",
    help: "Events sent to watches.",
    labelNames: ["group", "version", "resource"],
    registers: [this.#registry],
  });
  readonly #attempts = new Counter({
    name: "authentication_attempts",
    help: "Authentications by result.",
    labelNames: ["result"],
    registers: [this.#registry],
  });
  readonly #handshakeErrors = new Counter({
    name: "apiserver_tls_handshake_errors_total",
    help: "TLS handshakes that failed.",
    registers: [this.#registry],
  });

  /** @param values gauges read at each scrape: name, help, and the value now per label set */
  constructor(values: readonly ScrapedGauge[]) {
    for (const { name, help, labelNames, read } of values) {
      const gauge: Gauge = new Gauge({
        name,
        help,
        labelNames: [...labelNames],
        registers: [this.#registry],
        collect() {
          gauge.reset();
          for (const { labels, value } of read()) gauge.set(labels, value);
        },
      });
    }
  }

  begin({ labels, longRunning }: RunningRequest): void {
    if (longRunning) this.#longRunning.inc({ ...labels, component: COMPONENT });
    else this.#inflight.inc({ request_kind: kindOf(labels) });
  }

  /** @param code HTTP status; 0 when the client left before the answer */
  end({ labels, longRunning, startedMs }: RunningRequest, code: number, dryRun: boolean, nowMs: number): void {
    const bounded = this.#bounded({ ...labels, dry_run: dryRun ? "All" : "", component: COMPONENT });
    this.#requests.inc({ ...bounded, code: String(code) });
    if (longRunning) {
      this.#longRunning.dec({ ...labels, component: COMPONENT });
      return;
    }
    this.#inflight.dec({ request_kind: kindOf(labels) });
    this.#durations.observe(bounded, (nowMs - startedMs) / 1000);
  }

  watchEvent(group: string, version: string, resource: string): void {
    this.#watchEvents.inc({ group, version, resource });
  }

  authenticated(result: "success" | "failure" | "error"): void {
    this.#attempts.inc({ result });
  }

  handshakeFailed(): void {
    this.#handshakeErrors.inc();
  }

  /** Prometheus text format. */
  async scrape(): Promise<{ readonly text: string; readonly contentType: string }> {
    return { text: await this.#registry.metrics(), contentType: this.#registry.contentType };
  }

  #bounded(labels: Record<(typeof LABELS)[number], string>): Record<(typeof LABELS)[number], string> {
    const key = `${labels.verb}/${labels.group}/${labels.version}/${labels.resource}/${labels.subresource}/${labels.scope}/${labels.dry_run}`;
    if (this.#series.has(key)) return labels;
    if (this.#series.size >= MAX_SERIES) return { ...labels, group: "", version: "", resource: "", subresource: "" };
    this.#series.add(key);
    return labels;
  }
}

/** A gauge whose values are read at each scrape. */
export interface ScrapedGauge {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly read: () => Iterable<{ readonly labels: Readonly<Record<string, string>>; readonly value: number }>;
}

function kindOf({ verb }: RequestLabels): "readOnly" | "mutating" {
  return verb === "GET" || verb === "LIST" || verb === "WATCH" || verb === "HEAD" ? "readOnly" : "mutating";
}
