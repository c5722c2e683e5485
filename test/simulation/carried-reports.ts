import type { IndexReport, ItemReport } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { Envelope } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";

/** Item reports of a frame, however many it brings. */
export function itemReportsIn({ payload }: Envelope): readonly ItemReport[] {
  if (payload.case === "itemReport") return [payload.value];
  return payload.case === "itemReports" ? payload.value.items : [];
}

/** The index report of a frame, alone or with those of items. */
export function indexReportIn({ payload }: Envelope): IndexReport | undefined {
  if (payload.case === "indexReport") return payload.value;
  return payload.case === "itemReports" ? payload.value.index : undefined;
}
