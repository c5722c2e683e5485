/**
 * What a step of a session machine hands to its shell, in the manner of etcd-raft's Ready.
 *
 * The order is the contract (persist before send): the shell performs `atOnce`, makes every element of `persist` durable, in one transaction, and
 * only then performs `afterPersist`, in order. Readys of one machine are handled strictly one after the other; the shell may call
 * `step` again while a transaction runs, and queues the Readys that come back. A shell whose transaction fails must stop the
 * machine and build a new one from what its store holds: the machine has already moved on.
 */
export interface Ready<Write, Effect> {
  /** Effects that rely on nothing of this step: what they repeat after a crash is safe to repeat. Performed first. */
  readonly atOnce: readonly Effect[];
  /** One transaction. Empty: nothing to wait for. */
  readonly persist: readonly Write[];
  /** Effects that may rely on `persist`. */
  readonly afterPersist: readonly Effect[];
}
