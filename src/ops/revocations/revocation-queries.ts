import { create, toBinary } from "@bufbuild/protobuf";
import {
  type Revocation,
  RevocationSchema,
  type WatchRevocationsResponse,
  WatchRevocationsResponseSchema,
} from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import type { Clock } from "../../base/clock.ts";
import type { RunningRevocationOutbox } from "../../federation/hub/revocations/revocation-outbox.ts";
import type { FleetSources } from "../fleet/fleet-sources.ts";
import { coalescedChanges } from "../watch/coalesced-changes.ts";
import { readCertificateRemark } from "./certificate-remark.ts";
import { certificateRow, revocationRows } from "./revocation-row.ts";

/** How often a watch looks for what time alone changes, milliseconds: content of agents without contact runs out. */
const LOOK_AGAIN_MS = 1_000;

/** What is revoked, and how far that is. */
export class RevocationQueries {
  readonly #sources: FleetSources;
  readonly #outbox: RunningRevocationOutbox;
  readonly #clock: Clock;

  constructor(sources: FleetSources, outbox: RunningRevocationOutbox, clock: Clock) {
    this.#sources = sources;
    this.#outbox = outbox;
    this.#clock = clock;
  }

  /** All revocations, newest first. */
  list(): readonly Revocation[] {
    const certificates = this.#sources.directory.deniedSerials().flatMap((entry) => {
      const revoked = readCertificateRemark(entry);
      return revoked === undefined ? [] : [certificateRow(revoked)];
    });
    const rows = [...revocationRows(this.#sources, this.#outbox.records(), this.#clock.now()), ...certificates];
    return rows.sort((a, b) => createdMs(b) - createdMs(a));
  }

  /** One of them; undefined when there is none of that id. */
  find(revocationId: string): Revocation | undefined {
    return this.list().find((revocation) => revocation.revocationId === revocationId);
  }

  /** @throws GrpcStatusError NOT_FOUND */
  get(revocationId: string): Revocation {
    const found = this.find(revocationId);
    if (found !== undefined) return found;
    throw new GrpcStatusError(Status.NOT_FOUND, {
      reason: "RevocationNotFound",
      object: `revocation ${JSON.stringify(revocationId)}`,
      expected: "an id that Revoke answered",
      remedy: "list them: seamctl revoke list",
    });
  }

  /** Everything first, then what changed. Ends when the one that was asked for is complete. @throws GrpcStatusError NOT_FOUND */
  async *watch(revocationId: string, signal: AbortSignal): AsyncGenerator<WatchRevocationsResponse> {
    if (revocationId !== "") this.get(revocationId);
    const sent = new Map<string, string>();
    let first = true;
    for await (const _ of coalescedChanges((listener) => this.#subscribe(listener), this.#clock, signal)) {
      const rows = revocationId === "" ? this.list() : [this.get(revocationId)];
      const changed = rows.filter((row) => {
        const content = Buffer.from(toBinary(RevocationSchema, row)).toString("base64");
        if (sent.get(row.revocationId) === content) return false;
        sent.set(row.revocationId, content);
        return true;
      });
      if (first || changed.length > 0) yield create(WatchRevocationsResponseSchema, { revocations: changed });
      first = false;
      if (revocationId !== "" && rows.every(({ complete }) => complete)) return;
    }
  }

  #subscribe(listener: (cluster: string) => void): () => void {
    const stop = new AbortController();
    void this.#lookAgain(() => listener(""), stop.signal);
    const unsubscribe = [this.#outbox.subscribe(listener), this.#sources.subscribe(listener)];
    return () => {
      stop.abort();
      for (const each of unsubscribe) each();
    };
  }

  async #lookAgain(look: () => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#clock.sleep(LOOK_AGAIN_MS, signal);
      } catch {
        return; // the watch ended
      }
      look();
    }
  }
}

/** When a revocation was stored, Unix milliseconds. */
export function createdMs({ createdAt }: Revocation): number {
  return createdAt === undefined ? 0 : Number(createdAt.seconds) * 1000 + createdAt.nanos / 1e6;
}
