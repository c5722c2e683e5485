import type { KubeObject } from "./object.ts";
import type { Condition } from "./kinds/condition.ts";

/** Reasons by condition type; one reason may stand with several statuses. */
type Vocabulary = Readonly<Record<string, readonly string[]>>;

const LINEAGE: Vocabulary = { LineageSynced: ["LineageControllerAbsent", "LineageIndexCreated"] };

/** Why the signer refuses. */
const SIGNING_REFUSED = [
  "PackSigned",
  "ChecksumMismatch",
  "DigestMismatch",
  "ArtifactUnreachable",
  "ArtifactInvalid",
  "TooLarge",
  "NamespaceNotPermitted",
  "NamespaceMismatch",
  "ExecutionNotFound",
  "ExecutionNotSealed",
  "PackDeliveryNotFound",
  "PackRevoked",
  "PackNotSigned",
  "SealMismatch",
] as const;

/** Outcomes of permissions §7.2. */
const POLICY_VERDICTS = ["ValidationPassed", "ValidationFailed", "PermissionSetNotFound", "CeilingInvalid"] as const;

/** Outcomes of permissions §7.3. */
const PROFILE_VERDICTS = [
  "ProvisioningComplete",
  "ProvisioningFailed",
  "PolicyNotFound",
  "PolicyNotReady",
  "PermissionSetMissing",
  "PermissionSetInvalid",
  "PolicyViolation",
  "PrincipalConflict",
  "EffectiveRuleBudgetExceeded",
  "Suspended",
  "RBACMaterializationFailed",
] as const;

/** Outcomes of resources-seam §9. */
const MEMBERSHIP_VERDICTS = [
  "MembershipAdmitted",
  "PrincipalMismatch",
  "DomainIdentityMismatch",
  "RBACProfileNotProvisioned",
] as const;

/**
 * Every condition type of every kind with the reasons it may have (resources-seam §13): the contract for `kubectl wait` and for
 * programs that switch on reasons. Tests fail on a condition outside it.
 */
