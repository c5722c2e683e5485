/** Script of the status page: reads the Connect/JSON services of this port and fills tables; text only, never markup. */
export const STATUS_SCRIPT = `
const REFRESH_MS = 2000;
const LEVELS = ["nothing", "received", "verified", "applied", "healthy"];
const call = async (service, method) => {
  const answer = await fetch("/conductor.fleet.v1alpha1." + service + "/" + method, {
    method: "POST", headers: { "content-type": "application/json" }, body: "{}", signal: AbortSignal.timeout(10000),
  });
  if (!answer.ok) throw new Error(method + ": HTTP " + answer.status);
  return answer.json();
};
const level = (name) => Math.max(0, LEVELS.indexOf(String(name ?? "").replace("LEVEL_", "").toLowerCase()));
const ago = (time) => {
  if (!time) return "never";
  const s = Math.max(0, Math.round((Date.now() - Date.parse(time)) / 1000));
  if (s < 90) return s + " s ago";
  if (s < 5400) return Math.round(s / 60) + " min ago";
  return Math.round(s / 3600) + " h ago";
};
const fill = (id, rows, none) => {
  const body = document.querySelector("#" + id + " tbody");
  const columns = document.querySelectorAll("#" + id + " thead th").length;
  const made = rows.map((cells) => {
    const row = document.createElement("tr");
    cells.forEach((cell, i) => {
      const [text, tone] = Array.isArray(cell) ? cell : [cell, ""];
      const element = document.createElement(i === 0 ? "th" : "td");
      if (i === 0) element.scope = "row";
      element.textContent = text;
      if (tone) element.className = tone;
      row.append(element);
    });
    return row;
  });
  if (made.length === 0) {
    const row = document.createElement("tr");
    const cell = document.createElement("td");
    cell.colSpan = columns;
    cell.textContent = none;
    row.append(cell);
    made.push(row);
  }
  body.replaceChildren(...made);
};
const counted = (count, noun) => count + " " + noun + (count === 1 ? "" : "s");
const position = (state) => (state ? (state.epoch ?? 0) + "." + (state.sequence ?? 0) : "none");
const agentCells = (a) => {
  const items = a.items ?? {};
  const desired = items.desired ?? 0, healthy = items.healthy ?? 0, refused = items.quarantined ?? 0;
  const same = a.desired && a.held && a.desired.digest === a.held.digest;
  const snapshot = a.snapshot?.syncStatus || "none";
  return [
    a.cluster,
    a.connected ? ["connected", "good"] : ["not connected" + (a.lastDisconnect ? ": " + a.lastDisconnect : ""), "wrap bad"],
    same ? position(a.desired) : [position(a.held) + " of " + position(a.desired), "warn"],
    refused > 0 ? [healthy + " of " + desired + " healthy, " + refused + " refused", "bad"] : [healthy + " of " + desired + " healthy", healthy === desired ? "good" : "warn"],
    [snapshot, snapshot === "InSync" ? "good" : snapshot === "DegradedSecurityState" ? "bad" : "warn"],
    a.openDrift ? [a.openDrift + " open", "warn"] : "none",
    String(a.auditBacklog ?? 0),
    ago(a.lastSeen),
    (a.agentVersion || "unknown") + (a.simulatedNodes ? ", nodes simulated" : ""),
  ];
};
const itemCells = (i) => {
  const nack = i.nack ? i.nack.reason + (i.nack.detail ? ": " + i.nack.detail : "") : "";
  return [i.cluster, (i.deleted ? "remove " : "") + i.kind + "/" + i.name, String(i.version ?? 0), LEVELS[level(i.level)], [nack, "wrap" + (i.quarantined ? " bad" : "")]];
};
const receiptCells = (r) => [
  r.cluster, r.pack, r.version ?? "", String(r.serial ?? 0),
  r.verified === undefined ? "not checked" : r.verified ? ["verified", "good"] : [r.verificationFailedReason || "refused", "bad"],
  [LEVELS[level(r.level)], level(r.level) === 4 ? "good" : "warn"],
  [r.driftStatus || "Unknown", r.driftStatus === "InSync" ? "good" : "warn"],
  String(r.resources ?? 0),
];
const driftCells = (d) => [
  d.cluster, d.affected, d.terminal ? ["terminal", "bad"] : [d.state, "warn"], String(d.escalations ?? 0), ago(d.observedAt), [d.reason ?? "", "wrap"],
];
const refresh = async () => {
  const summary = document.querySelector("#summary");
  try {
    const [fleet, items, receipts, drift] = await Promise.all([
      call("FleetService", "ListAgents"), call("FleetService", "ListItems"), call("ReceiptService", "ListReceipts"), call("FleetService", "ListDrift"),
    ]);
    const agents = fleet.agents ?? [], signals = drift.signals ?? [];
    const open = (items.items ?? []).filter((i) => level(i.level) < (i.deleted ? 3 : 4));
    fill("agents", agents.map(agentCells), "No tenant cluster is registered.");
    fill("items", open.slice(0, 500).map(itemCells), "Nothing is on the way.");
    fill("receipts", (receipts.receipts ?? []).slice(0, 500).map(receiptCells), "No tenant has reported a pack.");
    fill("drift", signals.slice(0, 500).map(driftCells), "No drift.");
    const text = agents.filter((a) => a.connected).length + " of " + counted(agents.length, "agent") + " connected, " + counted(open.length, "item") + " on the way, " + counted(signals.length, "open drift signal");
    if (summary.textContent !== text) summary.textContent = text;
    summary.className = "";
  } catch (error) {
    summary.textContent = "The hub does not answer (" + error.message + "); what is shown may be old.";
    summary.className = "bad";
  }
  setTimeout(refresh, document.hidden ? 10 * REFRESH_MS : REFRESH_MS);
};
refresh();
`;
