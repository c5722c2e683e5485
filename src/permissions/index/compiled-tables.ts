import type { UrlTable } from "./url-table.ts";

/**
 * Numeric half of a compiled index: nothing but typed arrays and small maps, so a worker can hand it over without a copy. String
 * ids belong to the string lists that travel beside it.
 */
export interface CompiledTables {
  /** Words of the entry tables; page p holds verbs 64p to 64p+63. Page 0, bit 0 is the verb `*`. */
  readonly pages: readonly Int32Array[];
  readonly pageSizes: readonly number[];
  /** Per rule set: which of the six probes can succeed; see {@link SHAPE}. */
  readonly shapes: Uint8Array;
  /** Rule set to its paths; only those that have any. */
  readonly urls: Map<number, UrlTable>;
  /** Bucket b holds rule sets bucketItems[bucketStart[b]] up to bucketStart[b + 1]. Bucket 0 is empty. */
  readonly bucketStart: Int32Array;
  readonly bucketItems: Int32Array;
  /** Per holder: bucket of cluster-wide bindings and of bindings in all namespaces. */
  readonly clusterBucket: Int32Array;
  readonly allNamespacesBucket: Int32Array;
  /** Holder h has namespaces namespaceIds[namespaceStart[h]] up to namespaceStart[h + 1], ascending, each with a bucket. */
  readonly namespaceStart: Int32Array;
  readonly namespaceIds: Int32Array;
  readonly namespaceBuckets: Int32Array;
  /** Holder h has bindings that end: expiringStart[h] up to expiringStart[h + 1]. */
  readonly expiringStart: Int32Array;
  readonly expiringRuleSet: Int32Array;
  /** Unix milliseconds. */
  readonly expiringAtMs: Float64Array;
  /** Namespace id, or one of {@link ANYWHERE} and {@link ANY_NAMESPACE}. A binding in several namespaces stands here several times. */
  readonly expiringScope: Int32Array;
  /** Holder h is made of subjects holderSubjects[holderSubjectStart[h]] up to holderSubjectStart[h + 1] of the content. */
  readonly holderSubjectStart: Int32Array;
  readonly holderSubjects: Int32Array;
  /** Subject of the content to its holder; -1 for one that never matches anybody. */
  readonly subjectHolder: Int32Array;
  /** Rule set r is bound at postings postingStart[r] up to postingStart[r + 1]: subject and position among its bindings. */
  readonly postingStart: Int32Array;
  readonly postingSubjects: Int32Array;
  readonly postingBindings: Int32Array;
}

/** Lists of strings by id, one per table. Users and groups are holders: a user's id is its holder, groups follow after users. */
export interface CompiledStrings {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly names: readonly string[];
  readonly namespaces: readonly string[];
  readonly users: readonly string[];
  readonly groups: readonly string[];
}

/** Expiring scope: cluster-wide, path requests included. */
export const ANYWHERE = -1;
/** Expiring scope: any request with a namespace. */
export const ANY_NAMESPACE = -2;

/** Bits of {@link CompiledTables.shapes}: group (exact or `*`) x resource (literal, `*` + `/sub`, `*`). */
export const SHAPE = {
  groupLiteral: 1,
  groupStarSub: 2,
  groupStar: 4,
  starLiteral: 8,
  starStarSub: 16,
  starStar: 32,
} as const;

/** Verbs per page. */
export const VERBS_PER_PAGE = 64;
/** Id of `*` in verbs, groups and resources; id of "no name" in names. */
export const STAR = 0;
