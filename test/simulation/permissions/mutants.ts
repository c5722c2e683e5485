/** One thing that is broken on purpose: text of a source file and what stands there instead. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly put: string;
}

const STORE = "src/permissions/store/snapshot-store.ts";
const SIGNER = "src/governance/snapshots/snapshot-signer.ts";
const VERIFY = "src/permissions/snapshot/verify-statement.ts";

/**
 * Ways to break the permission path; `mutate.ts` tells which of them the simulator notices, and a test holds that each text is still there.
 * In 60 seeds it notices 18 of 24. Not noticed: ceilings and suspended principals (the engine's property test and invariants hold those), two
 * orders of writes that take a crash in between, a number given out twice (unit tests); a tenant that never looks at its offline limit hangs.
 */
export const MUTANTS: readonly Mutant[] = [
  {
    name: "signatures are not verified",
    file: VERIFY,
    find: "const verdict = verifyEnvelope(envelope, PAYLOAD_TYPES.permissionSnapshot, checks.keys);",
    put: "const verdict = { ok: true as const, code: '', keyId: statement.keyId };",
  },
  {
    name: "another cluster's statement is taken",
    file: VERIFY,
    find: "if (statement.cluster !== checks.cluster)",
    put: "if (statement.cluster === '')",
  },
  {
    name: "content is not compared with its hash",
    file: "src/permissions/snapshot/load-content.ts",
    find: "if (found !== contentHash)",
    put: "if (found === '')",
  },
  {
    name: "the position is not durable before the activation",
    file: STORE,
    find: '    await this.#raise(statement);\n    return { kind: "activation"',
    put: '    return { kind: "activation"',
  },
  {
    name: "a revocation floor is not written",
    file: "src/trust/floors/floor-file.ts",
    find: "    if (this.#durable < this.#changes) await this.#flush();",
    put: "",
  },
  {
    name: "a restart forgets the revocation floor",
    file: STORE,
    find: "return { ...NO_FLOOR, minimumSequence: floor.minimumSequence };",
    put: "return floor.minimumSequence < 0 ? floor : NO_FLOOR;",
  },
  {
    name: "a revocation drops nothing",
    file: STORE,
    find: "held.statement.sequence < this.floor.minimumSequence &&",
    put: "held.statement.sequence < 0 &&",
  },
  {
    name: "what was revoked between verification and activation is activated",
    file: STORE,
    find: "this.#verifyAgain(offer);",
    put: "",
  },
  {
    name: "a withdrawn key goes on deciding",
    file: STORE,
    find: "else if (!keys.empty && keys.key(held.keyId) === undefined) {",
    put: "else if (keys.key(held.keyId) === undefined && held.keyId === '') {",
  },
  {
    name: "a refused offer ends what is in force",
    file: STORE,
    find: "        const prepared = await this.#prepare(envelope, readContent);",
    put: "        const prepared = await this.#prepare(envelope, readContent).catch((error: unknown) => {\n          this.current = undefined;\n          throw error;\n        });",
  },
  {
    name: "a restart makes a snapshot young again",
    file: STORE,
    find: "const ageMs = Math.max(0, clock.now() - statement.issuedAtMs);",
    put: "const ageMs = Math.min(0, statement.issuedAtMs);",
  },
  {
    name: "an older statement of the same position renews",
    file: STORE,
    find: "if (samePosition && statement.issuedAtMs <= previous.statement.issuedAtMs) {",
    put: "if (samePosition && statement.issuedAtMs < 0) {",
  },
  {
    name: "the offline limit is not looked at",
    file: "src/permissions/store/freshness.ts",
    find: 'if (ageMs > limits.maxOfflineSeconds * 1000) return "EXPIRED";',
    put: "",
  },
  {
    name: "an expired snapshot decides",
    file: "src/permissions/service/question-gate.ts",
    find: "    switch (freshness) {",
    put: '    switch (freshness === "EXPIRED" ? "STALE" : freshness) {',
  },
  {
    name: "the statement is written before its content",
    file: "src/permissions/store/snapshot-files.ts",
    find: "    if (content !== undefined) await this.#files.write(contentFile(contentHash), content);\n    await this.#files.write(STATEMENT_FILE, envelope);",
    put: "    await this.#files.write(STATEMENT_FILE, envelope);\n    if (content !== undefined) await this.#files.write(contentFile(contentHash), content);",
  },
  {
    name: "old content is dropped before the statement that no longer names it",
    file: "src/permissions/store/snapshot-files.ts",
    find: "    await this.#files.write(STATEMENT_FILE, envelope);\n    await this.#dropContentBut(contentFile(contentHash));",
    put: "    await this.#dropContentBut(contentFile(contentHash));\n    await this.#files.write(STATEMENT_FILE, envelope);",
  },
  {
    name: "equal content gets a new version",
    file: SIGNER,
    find: "const same = last?.contentHash === computed.contentHash && last.sequence >= minSequence;",
    put: "const same = last?.contentHash === '' && last.sequence >= minSequence;",
  },
  {
    name: "a position is signed before it is durable",
    file: SIGNER,
    find: "    await writeLedger(cluster, tenant, ledger, next);",
    put: "",
  },
  {
    name: "the signer does not know of revocations",
    file: SIGNER,
    find: "const minSequence = this.#parts.minSequence(tenant);",
    put: "const minSequence = Math.min(0, this.#parts.minSequence(tenant));",
  },
  {
    name: "statements are never renewed",
    file: SIGNER,
    find: "const RENEW_AT = 0.5;",
    put: "const RENEW_AT = 50;",
  },
  {
    name: "a number given out twice is no reason for a new epoch",
    file: "src/federation/hub/mirror/snapshot-acknowledgement.ts",
    find: "return order > 0 || equivocal ?",
    put: "return order > 0 || (equivocal && order > 0) ?",
  },
  {
    name: "chunks are cut too short",
    file: "src/permissions/snapshot/content-chunks.ts",
    find: "content.subarray(i * size, (i + 1) * size)",
    put: "content.subarray(i * size, (i + 1) * size - 1)",
  },
  {
    name: "ceilings are not applied",
    file: "src/permissions/builder/contribution.ts",
    find: "const ruleSet = memo.intersection(rules, ceiling);",
    put: "const ruleSet = memo.intersection(rules, rules);",
  },
  {
    name: "suspended principals are allowed",
    file: "src/permissions/index/permission-index.ts",
    find: 'if (this.#suspended.size > 0 && this.#suspended.has(user)) return "suspended";',
    put: "",
  },
];
