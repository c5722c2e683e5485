import type { Metadata } from "@grpc/grpc-js";
import type { Log } from "../../base/log.ts";
import type { Principal } from "./principal.ts";
import { GrpcStatusError, Status } from "./status-error.ts";

/** What a handler knows about a call besides its request. */
export interface CallContext {
  /** Aborts when the caller went away, its deadline passed, or the server stops. */
  readonly signal: AbortSignal;
  /** Who calls. Undefined only on listeners that let anonymous callers in. */
  readonly principal: Principal | undefined;
  /** `address:port` of the connection: the key under which a listener knows it. */
  readonly peer: string;
  readonly metadata: Metadata;
}

/** How a listener tells handlers who calls. */
export interface CallHooks {
  /**
   * Establishes the caller.
   *
   * @throws GrpcStatusError UNAUTHENTICATED or PERMISSION_DENIED
   */
  principal(peer: string, metadata: Metadata): Promise<Principal | undefined> | Principal | undefined;
  /** Aborts when the server stops. */
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** Signal of one call. Made when somebody asks for it: most calls are answered before anybody could. */
export class CallSignal {
  readonly #controller = new AbortController();
  readonly #server: AbortSignal;
  readonly #stop = (): void => this.#controller.abort(new GrpcStatusError(Status.UNAVAILABLE, "the server stops"));

  /** @param server aborts when the server stops */
  constructor(server: AbortSignal) {
    this.#server = server;
    if (server.aborted) this.#stop();
    else server.addEventListener("abort", this.#stop, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The call is over. @param gone its caller left before the answer; after the answer that is no news for anybody */
  ended(gone: boolean): void {
    this.#server.removeEventListener("abort", this.#stop);
    if (gone) this.#controller.abort(new GrpcStatusError(Status.CANCELLED, "the caller went away"));
  }
}
