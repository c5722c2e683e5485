import { describe, expect, it } from "vitest";
import { postgresTarget, targetName } from "./postgres-target.ts";

describe("postgresTarget", () => {
  it.each([
    [
      "postgres://seam@db.example.com/audit",
      { host: "db.example.com", port: 5432, tls: { mode: "verify-full" }, password: { from: "none" } },
    ],
    [
      "postgresql://seam:s%40cret@10.0.0.1:6432/audit?sslmode=disable",
      { host: "10.0.0.1", port: 6432, tls: { mode: "disable" }, password: { from: "url", value: "s@cret" } },
    ],
    [
      "postgres://seam@/audit?host=/run/postgresql",
      { host: "/run/postgresql", port: 5432, database: "audit", tls: { mode: "disable" } },
    ],
    ["postgres://seam@[::1]:5433/audit", { host: "::1", port: 5433 }],
  ])("reads %s", (text, expected) => {
    expect(postgresTarget(text)).toMatchObject({ user: "seam", database: "audit", ...expected });
  });

  it.each([
    ["not a url: hunter2", /audit sink URL: a URL such as postgres:\/\/seam@db\.example\.com\/audit; docs\/audit\.md/],
    ["mysql://seam:hunter2@db/audit", /a URL that begins with postgres:\/\//],
    ["postgres://:hunter2@db/audit", /a user: postgres:\/\/USER@/],
    ["postgres://seam:hunter2@db/", /the name of a database after the host/],
    ["postgres://seam:hunter2@db/audit?sslmode=require", /sslmode verify-full, verify-ca or disable, found "require"/],
    ["postgres://seam:hunter2@db/audit?options=-c", /no parameters but sslmode, host, port, found options/],
    ["postgres://seam:hunter2@db/audit?host=other", /a host, or host=\/folder of a Unix socket/],
    ["postgres://seam:hunter2%@db/audit", /a password whose % signs are escapes/],
  ])("refuses %s without showing it", (text, message) => {
    const error = refusal(() => postgresTarget(text));
    expect(error.message).toMatch(message);
    expect(error.message + String(error.stack)).not.toContain("hunter2");
  });

  it("takes one password and whole pairs of files", () => {
    const secret = "postgres://seam:hunter2@db/audit";
    expect(refusal(() => postgresTarget(secret, { passwordFile: "/p" })).message).toContain(
      "a password in the URL or in a file, not both",
    );
    expect(refusal(() => postgresTarget(secret, { certificateFile: "/c" })).message).toContain(
      "a client certificate and its key, or neither",
    );
    expect(refusal(() => postgresTarget(`${secret}?sslmode=disable`, { caFile: "/c" })).message).toContain(
      "sslmode=verify-full or verify-ca when certificates are given",
    );
  });

  it("is named without credentials", () => {
    expect(targetName(postgresTarget("postgres://seam:hunter2@db/audit"))).toBe("audit sink postgres://db:5432/audit");
  });
});

function refusal(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("nothing was refused");
}
