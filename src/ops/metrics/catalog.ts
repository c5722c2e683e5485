/** Help text of a metric and, for histograms, its buckets. */
export interface MetricDefinition {
  readonly help: string;
  /** Upper bounds, in the unit of the name. */
  readonly buckets?: readonly number[];
}

/** From one millisecond to ten minutes: a commit reaches a connected tenant in tens of milliseconds and an offline one in hours. */
const DELIVERY_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600];
const LATENCY_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** Metrics of conductor §20 and lessons §12.2. A name that is not here works too, with its name as help. */
export const METRICS: ReadonlyMap<string, MetricDefinition> = new Map<string, MetricDefinition>([
  ["conductor_leader", { help: "1 while this process leads." }],
  ["conductor_loop_last_tick_seconds", { help: "Unix time of the last tick of a loop." }],
  ["federation_streams", { help: "Streams that carry a session on this replica." }],
  ["federation_replicas", { help: "Replicas of the hub whose membership is valid, as this one sees it." }],
  ["federation_member", { help: "1 while this replica's membership is valid: only then it serves." }],
  ["federation_membership_writes_total", { help: "Renewals of this replica's membership." }],
  ["federation_membership_failures_total", { help: "Renewals of this replica's membership that failed." }],
  ["federation_membership_lost_total", { help: "Times this replica lost its membership and sent everybody away." }],
  ["federation_ownership_moves_total", { help: "Sessions this replica took over: each is one write of a Lease." }],
  ["federation_moves_total", { help: "Agents sent to another replica to even out the load." }],
  ["federation_fenced_total", { help: "Streams ended because this replica does not own the session any more." }],
  ["federation_fenced_writes_total", { help: "Facts not stored because another replica owns the session." }],
  ["apiserver_writes_total", { help: "Writes to the management API server, by resource and verb." }],
  ["federation_rtt_seconds", { help: "Round trips measured by heartbeats.", buckets: LATENCY_BUCKETS }],
  ["federation_messages_total", { help: "Frames by payload type and direction." }],
  ["federation_bytes_total", { help: "Bytes of frames by direction, before TLS." }],
  ["federation_degraded", { help: "1 while the channel of a cluster is degraded." }],
  ["federation_streams_ended_total", { help: "Streams that ended, by reason: every one but the last is a reconnect." }],
  ["federation_refused_total", { help: "Streams refused, by reason." }],
  ["federation_throttled_total", { help: "Facts that waited for the rate of their tenant, by reason." }],
  ["federation_index_expired", { help: "1 while the index in force on this tenant has run out." }],
  ["federation_revocations_incomplete", { help: "Revocations that some agent may still honour." }],
  ["federation_rival_agents_total", { help: "Turns that two agents with one certificate took, by cluster." }],
  ["federation_facts_refused_total", { help: "Reports the hub will never store, by reason." }],
  ["federation_nacks_total", { help: "Items that agents refused, by class." }],
  ["federation_queue_bytes", { help: "Bytes queued and in flight for all agents of this replica." }],
  ["federation_needs_resync", { help: "Sessions whose queue hit its budget." }],
  ["federation_items", { help: "Items of all tenants by the highest level they reached." }],
  ["federation_quarantined_items", { help: "Items refused for good until something changes." }],
  [
    "federation_commit_to_receipt_seconds",
    { help: "From signing an index to the receipt of its items, by level.", buckets: DELIVERY_BUCKETS },
  ],
  [
    "federation_oldest_unacknowledged_seconds",
    { help: "Age of the oldest thing that an agent has not answered for, by class." },
  ],
  ["federation_certificate_days_left", { help: "Days until the client certificate of a cluster ends." }],
  ["federation_blob_failures_total", { help: "Bodies that could not be read." }],
  ["wal_bytes", { help: "Bytes in the audit log." }],
  ["wal_unacked_events", { help: "Audit records that no hub has stored, by cluster." }],
  ["wal_near_full", { help: "1 from 90 % of the audit log's cap until it is below 80 %: allows are sampled down." }],
  ["wal_full", { help: "1 from the audit log's cap until it is below 80 %: the oldest allows are dropped." }],
  ["wal_dropped_total", { help: "Audit records dropped at the cap." }],
  ["audit_records_waiting", { help: "Audit records kept in memory because the log takes none." }],
  ["audit_records_missed_total", { help: "Audit records that found no place; the log counts them as audit.missed." }],
  ["audit_conflicts_total", { help: "Audit events of tenants that the sink refused, by code." }],
  ["audit_acked_seq", { help: "Highest contiguous audit number stored, by cluster." }],
  ["signatures_total", { help: "Signatures made, by kind and result." }],
  ["verify_failures_total", { help: "Verifications that failed, by kind and reason." }],
  ["snapshot_age_seconds", { help: "Age of the permission snapshot in force." }],
  ["permission_checks_total", { help: "Authorization decisions, by result code and freshness of the snapshot." }],
  ["permission_http_requests_total", { help: "Requests to the HTTP forms of PermissionService, by form and status." }],
  ["snapshot_sequence", { help: "Sequence of the permission snapshot in force." }],
  ["snapshot_index_bytes", { help: "Memory of the compiled permission index." }],
  ["drift_signals", { help: "Drift signals by class and state." }],
  ["drift_terminal_total", { help: "Drift signals declared terminal." }],
  ["webhook_decisions_total", { help: "Admission decisions, by path, mode and result." }],
  ["operation_duration_seconds", { help: "Duration of capabilities, by name and status.", buckets: DELIVERY_BUCKETS }],
  ["tls_connections", { help: "Open TLS connections." }],
  ["tls_connections_refused_total", { help: "Connections refused, by reason." }],
  ["tls_certificate_days_left", { help: "Days until a server certificate of this process ends, by listener." }],
  ["controller_runtime_reconcile_total", { help: "Reconciles, by controller and result." }],
  [
    "controller_runtime_reconcile_time_seconds",
    { help: "Duration of reconciles, by controller.", buckets: DELIVERY_BUCKETS },
  ],
  ["workqueue_depth", { help: "Keys that wait for a worker, by controller." }],
  ["workqueue_adds_total", { help: "Keys that became ready, by controller." }],
  ["workqueue_retries_total", { help: "Keys that are tried again after a failure, by controller." }],
  ["event_loop_delay_seconds", { help: "Delay of the event loop since the last scrape, by quantile." }],
  ["process_resident_memory_bytes", { help: "Resident memory." }],
  ["process_heap_bytes", { help: "Used JavaScript heap." }],
  ["process_cpu_seconds_total", { help: "CPU time, user and system." }],
  ["process_start_time_seconds", { help: "Unix time at which the process started." }],
]);
