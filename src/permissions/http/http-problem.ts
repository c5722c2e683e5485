import type { StatusReason } from "../../cluster/api-status-error.ts";

/** A request that is refused before anything is decided: never an answer that a client could read as yes. */
export class HttpProblem extends Error {
  override readonly name = "HttpProblem";
  /** HTTP status, 4xx or 5xx. */
  readonly code: number;
  readonly reason: StatusReason;
  /** Headers that belong to the refusal, for example `allow`. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: number, reason: StatusReason, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.headers = headers;
  }
}

/** 400 with every fault of the body. */
export function badRequest(object: string, faults: readonly string[]): HttpProblem {
  return new HttpProblem(400, "BadRequest", `${object}: ${faults.join("; ")}`);
}