export const CONDITION_VOCABULARY: Readonly<Record<string, Vocabulary>> = {
  PackDelivery: {
    ...LINEAGE,
    SignaturePending: ["SignaturePending", "PackSigned", "SignatureVerifyFailed"],
    Available: [
      "PackAvailable",
      "SignaturePending",
      "ImmutabilityViolation",
      "PackRevoked",
      "VersionConflict",
      "TargetNotPermitted",
      "DependencyCycle",
      "SignatureVerifyFailed",
    ],
    ImmutabilityViolation: ["ImmutabilityViolation", "SpecRestored"],
    Revoked: ["PackRevoked"],
    Delivered: ["AllTargetsInstalled", "Progressing", "SomeTargetsFailed", "NoTargets"],
    Superseded: ["NewerVersionAvailable", "Current"],
    Paused: ["PausedByAnnotation", "Resumed"],
    RollbackFailed: [
      "RevisionNotFound",
      "RevisionNotSucceeded",
      "RevisionAmbiguous",
      "ArtifactRevoked",
      "RollbackApplied",
    ],
    SigningRefused: SIGNING_REFUSED,
    TerminalDrift: ["EscalationThresholdReached", "Reset"],
    Deleting: ["CleanupInProgress", "WaitingForWorkloadCleanup", "CleanupBlocked"],
  },
  PackExecution: {
    ...LINEAGE,
    Waiting: ["AwaitingConductorReady", "CapabilityUnavailable", "TargetClusterDeleting"],
    PackSignaturePending: ["AwaitingSignature", "PackSigned", "SignatureVerifyFailed"],
    PackRevoked: ["ClusterPackRevoked"],
    PermissionSnapshotOutOfSync: [
      "SnapshotOutOfSync",
      "SnapshotMissing",
      "SnapshotStale",
      "SnapshotUnsigned",
      "SnapshotNotAcked",
      "SnapshotRevoked",
      "TenantDegraded",
    ],
    RBACProfileNotProvisioned: ["RBACProfileNotProvisioned"],
    DispatcherRunnerRBACNotReady: ["DispatcherRunnerRBACNotReady"],
    Pending: [
      "GatesClearing",
      "AwaitingSignature",
      "JobSubmitted",
      "ManifestIssued",
      "Superseded",
      "TargetClusterDeleting",
      "PackDeleted",
      "ClusterPackRevoked",
      "NamespaceMismatch",
    ],
    Running: [
      "JobSubmitted",
      "JobSucceeded",
      "JobFailed",
      "Queued",
      "CapabilityFailed",
      "ManifestIssued",
      "Superseded",
      "TargetClusterDeleting",
      "PackDeleted",
      "ClusterPackRevoked",
      "NamespaceMismatch",
    ],
    Succeeded: ["JobSucceeded", "CapabilityFailed"],
    Failed: [
      "JobFailed",
      "OperationResultNotFound",
      "CapabilityFailed",
      "RetriesExhausted",
      "JobSucceeded",
      "NamespaceMismatch",
    ],
    ClusterSecurityHold: ["SignatureVerifyFailed", "HoldCleared"],
    DependencyBlocked: ["DependencyMissing", "DependencyNotReady", "DependencyDrifted"],
    Cancelled: ["Superseded", "TargetClusterDeleting", "PackDeleted"],
  },
  PackInstalled: {
    ...LINEAGE,
    Ready: [
      "PackDelivered",
      "PackReceiptReady",
      "AwaitingDelivery",
      "PackReceiptNotFound",
      "SignatureVerifyFailed",
      "DriftDetected",
      "DependencyDrifted",
      "PackRevoked",
      "Terminating",
    ],
    Progressing: ["PackReceiptNotFound", "PackDelivered"],
    Drifted: ["DriftDetected", "NoDrift", "ReceiptStale", "DriftUnknown"],
    SecurityViolation: ["SignatureVerifyFailed", "ReceiptMismatch", "SecurityViolationCleared"],
    DependencyBlocked: ["DependencyDrifted", "DependencyMissing", "NoBlockingDependency"],
    Delivered: ["JobSucceeded", "AwaitingDelivery"],
    Acknowledged: ["PackReceiptReady", "PackReceiptNotFound"],
    TerminalDrift: ["EscalationThresholdReached", "Reset"],
    PackRevoked: ["ClusterPackRevoked"],
    CleanupBlocked: ["DeletionFailed", "TargetUnreachable", "DelegatedToAgent"],
    SigningRefused: SIGNING_REFUSED,
  },
  PackReceipt: {
    Verified: ["SignatureVerified", "SignatureVerifyFailed", "KeyNotMounted"],
    Drifted: ["DriftDetected", "NoDrift", "CheckFailed"],
    Delivered: ["Applied", "Healthy", "NotDelivered"],
    Revoked: ["RevocationPushed", "NewerSerial"],
    TerminalDrift: ["EscalationThresholdReached", "Reset"],
  },
  RunnerConfig: {
    FederationChannelDegraded: ["HeartbeatMissed", "Disconnected", "NeverConnected", "Recovered"],
    AgentConnected: ["StreamActive", "StreamLost", "NeverConnected"],
    AuditWALNearFull: ["SamplingAllows", "RoomEnough"],
    AuditWALFull: ["DroppingAllows", "RoomEnough"],
    AuditWALUnavailable: [
      "StoreLocked",
      "StoreUnwritable",
      "StoreIoError",
      "StoreFull",
      "StoreNewer",
      "StoreCorrupt",
      "StoreClosed",
      "StoreUnavailable",
      "Opened",
    ],
    AuditWALCorrupt: ["Quarantined", "NumberingContinued", "NumberingRestarted", "NothingQuarantined"],
  },
  DriftSignal: {
    TerminalDrift: ["EscalationThresholdReached", "Reset"],
    Delivered: ["Acknowledged"],
    Corrected: ["AttemptSucceeded", "AttemptFailed"],
    CorrectionHeld: ["Manual", "Paused", "Revoked", "Superseded", "ClusterHold", "NotHeld", "Admitted"],
    CorrectionUnavailable: ["NotFound", "Found"],
    CorrectorAbsent: ["NotPickedUp", "PickedUp"],
  },
  PermissionSet: { ...LINEAGE, PermissionSetValid: ["Valid", "Invalid", "CeilingExceeded"] },
  RBACPolicy: { ...LINEAGE, RBACPolicyValid: POLICY_VERDICTS, RBACPolicyDegraded: POLICY_VERDICTS },
  RBACProfile: {
    ...LINEAGE,
    Provisioned: PROFILE_VERDICTS,
    ProfileValidated: ["Validated", "ProvisioningFailed"],
    PolicyCompliant: ["Compliant", "TrimmedInAudit", "PolicyViolation", "NotEvaluated"],
  },
  PermissionSnapshot: {
    Fresh: ["SnapshotFresh", "SnapshotStale"],
    Acknowledged: ["Acked", "AwaitingAck", "OutOfSync", "Rejected"],
    Compliant: ["DriftAbsent", "DriftDetected"],
    OutOfSync: ["Acknowledged", "AwaitingAck", "AcknowledgementOverdue", "DegradedSecurityState"],
  },
  PermissionSnapshotReceipt: { Compliant: ["DriftAbsent", "DriftDetected"] },
  IdentityProvider: { ...LINEAGE, Valid: ["Valid", "Invalid"], Reachable: ["Reachable", "Unreachable"] },
  IdentityBinding: {
    ...LINEAGE,
    IdentityBindingValid: [
      "Valid",
      "TrustAnchorResolved",
      "ValidationFailed",
      "TokenTTLExceeded",
      "TrustMethodMismatch",
      "TrustAnchorNotFound",
      "TrustAnchorTypeMismatch",
      "TrustAnchorInvalid",
      "PrincipalNotInNamespace",
    ],
  },
  Guardian: {
    CeilingExtensionProposed: ["AwaitingApproval", "NothingToPropose", "SweepOff"],
    FleetCeilingPresent: ["PermissionSetFound", "PermissionSetNotFound"],
  },
  SeamMembership: { ...LINEAGE, Validated: MEMBERSHIP_VERDICTS, Admitted: MEMBERSHIP_VERDICTS },
};

/** Conditions of `object` that the vocabulary does not know, as `Type=Status/Reason`; empty for kinds without an entry. */
export function unknownConditions(
  object: KubeObject & { readonly status?: { readonly conditions?: readonly Condition[] } },
): readonly string[] {
  const vocabulary = CONDITION_VOCABULARY[object.kind];
  if (vocabulary === undefined) return [];
  return (object.status?.conditions ?? [])
    .filter(({ type, reason }) => vocabulary[type]?.includes(reason) !== true)
    .map(({ type, status, reason }) => `${type}=${status}/${reason}`);
}
