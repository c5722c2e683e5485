import { ANSWERS } from "./answers.ts";
import { AUDIT } from "./audit.ts";
import { BODIES } from "./bodies.ts";
import { EXPIRY } from "./expiry.ts";
import { HEADERS } from "./headers.ts";
import { ITEMS } from "./items.ts";
import { LOST_HUB } from "./lost-hub.ts";
import { RANGE_ANSWERS } from "./ranges.ts";
import { REVOCATIONS } from "./revocations.ts";
import type { Scenario } from "./scenario.ts";
import { SUCCESSIONS } from "./successions.ts";
import { STREAMS } from "./streams.ts";

/** What random schedules meet too seldom, or cannot tell from chance: one story each, with its times. */
export const SCENARIOS: readonly Scenario[] = [
  ...STREAMS,
  ...SUCCESSIONS,
  ...RANGE_ANSWERS,
  ...HEADERS,
  ...REVOCATIONS,
  ...EXPIRY,
  ...ITEMS,
  ...BODIES,
  ...ANSWERS,
  ...AUDIT,
  ...LOST_HUB,
];
