import { type HttpRequest, type HttpResponse, sendJson } from "./http-exchange.ts";
import { HttpProblem } from "./http-problem.ts";

/** Time in which the body of a request must have arrived, milliseconds. */
export const BODY_DEADLINE_MS = 10_000;

/** Refuses a request whose body does not arrive in time. */
export function endLateBody(request: HttpRequest, response: HttpResponse, ms = BODY_DEADLINE_MS): void {
  const deadline = setTimeout(() => {
    refuseRequest(request, response, new HttpProblem(408, "Timeout", "the body did not arrive in time"));
  }, ms);
  deadline.unref();
  for (const event of ["end", "close"]) request.once(event, () => clearTimeout(deadline));
}

/** Refuses as Kubernetes does, by a `Status`. What is left of the body is not read: the connection or stream ends with it. */
export function refuseRequest(request: HttpRequest, response: HttpResponse, error: unknown): void {
  const problem =
    error instanceof HttpProblem ? error : new HttpProblem(500, "InternalError", "the request could not be answered");
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { code, reason, message } = problem;
  const status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code };
  const unread = !request.complete;
  const ends = unread && request.httpVersionMajor === 1 ? { connection: "close" } : {};
  sendJson(response, code, status, { ...problem.headers, ...ends });
  if (unread) response.once("finish", () => request.destroy());
}
