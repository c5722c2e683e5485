import { readFile } from "node:fs/promises";
import { SeamError, errorMessage } from "../base/errors.ts";
import { type DecisionLogPolicy, parseDecisionLogPolicy } from "../permissions/service/decision-log-policy.ts";
import type { Environment } from "./environment.ts";

/** Policy of the decision log, when a file of one is named. @throws SeamError `FileUnreadable` or `AuditPolicyInvalid` */
export async function decisionLog(env: Environment): Promise<{ readonly decisionLog?: DecisionLogPolicy }> {
  const path = env["AUDIT_POLICY_PATH"];
  if (!path) return {};
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new SeamError(
      { reason: "FileUnreadable", object: path, expected: `a file this process may read: ${errorMessage(cause)}` },
      { cause },
    );
  }
  return { decisionLog: parseDecisionLogPolicy(text, path) };
}
