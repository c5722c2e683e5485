import type { Clock } from "../../../../base/clock.ts";
import { errorMessage } from "../../../../base/errors.ts";
import { uuidV4 } from "../../../../base/ids.ts";
import type { JsonObject } from "../../../../base/json.ts";
import type { Log } from "../../../../base/log.ts";
import type { Random } from "../../../../base/random.ts";
import type { ApiStatusError } from "../../../api-status-error.ts";
import { errorOfStatus } from "../../../status-document.ts";
import { collectionId, type ServedResource } from "../../resources/served-resource.ts";
import { forbidden, internalError } from "../../status-errors.ts";
import type { AdmissionCel } from "../admission-cel.ts";
import type { AdmissionRequest } from "../admission-request.ts";
import { type MatchContext, matchRequest } from "../match-resources.ts";
import { meetsConditions } from "../policies/evaluate-policy.ts";
import { requestBindings, requestDocument, shownIn } from "../request-bindings.ts";
import { type AdmissionResponse, callWebhook } from "./call-webhook.ts";
import { asWebhookConfiguration, type ValidatingWebhook } from "./webhook-shapes.ts";

const CONFIGURATIONS = collectionId("admissionregistration.k8s.io", "validatingwebhookconfigurations");
const DEFAULT_TIMEOUT_SECONDS = 10;

/** What webhooks are called with. */
export interface WebhookContext extends MatchContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Ends calls that are under way. */
  readonly closing: AbortSignal;
}

/** Judges writes by the stored ValidatingWebhookConfigurations, calling out over HTTPS. */
export class WebhookAdmission {
  readonly #context: WebhookContext;
  readonly #cel: AdmissionCel;
  #webhooks: readonly ValidatingWebhook[] | undefined;

  constructor(context: WebhookContext, cel: AdmissionCel) {
    this.#context = context;
    this.#cel = cel;
    context.store.subscribe((events) => {
      if (events.some((event) => event.collection === CONFIGURATIONS)) this.#webhooks = undefined;
    });
  }

  /**
   * Calls every webhook that the request concerns, all at once; undefined when there is none. The request is read before this returns: what
   * becomes of its objects afterwards plays no part. Rejects with ApiStatusError of the first that refuses or, with `failurePolicy: Fail`, fails.
   */
  ask(request: AdmissionRequest, onWarning: (warning: string) => void): Promise<void> | undefined {
    this.#webhooks ??= this.#stored();
    const calls: Promise<void>[] = [];
    for (const webhook of this.#webhooks) {
      const call = this.#concern(webhook, request, onWarning);
      if (call) calls.push(call);
    }
    if (calls.length === 0) return undefined;
    return Promise.allSettled(calls).then((results) => {
      for (const result of results) if (result.status === "rejected") throw result.reason;
    });
  }

  #stored(): readonly ValidatingWebhook[] {
    return [...this.#context.store.collection(CONFIGURATIONS).entries()].flatMap(
      ([, { object }]) => asWebhookConfiguration(object).webhooks ?? [],
    );
  }

  #concern(
    webhook: ValidatingWebhook,
    request: AdmissionRequest,
    onWarning: (warning: string) => void,
  ): Promise<void> | undefined {
    const rules = webhook.rules ?? [];
    if (rules.length === 0) return undefined;
    const matched = matchRequest(this.#context, request, { ...webhook, resourceRules: rules });
    if (!matched) return undefined;
    const conditions = webhook.matchConditions ?? [];
    if (conditions.length > 0) {
      const met = meetsConditions(this.#cel, conditions, requestBindings(this.#context, request, matched));
      if ("error" in met)
        return webhook.failurePolicy === "Ignore"
          ? undefined
          : Promise.reject(forbidden(request.resource, request.name, met.error));
      if (!met.matches) return undefined;
    }
    const uid = uuidV4(this.#context.random);
    return this.#call(webhook, uid, reviewText(request, matched, uid), onWarning);
  }

  async #call(
    webhook: ValidatingWebhook,
    uid: string,
    review: string,
    onWarning: (warning: string) => void,
  ): Promise<void> {
    const { clock, store, log, closing } = this.#context;
    const seconds = webhook.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS;
    const late = new AbortController();
    const done = new AbortController();
    void clock.sleep(seconds * 1000, done.signal).then(
      () => late.abort(),
      () => undefined, // the answer came first
    );
    let response: AdmissionResponse;
    try {
      const signal = AbortSignal.any([late.signal, closing]);
      response = await callWebhook(store, webhook.clientConfig, seconds, uid, review, signal);
    } catch (error) {
      const why = `failed calling webhook ${JSON.stringify(webhook.name)}: failed to call webhook: ${errorMessage(error)}`;
      if (webhook.failurePolicy !== "Ignore") throw internalError(why);
      log.warn(
        { webhook: webhook.name, error: errorMessage(error) },
        "a webhook did not answer; its failurePolicy says to go on",
      );
      return;
    } finally {
      done.abort();
    }
    for (const warning of response.warnings) onWarning(warning);
    if (!response.allowed) throw denial(webhook.name, response.status ?? {});
  }
}

function reviewText(request: AdmissionRequest, matched: ServedResource, uid: string): string {
  return JSON.stringify({
    kind: "AdmissionReview",
    apiVersion: "admission.k8s.io/v1",
    request: {
      uid,
      ...requestDocument(request, matched),
      object: shownIn(request.object, matched) ?? null,
      oldObject: shownIn(request.oldObject, matched) ?? null,
    },
  });
}

/** The webhook's own Status with who says it (`webhookerrors.ToStatusErr`). */
function denial(name: string, status: JsonObject): ApiStatusError {
  const deniedBy = `admission webhook ${JSON.stringify(name)} denied the request`;
  const said = [status["message"], status["reason"]].find((text) => typeof text === "string" && text !== "");
  const code = typeof status["code"] === "number" && status["code"] >= 400 ? status["code"] : 400;
  const message = typeof said === "string" ? `${deniedBy}: ${said}` : `${deniedBy} without explanation`;
  return errorOfStatus(code, { ...status, kind: "Status", apiVersion: "v1", code, message });
}
