import type { DesiredIndex } from "../../src/federation/hub/ports.ts";
import { type IndexItem, itemKey } from "../../src/federation/index/index-document.ts";
import { forEachBody } from "../../src/federation/index/plan-index.ts";
import { wireLevel } from "../../src/federation/session/spoke/item-reports.ts";
import type { ItemRecord } from "../../src/federation/session/spoke/record.ts";
import type { Agent } from "./agent.ts";
import type { DesiredState } from "./desired-state.ts";
import type { SimulatedHub } from "./simulated-hub.ts";
import { type HubStore, REFUSED_FACT } from "./hub-store.ts";

/** What is still missing until one agent and the hub agree about everything; empty when nothing is. */
export function checkConverged(agent: Agent, state: DesiredState, hub: SimulatedHub, healed: boolean): string {
  if (!healed) return "faults go on";
  if (agent.session?.connected !== true) return "not connected";
  const { store } = agent;
  const behind = hub.store(agent.cluster);
  const { current } = state;
  if (current === undefined || store.index?.digest !== current.digest) return "holds another index";
  if (hub.session(agent.cluster)?.view().held?.digest !== current.digest) return "the hub does not know what it holds";
  return (
    checkItems(agent, state, hub) ||
    checkBodies(agent) ||
    checkFacts(agent, hub) ||
    checkAudit(agent, behind) ||
    (store.term !== hub.session(agent.cluster)?.view().term ? "the term of the session is not stored" : "") ||
    (behind.pending.length > 0 ? `${behind.pending.length} revocations are pending` : "") ||
    checkFloors(agent, current) ||
    (agent.requests.size > 0 ? "requests without an answer" : "") ||
    checkDrifts(agent, behind) ||
    checkMemory(agent, hub) ||
    (behind.waitingRetry === "" ? "" : `retry ${behind.waitingRetry} did not reach the agent`)
  );
}

/** When everything was said and acknowledged, nothing is counted any more and nothing is kept to be sent. */
function checkMemory(agent: Agent, hub: SimulatedHub): string {
  const [up, down] = [agent.session?.queuedBytes ?? 0, hub.session(agent.cluster)?.queuedBytes ?? 0];
  if (up !== 0 || down !== 0) return `${up} bytes up and ${down} down stay counted`;
  const pinned = hub.pinned(agent.cluster);
  return pinned === 0 ? "" : `${pinned} bodies stay pinned`;
}

function checkDrifts(agent: Agent, behind: HubStore): string {
  for (const [name, state] of behind.drifts)
    if (agent.drifts.get(name) !== state)
      return `drift signal ${name} is at ${agent.drifts.get(name) ?? 0} for the agent, not ${state}`;
  return "";
}

function checkFloors(agent: Agent, current: DesiredIndex): string {
  for (const { target, name, floor } of current.document.revocations)
    if (agent.tenant.floor(target, name) < floor) return `floor ${floor} of ${target}/${name} is not in force`;
  return "";
}

/** Every number is stored; without lost disks each once, and with them every event that is on no lost disk. */
function checkAudit({ store }: Agent, behind: HubStore): string {
  const { events, through } = behind.audit(store.auditEpoch);
  if (through !== store.auditLast) return `audit stored through ${through} of ${store.auditLast}`;
  if (store.auditAcked !== store.auditLast)
    return `audit acknowledged through ${store.auditAcked} of ${store.auditLast}`;
  if (!behind.lenient) return events.size === Number(store.auditLast) ? "" : "audit numbers are missing";
  if (behind.forked || store.remembered === undefined) return "";
  const stored = behind.auditTexts();
  for (const text of store.remembered) if (!stored.has(text)) return `audit event ${text} is lost`;
  return "";
}

function checkItems(agent: Agent, state: DesiredState, hub: SimulatedHub): string {
  const { levels } = hub.store(agent.cluster);
  const items = state.current?.document.items ?? [];
  for (const item of items) {
    const key = itemKey(item);
    const record = agent.store.items.get(key);
    if (record === undefined || !isSame(record, item, state.current)) return `${key} is at another version`;
    const poison = state.blobs.poisonOf(item.digest);
    const expected = { none: "healthy", verify: "received", apply: "verified", healthy: "applied" }[poison];
    if (record.level !== expected)
      return `${key} is ${record.level} (${record.nack?.reason ?? "no nack"}), not ${expected}`;
    if (poison !== "none" && (record.nack?.reason !== "POISON" || record.quarantinedBy === ""))
      return `${key} is poison and not quarantined`;
    if (poison === "none" && record.nack !== undefined) return `${key} is healthy and refused`;
    const report = levels.get(key);
    if (report === undefined || Number(report.version) !== record.item.version)
      return `the hub has no report of ${key}`;
    if (report.level !== wireLevel(record.level)) return `the hub has ${key} at level ${report.level}`;
    if ((report.nack?.reason ?? "") !== (record.nack?.reason ?? "")) return `the hub has another nack of ${key}`;
    const inForce = agent.tenant.applied.get(key);
    if (item.deleted === true && inForce !== undefined) return `${key} is deleted and in force`;
    const takesEffect = item.deleted !== true && (poison === "none" || poison === "healthy");
    if (takesEffect && inForce?.digest !== item.digest) return `${key} is not in force`;
  }
  const named = new Set(items.map(itemKey));
  for (const key of hub.session(agent.cluster)?.view().quarantined.keys() ?? [])
    if (!named.has(key)) return `the hub holds ${key} for quarantined, which is not in the index`;
  if (agent.store.items.size !== items.length) return "the agent knows items that are not in the index";
  return "";
}

function checkBodies(agent: Agent): string {
  const needed = new Set<string>();
  for (const record of agent.store.items.values()) {
    forEachBody(record.item, (digest) => needed.add(digest));
    if (record.lastGood === undefined) continue;
    let missing = "";
    forEachBody(record.lastGood, (digest) => {
      needed.add(digest);
      if (agent.store.blobs.get(digest)?.checked !== true) missing = digest;
    });
    if (missing !== "") return `body ${missing} of the last good ${itemKey(record.item)} is gone`;
  }
  for (const digest of agent.store.blobs.keys()) if (!needed.has(digest)) return `body ${digest} is held for nothing`;
  return "";
}

function checkFacts(agent: Agent, hub: SimulatedHub): string {
  const stored = hub.store(agent.cluster).facts;
  for (const [key, fact] of agent.store.facts) {
    if (fact.pending) return `${key} waits`;
    if (!key.endsWith(REFUSED_FACT) && stored.get(key) !== fact.version) return `${key} is not what the hub has`;
  }
  return "";
}

/** A new epoch numbers versions anew, also those of items that stay as they are. */
function isSame(record: ItemRecord, item: IndexItem, current: DesiredIndex | undefined): boolean {
  return (
    record.epoch === current?.document.epoch &&
    record.item.version === item.version &&
    record.item.digest === item.digest &&
    record.item.deleted === item.deleted
  );
}
