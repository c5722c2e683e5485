/** How full an audit log is. `full`: it reached its cap, where allows are dropped, and is still above 80 % of it. */
export type AuditPressure = "normal" | "nearFull" | "full";
