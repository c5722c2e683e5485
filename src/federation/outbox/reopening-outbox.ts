import type { Clock } from "../../base/clock.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { join } from "node:path";
import { OUTBOX_FILE, type Outbox, type OutboxOptions, openOutbox } from "./outbox.ts";
import { WaitingEvents } from "../../base/waiting-events.ts";

/** How soon a store that cannot be opened is tried again, milliseconds. */
export const REOPEN_MS = 30_000;

/** Reasons after which a store is of no use until it was opened again. */
const BROKEN: ReadonlySet<string> = new Set(["StoreClosed", "StoreIoError"]);

/** Why a store is not open. */
export interface StoreUnavailable {
  /** Stable: that of the error, such as `StoreUnwritable` or `StoreLocked`. */
  readonly reason: string;
  /** For people. */
  readonly detail: string;
}

/** What {@link ReopeningOutbox} works with. */
export interface ReopeningOutboxOptions extends OutboxOptions {
  /** Hears why it is not open, and with undefined that it is, each time that changes. */
  readonly told: (unavailable: StoreUnavailable | undefined) => void;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Default: {@link openOutbox}. */
  readonly open?: (options: OutboxOptions) => Promise<Outbox>;
}

/**
 * The agent's store, opened again and again until it is open, also after it was closed under it: meanwhile audit events wait in memory,
 * bounded, and everything else is refused.
 */
export class ReopeningOutbox implements Outbox {
  /** Resolves when it is open for the first time; never rejects. */
  readonly opened: Promise<void>;
  /** Resolves with the first attempt to open it: whether it is open. */
  readonly triedOnce: Promise<boolean>;
  readonly #options: ReopeningOutboxOptions;
  readonly #waiting = new WaitingEvents<Outbox>();
  readonly #clock: Clock;
  #outbox: Outbox | undefined;
  #unavailable: StoreUnavailable | undefined;
  #opening: Promise<void> | undefined;
  #closed = false;
  readonly #firstOpened = Promise.withResolvers<void>();
  readonly #firstTried = Promise.withResolvers<boolean>();

  constructor(options: ReopeningOutboxOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.opened = this.#firstOpened.promise;
    this.triedOnce = this.#firstTried.promise;
    this.#open();
  }

  /** Events that wait in memory. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Events that found no place. */
  get missed(): number {
    return this.#waiting.missed;
  }

  apply: Outbox["apply"] = (writes) => this.#with((outbox) => outbox.apply(writes));
  putFact: Outbox["putFact"] = (fact) => this.#with((outbox) => outbox.putFact(fact));
  record: Outbox["record"] = () => this.#with((outbox) => outbox.record());
  loadFacts: Outbox["loadFacts"] = (keys) => this.#with((outbox) => outbox.loadFacts(keys));
  loadAudit: Outbox["loadAudit"] = (...range) => this.#with((outbox) => outbox.loadAudit(...range));
  checkBlob: Outbox["checkBlob"] = (digest) => this.#with((outbox) => outbox.checkBlob(digest));
  readBlob: Outbox["readBlob"] = (digest) => this.#with((outbox) => outbox.readBlob(digest));
  auditCursor: Outbox["auditCursor"] = () => this.#with((outbox) => outbox.auditCursor());
  status: Outbox["status"] = () => this.#with((outbox) => outbox.status());

  appendAudit: Outbox["appendAudit"] = (event, droppable) => {
    const append = (outbox: Outbox) => this.#on(outbox, outbox.appendAudit(event, droppable));
    return this.#outbox === undefined ? this.#waiting.add(droppable, append) : append(this.#outbox);
  };

  close: Outbox["close"] = async () => {
    this.#closed = true;
    await this.#opening;
    await this.#outbox?.close();
  };

  async #with<T>(ask: (outbox: Outbox) => Promise<T>): Promise<T> {
    if (this.#outbox === undefined) throw this.#notOpen();
    return this.#on(this.#outbox, ask(this.#outbox));
  }

  /** A store whose disk fails, or that is closed, is opened again; what was asked of it fails. */
  async #on<T>(outbox: Outbox, asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (error) {
      if (error instanceof SeamError && BROKEN.has(error.reason) && this.#outbox === outbox && !this.#closed) {
        this.#outbox = undefined;
        this.#tell({ reason: error.reason, detail: withCause(error) });
        this.#open(outbox);
      }
      throw error;
    }
  }

  /** @param former gives up its lock first */
  #open(former?: Outbox): void {
    this.#opening ??= this.#untilOpen(former).finally(() => {
      this.#opening = undefined;
    });
  }

  async #untilOpen(former: Outbox | undefined): Promise<void> {
    const { signal, log, open = openOutbox } = this.#options;
    // Whoever made this has it before it is told anything.
    await Promise.resolve();
    await former?.close().catch((error: unknown) => {
      log.warn({ error: errorMessage(error) }, "the agent's store could not be closed; it is opened again");
    });
    while (!this.#closed && !signal.aborted) {
      try {
        const outbox = await open(this.#options);
        this.#outbox = outbox;
        this.#waiting.flush(outbox);
        this.#tell(undefined);
        this.#firstTried.resolve(true);
        this.#firstOpened.resolve();
        return;
      } catch (error) {
        const reason = error instanceof SeamError ? error.reason : "StoreUnavailable";
        const detail = withCause(error);
        log.error({ reason, error: detail, againInMs: REOPEN_MS }, "the agent's store cannot be opened");
        this.#tell({ reason, detail });
        this.#firstTried.resolve(false);
      }
      await this.#clock.sleep(REOPEN_MS, signal).catch(() => {
        // the agent stops
      });
    }
  }

  #tell(unavailable: StoreUnavailable | undefined): void {
    const before = this.#unavailable;
    this.#unavailable = unavailable;
    if (unavailable !== undefined) this.#waiting.bound(join(this.#options.directory, OUTBOX_FILE));
    if (before?.detail !== unavailable?.detail || before?.reason !== unavailable?.reason)
      this.#options.told(unavailable);
  }

  #notOpen(): SeamError {
    return new SeamError({
      reason: "StoreUnavailable",
      object: join(this.#options.directory, OUTBOX_FILE),
      expected: `an open store: ${this.#unavailable?.detail ?? "it is being opened"}`,
      remedy: "opening is tried again every 30 s",
    });
  }
}

/** What happened, and what the system said of it. */
function withCause(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? errorMessage(error) : `${errorMessage(error)} (${errorMessage(cause)})`;
}
