import { expect, it } from "vitest";
import { refusalText } from "./agent-row.ts";

const refused = { epoch: 5, sequence: 3, digest: "sha256:d", reason: "UNKNOWN_KEY", detail: "" };

it("says of a refused index what a person does about one that goes back, and nothing of the others", () => {
  expect(refusalText(refused)).toBe("refuses index 5.3: UNKNOWN_KEY; the last good one stays in force");
  const detail = "index is 5/3, already trusted 5/9";
  expect(refusalText({ ...refused, reason: "ROLLBACK_REJECTED", detail })).toBe(
    "refuses index 5.3: ROLLBACK_REJECTED, index is 5/3, already trusted 5/9; the last good one stays in force. If the management cluster was restored from a backup, delete ConfigMap federation-index-ledger and Secret federation-index in the tenant's namespace: the next index begins a new epoch",
  );
});
