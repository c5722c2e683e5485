// Written by generate.ts; not by hand.

/** `apiVersion/kind` and the message of it, one per line. */
export const ROOTS = `
v1/Namespace corev1Namespace
v1/ConfigMap corev1ConfigMap
v1/Secret corev1Secret
v1/ServiceAccount corev1ServiceAccount
v1/Service corev1Service
v1/Pod corev1Pod
v1/PodTemplate corev1PodTemplate
v1/Node corev1Node
v1/Event corev1Event
v1/Endpoints corev1Endpoints
v1/ResourceQuota corev1ResourceQuota
v1/LimitRange corev1LimitRange
v1/PersistentVolume corev1PersistentVolume
v1/PersistentVolumeClaim corev1PersistentVolumeClaim
v1/ReplicationController corev1ReplicationController
apps/v1/Deployment appsv1Deployment
apps/v1/ReplicaSet appsv1ReplicaSet
apps/v1/StatefulSet appsv1StatefulSet
apps/v1/DaemonSet appsv1DaemonSet
apps/v1/ControllerRevision appsv1ControllerRevision
batch/v1/Job batchv1Job
batch/v1/CronJob batchv1CronJob
networking.k8s.io/v1/Ingress networkingv1Ingress
networking.k8s.io/v1/IngressClass networkingv1IngressClass
networking.k8s.io/v1/NetworkPolicy networkingv1NetworkPolicy
policy/v1/PodDisruptionBudget policyv1PodDisruptionBudget
autoscaling/v1/Scale autoscalingv1Scale
autoscaling/v2/HorizontalPodAutoscaler autoscalingv2HorizontalPodAutoscaler
rbac.authorization.k8s.io/v1/Role rbacv1Role
rbac.authorization.k8s.io/v1/RoleBinding rbacv1RoleBinding
rbac.authorization.k8s.io/v1/ClusterRole rbacv1ClusterRole
rbac.authorization.k8s.io/v1/ClusterRoleBinding rbacv1ClusterRoleBinding
scheduling.k8s.io/v1/PriorityClass schedulingv1PriorityClass
coordination.k8s.io/v1/Lease coordinationv1Lease
storage.k8s.io/v1/StorageClass storagev1StorageClass
authorization.k8s.io/v1/SelfSubjectAccessReview authorizationv1SelfSubjectAccessReview
authorization.k8s.io/v1/SelfSubjectRulesReview authorizationv1SelfSubjectRulesReview
authorization.k8s.io/v1/SubjectAccessReview authorizationv1SubjectAccessReview
authorization.k8s.io/v1/LocalSubjectAccessReview authorizationv1LocalSubjectAccessReview
authentication.k8s.io/v1/SelfSubjectReview authenticationv1SelfSubjectReview
authentication.k8s.io/v1/TokenRequest authenticationv1TokenRequest
authentication.k8s.io/v1/TokenReview authenticationv1TokenReview
v1/DeleteOptions metav1DeleteOptions
`;

/**
 * One message per line: its id, then `number[flag]name:type` per field. Flags: `=` inlined in JSON, `!` present even when empty.
 * Types: s text, b bytes, i integer, t boolean, d double, `.id` message; `*` pointer, `[]` list, `{}` map from text.
 */
export const MESSAGES = `
appsv1ControllerRevision 1metadata:.metav1ObjectMeta 2data:.Raw 3!revision:i
appsv1DaemonSet 1metadata:.metav1ObjectMeta 2spec:.appsv1DaemonSetSpec 3status:.appsv1DaemonSetStatus
appsv1DaemonSetCondition 1!type:s 2!status:s 3lastTransitionTime:.Time 4reason:s 5message:s
appsv1DaemonSetSpec 1!selector:*.metav1LabelSelector 2!template:.corev1PodTemplateSpec 3updateStrategy:.appsv1DaemonSetUpdateStrategy 4minReadySeconds:i 6revisionHistoryLimit:*i
appsv1DaemonSetStatus 1!currentNumberScheduled:i 2!numberMisscheduled:i 3!desiredNumberScheduled:i 4!numberReady:i 5observedGeneration:i 6updatedNumberScheduled:i 7numberAvailable:i 8numberUnavailable:i 9collisionCount:*i 10conditions:[].appsv1DaemonSetCondition
appsv1DaemonSetUpdateStrategy 1type:s 2rollingUpdate:*.appsv1RollingUpdateDaemonSet
appsv1Deployment 1metadata:.metav1ObjectMeta 2spec:.appsv1DeploymentSpec 3status:.appsv1DeploymentStatus
appsv1DeploymentCondition 1!type:s 2!status:s 6lastUpdateTime:.Time 7lastTransitionTime:.Time 4reason:s 5message:s
appsv1DeploymentSpec 1replicas:*i 2!selector:*.metav1LabelSelector 3!template:.corev1PodTemplateSpec 4strategy:.appsv1DeploymentStrategy 5minReadySeconds:i 6revisionHistoryLimit:*i 7paused:t 9progressDeadlineSeconds:*i
appsv1DeploymentStatus 1observedGeneration:i 2replicas:i 3updatedReplicas:i 7readyReplicas:i 4availableReplicas:i 5unavailableReplicas:i 9terminatingReplicas:*i 6conditions:[].appsv1DeploymentCondition 8collisionCount:*i
appsv1DeploymentStrategy 1type:s 2rollingUpdate:*.appsv1RollingUpdateDeployment
appsv1ReplicaSet 1metadata:.metav1ObjectMeta 2spec:.appsv1ReplicaSetSpec 3status:.appsv1ReplicaSetStatus
appsv1ReplicaSetCondition 1!type:s 2!status:s 3lastTransitionTime:.Time 4reason:s 5message:s
appsv1ReplicaSetSpec 1replicas:*i 4minReadySeconds:i 2!selector:*.metav1LabelSelector 3template:.corev1PodTemplateSpec
appsv1ReplicaSetStatus 1!replicas:i 2fullyLabeledReplicas:i 4readyReplicas:i 5availableReplicas:i 7terminatingReplicas:*i 3observedGeneration:i 6conditions:[].appsv1ReplicaSetCondition
appsv1RollingUpdateDaemonSet 1maxUnavailable:*.IntOrString 2maxSurge:*.IntOrString
appsv1RollingUpdateDeployment 1maxUnavailable:*.IntOrString 2maxSurge:*.IntOrString
appsv1RollingUpdateStatefulSetStrategy 1partition:*i 2maxUnavailable:*.IntOrString
appsv1StatefulSet 1metadata:.metav1ObjectMeta 2spec:.appsv1StatefulSetSpec 3status:.appsv1StatefulSetStatus
appsv1StatefulSetCondition 1!type:s 2!status:s 3lastTransitionTime:.Time 4reason:s 5message:s
appsv1StatefulSetOrdinals 1!start:i
appsv1StatefulSetPersistentVolumeClaimRetentionPolicy 1whenDeleted:s 2whenScaled:s
appsv1StatefulSetSpec 1replicas:*i 2!selector:*.metav1LabelSelector 3!template:.corev1PodTemplateSpec 4volumeClaimTemplates:[].corev1PersistentVolumeClaim 5!serviceName:s 6podManagementPolicy:s 7updateStrategy:.appsv1StatefulSetUpdateStrategy 8revisionHistoryLimit:*i 9minReadySeconds:i 10persistentVolumeClaimRetentionPolicy:*.appsv1StatefulSetPersistentVolumeClaimRetentionPolicy 11ordinals:*.appsv1StatefulSetOrdinals
appsv1StatefulSetStatus 1observedGeneration:i 2!replicas:i 3readyReplicas:i 4currentReplicas:i 5updatedReplicas:i 6currentRevision:s 7updateRevision:s 9collisionCount:*i 10conditions:[].appsv1StatefulSetCondition 11!availableReplicas:i
appsv1StatefulSetUpdateStrategy 1type:s 2rollingUpdate:*.appsv1RollingUpdateStatefulSetStrategy
authenticationv1BoundObjectReference 1kind:s 2apiVersion:s 3name:s 4uid:s
authenticationv1SelfSubjectReview 1metadata:.metav1ObjectMeta 2status:.authenticationv1SelfSubjectReviewStatus
authenticationv1SelfSubjectReviewStatus 1userInfo:.authenticationv1UserInfo
authenticationv1TokenRequest 1metadata:.metav1ObjectMeta 2!spec:.authenticationv1TokenRequestSpec 3status:.authenticationv1TokenRequestStatus
authenticationv1TokenRequestSpec 1!audiences:[]s 4!expirationSeconds:*i 3!boundObjectRef:*.authenticationv1BoundObjectReference
authenticationv1TokenRequestStatus 1!token:s 2!expirationTimestamp:.Time
authenticationv1TokenReview 1metadata:.metav1ObjectMeta 2!spec:.authenticationv1TokenReviewSpec 3status:.authenticationv1TokenReviewStatus
authenticationv1TokenReviewSpec 1token:s 2audiences:[]s
authenticationv1TokenReviewStatus 1authenticated:t 2user:.authenticationv1UserInfo 4audiences:[]s 3error:s
authenticationv1UserInfo 1username:s 2uid:s 3groups:[]s 4extra:{}.Items
authorizationv1FieldSelectorAttributes 1rawSelector:s 2requirements:[].metav1FieldSelectorRequirement
authorizationv1LabelSelectorAttributes 1rawSelector:s 2requirements:[].metav1LabelSelectorRequirement
authorizationv1LocalSubjectAccessReview 1metadata:.metav1ObjectMeta 2!spec:.authorizationv1SubjectAccessReviewSpec 3status:.authorizationv1SubjectAccessReviewStatus
authorizationv1NonResourceAttributes 1path:s 2verb:s
authorizationv1NonResourceRule 1!verbs:[]s 2nonResourceURLs:[]s
authorizationv1ResourceAttributes 1namespace:s 2verb:s 3group:s 4version:s 5resource:s 6subresource:s 7name:s 8fieldSelector:*.authorizationv1FieldSelectorAttributes 9labelSelector:*.authorizationv1LabelSelectorAttributes
authorizationv1ResourceRule 1!verbs:[]s 2apiGroups:[]s 3resources:[]s 4resourceNames:[]s
authorizationv1SelfSubjectAccessReview 1metadata:.metav1ObjectMeta 2!spec:.authorizationv1SelfSubjectAccessReviewSpec 3status:.authorizationv1SubjectAccessReviewStatus
authorizationv1SelfSubjectAccessReviewSpec 1resourceAttributes:*.authorizationv1ResourceAttributes 2nonResourceAttributes:*.authorizationv1NonResourceAttributes
authorizationv1SelfSubjectRulesReview 1metadata:.metav1ObjectMeta 2!spec:.authorizationv1SelfSubjectRulesReviewSpec 3status:.authorizationv1SubjectRulesReviewStatus
authorizationv1SelfSubjectRulesReviewSpec 1namespace:s
authorizationv1SubjectAccessReview 1metadata:.metav1ObjectMeta 2!spec:.authorizationv1SubjectAccessReviewSpec 3status:.authorizationv1SubjectAccessReviewStatus
authorizationv1SubjectAccessReviewSpec 1resourceAttributes:*.authorizationv1ResourceAttributes 2nonResourceAttributes:*.authorizationv1NonResourceAttributes 3user:s 4groups:[]s 5extra:{}.Items 6uid:s
authorizationv1SubjectAccessReviewStatus 1!allowed:t 4denied:t 2reason:s 3evaluationError:s
authorizationv1SubjectRulesReviewStatus 1!resourceRules:[].authorizationv1ResourceRule 2!nonResourceRules:[].authorizationv1NonResourceRule 3!incomplete:t 4evaluationError:s
autoscalingv1Scale 1metadata:.metav1ObjectMeta 2spec:.autoscalingv1ScaleSpec 3status:.autoscalingv1ScaleStatus
autoscalingv1ScaleSpec 1replicas:i
autoscalingv1ScaleStatus 1!replicas:i 2selector:s
autoscalingv2ContainerResourceMetricSource 1!name:s 2!target:.autoscalingv2MetricTarget 3!container:s
autoscalingv2ContainerResourceMetricStatus 1!name:s 2!current:.autoscalingv2MetricValueStatus 3!container:s
autoscalingv2CrossVersionObjectReference 1!kind:s 2!name:s 3apiVersion:s
autoscalingv2ExternalMetricSource 1!metric:.autoscalingv2MetricIdentifier 2!target:.autoscalingv2MetricTarget
autoscalingv2ExternalMetricStatus 1!metric:.autoscalingv2MetricIdentifier 2!current:.autoscalingv2MetricValueStatus
autoscalingv2HPAScalingPolicy 1!type:s 2!value:i 3!periodSeconds:i
autoscalingv2HPAScalingRules 3stabilizationWindowSeconds:*i 1selectPolicy:*s 2policies:[].autoscalingv2HPAScalingPolicy 4tolerance:*.Quantity
autoscalingv2HorizontalPodAutoscaler 1metadata:.metav1ObjectMeta 2spec:.autoscalingv2HorizontalPodAutoscalerSpec 3status:.autoscalingv2HorizontalPodAutoscalerStatus
autoscalingv2HorizontalPodAutoscalerBehavior 1scaleUp:*.autoscalingv2HPAScalingRules 2scaleDown:*.autoscalingv2HPAScalingRules
autoscalingv2HorizontalPodAutoscalerCondition 1!type:s 2!status:s 3lastTransitionTime:.Time 4reason:s 5message:s
autoscalingv2HorizontalPodAutoscalerSpec 1!scaleTargetRef:.autoscalingv2CrossVersionObjectReference 2minReplicas:*i 3!maxReplicas:i 4metrics:[].autoscalingv2MetricSpec 5behavior:*.autoscalingv2HorizontalPodAutoscalerBehavior
autoscalingv2HorizontalPodAutoscalerStatus 1observedGeneration:*i 2lastScaleTime:*.Time 3currentReplicas:i 4!desiredReplicas:i 5!currentMetrics:[].autoscalingv2MetricStatus 6conditions:[].autoscalingv2HorizontalPodAutoscalerCondition
autoscalingv2MetricIdentifier 1!name:s 2selector:*.metav1LabelSelector
autoscalingv2MetricSpec 1!type:s 2object:*.autoscalingv2ObjectMetricSource 3pods:*.autoscalingv2PodsMetricSource 4resource:*.autoscalingv2ResourceMetricSource 7containerResource:*.autoscalingv2ContainerResourceMetricSource 5external:*.autoscalingv2ExternalMetricSource
autoscalingv2MetricStatus 1!type:s 2object:*.autoscalingv2ObjectMetricStatus 3pods:*.autoscalingv2PodsMetricStatus 4resource:*.autoscalingv2ResourceMetricStatus 7containerResource:*.autoscalingv2ContainerResourceMetricStatus 5external:*.autoscalingv2ExternalMetricStatus
autoscalingv2MetricTarget 1!type:s 2value:*.Quantity 3averageValue:*.Quantity 4averageUtilization:*i
autoscalingv2MetricValueStatus 1value:*.Quantity 2averageValue:*.Quantity 3averageUtilization:*i
autoscalingv2ObjectMetricSource 1!describedObject:.autoscalingv2CrossVersionObjectReference 2!target:.autoscalingv2MetricTarget 3!metric:.autoscalingv2MetricIdentifier
autoscalingv2ObjectMetricStatus 1!metric:.autoscalingv2MetricIdentifier 2!current:.autoscalingv2MetricValueStatus 3!describedObject:.autoscalingv2CrossVersionObjectReference
autoscalingv2PodsMetricSource 1!metric:.autoscalingv2MetricIdentifier 2!target:.autoscalingv2MetricTarget
autoscalingv2PodsMetricStatus 1!metric:.autoscalingv2MetricIdentifier 2!current:.autoscalingv2MetricValueStatus
autoscalingv2ResourceMetricSource 1!name:s 2!target:.autoscalingv2MetricTarget
autoscalingv2ResourceMetricStatus 1!name:s 2!current:.autoscalingv2MetricValueStatus
batchv1CronJob 1metadata:.metav1ObjectMeta 2spec:.batchv1CronJobSpec 3status:.batchv1CronJobStatus
batchv1CronJobSpec 1!schedule:s 8timeZone:*s 2startingDeadlineSeconds:*i 3concurrencyPolicy:s 4suspend:*t 5!jobTemplate:.batchv1JobTemplateSpec 6successfulJobsHistoryLimit:*i 7failedJobsHistoryLimit:*i
batchv1CronJobStatus 1active:[].corev1ObjectReference 4lastScheduleTime:*.Time 5lastSuccessfulTime:*.Time
batchv1Job 1metadata:.metav1ObjectMeta 2spec:.batchv1JobSpec 3status:.batchv1JobStatus
batchv1JobCondition 1!type:s 2!status:s 3lastProbeTime:.Time 4lastTransitionTime:.Time 5reason:s 6message:s
batchv1JobSpec 1parallelism:*i 2completions:*i 3activeDeadlineSeconds:*i 11podFailurePolicy:*.batchv1PodFailurePolicy 16successPolicy:*.batchv1SuccessPolicy 7backoffLimit:*i 12backoffLimitPerIndex:*i 13maxFailedIndexes:*i 4selector:*.metav1LabelSelector 5manualSelector:*t 6!template:.corev1PodTemplateSpec 8ttlSecondsAfterFinished:*i 9completionMode:*s 10suspend:*t 14podReplacementPolicy:*s 15managedBy:*s
batchv1JobStatus 1conditions:[].batchv1JobCondition 2startTime:*.Time 3completionTime:*.Time 4active:i 5succeeded:i 6failed:i 11terminating:*i 7completedIndexes:s 10failedIndexes:*s 8uncountedTerminatedPods:*.batchv1UncountedTerminatedPods 9ready:*i
batchv1JobTemplateSpec 1metadata:.metav1ObjectMeta 2spec:.batchv1JobSpec
batchv1PodFailurePolicy 1!rules:[].batchv1PodFailurePolicyRule
batchv1PodFailurePolicyOnExitCodesRequirement 1containerName:*s 2!operator:s 3!values:[]i
batchv1PodFailurePolicyOnPodConditionsPattern 1!type:s 2!status:s
batchv1PodFailurePolicyRule 1!action:s 2onExitCodes:*.batchv1PodFailurePolicyOnExitCodesRequirement 3onPodConditions:[].batchv1PodFailurePolicyOnPodConditionsPattern
batchv1SuccessPolicy 1!rules:[].batchv1SuccessPolicyRule
batchv1SuccessPolicyRule 1succeededIndexes:*s 2succeededCount:*i
batchv1UncountedTerminatedPods 1succeeded:[]s 2failed:[]s
coordinationv1Lease 1metadata:.metav1ObjectMeta 2spec:.coordinationv1LeaseSpec
coordinationv1LeaseSpec 1holderIdentity:*s 2leaseDurationSeconds:*i 3acquireTime:*.MicroTime 4renewTime:*.MicroTime 5leaseTransitions:*i 6strategy:*s 7preferredHolder:*s
corev1AWSElasticBlockStoreVolumeSource 1!volumeID:s 2fsType:s 3partition:i 4readOnly:t
corev1Affinity 1nodeAffinity:*.corev1NodeAffinity 2podAffinity:*.corev1PodAffinity 3podAntiAffinity:*.corev1PodAntiAffinity
corev1AppArmorProfile 1!type:s 2localhostProfile:*s
corev1AttachedVolume 1!name:s 2!devicePath:s
corev1AzureDiskVolumeSource 1!diskName:s 2!diskURI:s 3cachingMode:*s 4fsType:*s 5readOnly:*t 6kind:*s
corev1AzureFilePersistentVolumeSource 1!secretName:s 2!shareName:s 3readOnly:t 4!secretNamespace:*s
corev1AzureFileVolumeSource 1!secretName:s 2!shareName:s 3readOnly:t
corev1CSIPersistentVolumeSource 1!driver:s 2!volumeHandle:s 3readOnly:t 4fsType:s 5volumeAttributes:{}s 6controllerPublishSecretRef:*.corev1SecretReference 7nodeStageSecretRef:*.corev1SecretReference 8nodePublishSecretRef:*.corev1SecretReference 9controllerExpandSecretRef:*.corev1SecretReference 10nodeExpandSecretRef:*.corev1SecretReference
corev1CSIVolumeSource 1!driver:s 2readOnly:*t 3fsType:*s 4volumeAttributes:{}s 5nodePublishSecretRef:*.corev1LocalObjectReference
corev1Capabilities 1add:[]s 2drop:[]s
corev1CephFSPersistentVolumeSource 1!monitors:[]s 2path:s 3user:s 4secretFile:s 5secretRef:*.corev1SecretReference 6readOnly:t
corev1CephFSVolumeSource 1!monitors:[]s 2path:s 3user:s 4secretFile:s 5secretRef:*.corev1LocalObjectReference 6readOnly:t
corev1CinderPersistentVolumeSource 1!volumeID:s 2fsType:s 3readOnly:t 4secretRef:*.corev1SecretReference
corev1CinderVolumeSource 1!volumeID:s 2fsType:s 3readOnly:t 4secretRef:*.corev1LocalObjectReference
corev1ClientIPConfig 1timeoutSeconds:*i
corev1ClusterTrustBundleProjection 1name:*s 2signerName:*s 3labelSelector:*.metav1LabelSelector 5optional:*t 4!path:s
corev1ConfigMap 1metadata:.metav1ObjectMeta 4immutable:*t 2data:{}s 3binaryData:{}b
corev1ConfigMapEnvSource 1=:.corev1LocalObjectReference 2optional:*t
corev1ConfigMapKeySelector 1=:.corev1LocalObjectReference 2!key:s 3optional:*t
corev1ConfigMapNodeConfigSource 1!namespace:s 2!name:s 3uid:s 4resourceVersion:s 5!kubeletConfigKey:s
corev1ConfigMapProjection 1=:.corev1LocalObjectReference 2items:[].corev1KeyToPath 4optional:*t
corev1ConfigMapVolumeSource 1=:.corev1LocalObjectReference 2items:[].corev1KeyToPath 3defaultMode:*i 4optional:*t
corev1Container 1!name:s 2image:s 3command:[]s 4args:[]s 5workingDir:s 6ports:[].corev1ContainerPort 19envFrom:[].corev1EnvFromSource 7env:[].corev1EnvVar 8resources:.corev1ResourceRequirements 23resizePolicy:[].corev1ContainerResizePolicy 24restartPolicy:*s 25restartPolicyRules:[].corev1ContainerRestartRule 9volumeMounts:[].corev1VolumeMount 21volumeDevices:[].corev1VolumeDevice 10livenessProbe:*.corev1Probe 11readinessProbe:*.corev1Probe 22startupProbe:*.corev1Probe 12lifecycle:*.corev1Lifecycle 13terminationMessagePath:s 20terminationMessagePolicy:s 14imagePullPolicy:s 15securityContext:*.corev1SecurityContext 16stdin:t 17stdinOnce:t 18tty:t
corev1ContainerExtendedResourceRequest 1!containerName:s 2!resourceName:s 3!requestName:s
corev1ContainerImage 1!names:[]s 2sizeBytes:i
corev1ContainerPort 1name:s 2hostPort:i 3!containerPort:i 4protocol:s 5hostIP:s
corev1ContainerResizePolicy 1!resourceName:s 2!restartPolicy:s
corev1ContainerRestartRule 1action:s 2exitCodes:*.corev1ContainerRestartRuleOnExitCodes
corev1ContainerRestartRuleOnExitCodes 1operator:s 2values:[]i
corev1ContainerState 1waiting:*.corev1ContainerStateWaiting 2running:*.corev1ContainerStateRunning 3terminated:*.corev1ContainerStateTerminated
corev1ContainerStateRunning 1startedAt:.Time
corev1ContainerStateTerminated 1!exitCode:i 2signal:i 3reason:s 4message:s 5startedAt:.Time 6finishedAt:.Time 7containerID:s
corev1ContainerStateWaiting 1reason:s 2message:s
corev1ContainerStatus 1!name:s 2state:.corev1ContainerState 3lastState:.corev1ContainerState 4!ready:t 5!restartCount:i 6!image:s 7!imageID:s 8containerID:s 9started:*t 10allocatedResources:{}.Quantity 11resources:*.corev1ResourceRequirements 12volumeMounts:[].corev1VolumeMountStatus 13user:*.corev1ContainerUser 14allocatedResourcesStatus:[].corev1ResourceStatus 15stopSignal:*s
corev1ContainerUser 1linux:*.corev1LinuxContainerUser
corev1DaemonEndpoint 1!Port:i
corev1DownwardAPIProjection 1items:[].corev1DownwardAPIVolumeFile
corev1DownwardAPIVolumeFile 1!path:s 2fieldRef:*.corev1ObjectFieldSelector 3resourceFieldRef:*.corev1ResourceFieldSelector 4mode:*i
corev1DownwardAPIVolumeSource 1items:[].corev1DownwardAPIVolumeFile 2defaultMode:*i
corev1EmptyDirVolumeSource 1medium:s 2sizeLimit:*.Quantity
corev1EndpointAddress 1!ip:s 3hostname:s 4nodeName:*s 2targetRef:*.corev1ObjectReference
corev1EndpointPort 1name:s 2!port:i 3protocol:s 4appProtocol:*s
corev1EndpointSubset 1addresses:[].corev1EndpointAddress 2notReadyAddresses:[].corev1EndpointAddress 3ports:[].corev1EndpointPort
corev1Endpoints 1metadata:.metav1ObjectMeta 2subsets:[].corev1EndpointSubset
corev1EnvFromSource 1prefix:s 2configMapRef:*.corev1ConfigMapEnvSource 3secretRef:*.corev1SecretEnvSource
corev1EnvVar 1!name:s 2value:s 3valueFrom:*.corev1EnvVarSource
corev1EnvVarSource 1fieldRef:*.corev1ObjectFieldSelector 2resourceFieldRef:*.corev1ResourceFieldSelector 3configMapKeyRef:*.corev1ConfigMapKeySelector 4secretKeyRef:*.corev1SecretKeySelector 5fileKeyRef:*.corev1FileKeySelector
corev1EphemeralContainer 1=:.corev1EphemeralContainerCommon 2targetContainerName:s
corev1EphemeralContainerCommon 1!name:s 2image:s 3command:[]s 4args:[]s 5workingDir:s 6ports:[].corev1ContainerPort 19envFrom:[].corev1EnvFromSource 7env:[].corev1EnvVar 8resources:.corev1ResourceRequirements 23resizePolicy:[].corev1ContainerResizePolicy 24restartPolicy:*s 25restartPolicyRules:[].corev1ContainerRestartRule 9volumeMounts:[].corev1VolumeMount 21volumeDevices:[].corev1VolumeDevice 10livenessProbe:*.corev1Probe 11readinessProbe:*.corev1Probe 22startupProbe:*.corev1Probe 12lifecycle:*.corev1Lifecycle 13terminationMessagePath:s 20terminationMessagePolicy:s 14imagePullPolicy:s 15securityContext:*.corev1SecurityContext 16stdin:t 17stdinOnce:t 18tty:t
corev1EphemeralVolumeSource 1volumeClaimTemplate:*.corev1PersistentVolumeClaimTemplate
corev1Event 1!metadata:.metav1ObjectMeta 2!involvedObject:.corev1ObjectReference 3reason:s 4message:s 5source:.corev1EventSource 6firstTimestamp:.Time 7lastTimestamp:.Time 8count:i 9type:s 10eventTime:.MicroTime 11series:*.corev1EventSeries 12action:s 13related:*.corev1ObjectReference 14!reportingComponent:s 15!reportingInstance:s
corev1EventSeries 1count:i 2lastObservedTime:.MicroTime
corev1EventSource 1component:s 2host:s
corev1ExecAction 1command:[]s
corev1FCVolumeSource 1targetWWNs:[]s 2lun:*i 3fsType:s 4readOnly:t 5wwids:[]s
corev1FileKeySelector 1!volumeName:s 2!path:s 3!key:s 4optional:*t
corev1FlexPersistentVolumeSource 1!driver:s 2fsType:s 3secretRef:*.corev1SecretReference 4readOnly:t 5options:{}s
corev1FlexVolumeSource 1!driver:s 2fsType:s 3secretRef:*.corev1LocalObjectReference 4readOnly:t 5options:{}s
corev1FlockerVolumeSource 1datasetName:s 2datasetUUID:s
corev1GCEPersistentDiskVolumeSource 1!pdName:s 2fsType:s 3partition:i 4readOnly:t
corev1GRPCAction 1!port:i 2!service:*s
corev1GitRepoVolumeSource 1!repository:s 2revision:s 3directory:s
corev1GlusterfsPersistentVolumeSource 1!endpoints:s 2!path:s 3readOnly:t 4endpointsNamespace:*s
corev1GlusterfsVolumeSource 1!endpoints:s 2!path:s 3readOnly:t
corev1HTTPGetAction 1path:s 2!port:.IntOrString 3host:s 4scheme:s 5httpHeaders:[].corev1HTTPHeader
corev1HTTPHeader 1!name:s 2!value:s
corev1HostAlias 1!ip:s 2hostnames:[]s
corev1HostIP 1!ip:s
corev1HostPathVolumeSource 1!path:s 2type:*s
corev1ISCSIPersistentVolumeSource 1!targetPortal:s 2!iqn:s 3!lun:i 4iscsiInterface:s 5fsType:s 6readOnly:t 7portals:[]s 8chapAuthDiscovery:t 11chapAuthSession:t 10secretRef:*.corev1SecretReference 12initiatorName:*s
corev1ISCSIVolumeSource 1!targetPortal:s 2!iqn:s 3!lun:i 4iscsiInterface:s 5fsType:s 6readOnly:t 7portals:[]s 8chapAuthDiscovery:t 11chapAuthSession:t 10secretRef:*.corev1LocalObjectReference 12initiatorName:*s
corev1ImageVolumeSource 1reference:s 2pullPolicy:s
corev1ImageVolumeStatus 1imageRef:s
corev1KeyToPath 1!key:s 2!path:s 3mode:*i
corev1Lifecycle 1postStart:*.corev1LifecycleHandler 2preStop:*.corev1LifecycleHandler 3stopSignal:*s
corev1LifecycleHandler 1exec:*.corev1ExecAction 2httpGet:*.corev1HTTPGetAction 3tcpSocket:*.corev1TCPSocketAction 4sleep:*.corev1SleepAction
corev1LimitRange 1metadata:.metav1ObjectMeta 2spec:.corev1LimitRangeSpec
corev1LimitRangeItem 1!type:s 2max:{}.Quantity 3min:{}.Quantity 4default:{}.Quantity 5defaultRequest:{}.Quantity 6maxLimitRequestRatio:{}.Quantity
corev1LimitRangeSpec 1!limits:[].corev1LimitRangeItem
corev1LinuxContainerUser 1!uid:i 2!gid:i 3supplementalGroups:[]i
corev1LoadBalancerIngress 1ip:s 2hostname:s 3ipMode:*s 4ports:[].corev1PortStatus
corev1LoadBalancerStatus 1ingress:[].corev1LoadBalancerIngress
corev1LocalObjectReference 1name:s
corev1LocalVolumeSource 1!path:s 2fsType:*s
corev1ModifyVolumeStatus 1targetVolumeAttributesClassName:s 2!status:s
corev1NFSVolumeSource 1!server:s 2!path:s 3readOnly:t
corev1Namespace 1metadata:.metav1ObjectMeta 2spec:.corev1NamespaceSpec 3status:.corev1NamespaceStatus
corev1NamespaceCondition 1!type:s 2!status:s 4lastTransitionTime:.Time 5reason:s 6message:s
corev1NamespaceSpec 1finalizers:[]s
corev1NamespaceStatus 1phase:s 2conditions:[].corev1NamespaceCondition
corev1Node 1metadata:.metav1ObjectMeta 2spec:.corev1NodeSpec 3status:.corev1NodeStatus
corev1NodeAddress 1!type:s 2!address:s
corev1NodeAffinity 1requiredDuringSchedulingIgnoredDuringExecution:*.corev1NodeSelector 2preferredDuringSchedulingIgnoredDuringExecution:[].corev1PreferredSchedulingTerm
corev1NodeAllocatableResourceClaimStatus 1!resourceClaimName:s 2containers:[]s 3!resources:{}.Quantity
corev1NodeCondition 1!type:s 2!status:s 3lastHeartbeatTime:.Time 4lastTransitionTime:.Time 5reason:s 6message:s
corev1NodeConfigSource 2configMap:*.corev1ConfigMapNodeConfigSource
corev1NodeConfigStatus 1assigned:*.corev1NodeConfigSource 2active:*.corev1NodeConfigSource 3lastKnownGood:*.corev1NodeConfigSource 4error:s
corev1NodeDaemonEndpoints 1kubeletEndpoint:.corev1DaemonEndpoint
corev1NodeFeatures 1supplementalGroupsPolicy:*t
corev1NodeRuntimeHandler 1!name:s 2features:*.corev1NodeRuntimeHandlerFeatures
corev1NodeRuntimeHandlerFeatures 1recursiveReadOnlyMounts:*t 2userNamespaces:*t
corev1NodeSelector 1!nodeSelectorTerms:[].corev1NodeSelectorTerm
corev1NodeSelectorRequirement 1!key:s 2!operator:s 3values:[]s
corev1NodeSelectorTerm 1matchExpressions:[].corev1NodeSelectorRequirement 2matchFields:[].corev1NodeSelectorRequirement
corev1NodeSpec 1podCIDR:s 7podCIDRs:[]s 3providerID:s 4unschedulable:t 5taints:[].corev1Taint 6configSource:*.corev1NodeConfigSource 2externalID:s
corev1NodeStatus 1capacity:{}.Quantity 2allocatable:{}.Quantity 3phase:s 4conditions:[].corev1NodeCondition 5addresses:[].corev1NodeAddress 6daemonEndpoints:.corev1NodeDaemonEndpoints 7nodeInfo:.corev1NodeSystemInfo 8images:[].corev1ContainerImage 9volumesInUse:[]s 10volumesAttached:[].corev1AttachedVolume 11config:*.corev1NodeConfigStatus 12runtimeHandlers:[].corev1NodeRuntimeHandler 13features:*.corev1NodeFeatures 14declaredFeatures:[]s
corev1NodeSwapStatus 1capacity:*i
corev1NodeSystemInfo 1!machineID:s 2!systemUUID:s 3!bootID:s 4!kernelVersion:s 5!osImage:s 6!containerRuntimeVersion:s 7!kubeletVersion:s 8!kubeProxyVersion:s 9!operatingSystem:s 10!architecture:s 11swap:*.corev1NodeSwapStatus
corev1ObjectFieldSelector 1apiVersion:s 2!fieldPath:s
corev1ObjectReference 1kind:s 2namespace:s 3name:s 4uid:s 5apiVersion:s 6resourceVersion:s 7fieldPath:s
corev1PersistentVolume 1metadata:.metav1ObjectMeta 2spec:.corev1PersistentVolumeSpec 3status:.corev1PersistentVolumeStatus
corev1PersistentVolumeClaim 1metadata:.metav1ObjectMeta 2spec:.corev1PersistentVolumeClaimSpec 3status:.corev1PersistentVolumeClaimStatus
corev1PersistentVolumeClaimCondition 1!type:s 2!status:s 3lastProbeTime:.Time 4lastTransitionTime:.Time 5reason:s 6message:s
corev1PersistentVolumeClaimSpec 1accessModes:[]s 4selector:*.metav1LabelSelector 2resources:.corev1VolumeResourceRequirements 3volumeName:s 5storageClassName:*s 6volumeMode:*s 7dataSource:*.corev1TypedLocalObjectReference 8dataSourceRef:*.corev1TypedObjectReference 9volumeAttributesClassName:*s
corev1PersistentVolumeClaimStatus 1phase:s 2accessModes:[]s 3capacity:{}.Quantity 4conditions:[].corev1PersistentVolumeClaimCondition 5allocatedResources:{}.Quantity 7allocatedResourceStatuses:{}s 8currentVolumeAttributesClassName:*s 9modifyVolumeStatus:*.corev1ModifyVolumeStatus
corev1PersistentVolumeClaimTemplate 1metadata:.metav1ObjectMeta 2!spec:.corev1PersistentVolumeClaimSpec
corev1PersistentVolumeClaimVolumeSource 1!claimName:s 2readOnly:t
corev1PersistentVolumeSource 1gcePersistentDisk:*.corev1GCEPersistentDiskVolumeSource 2awsElasticBlockStore:*.corev1AWSElasticBlockStoreVolumeSource 3hostPath:*.corev1HostPathVolumeSource 4glusterfs:*.corev1GlusterfsPersistentVolumeSource 5nfs:*.corev1NFSVolumeSource 6rbd:*.corev1RBDPersistentVolumeSource 7iscsi:*.corev1ISCSIPersistentVolumeSource 8cinder:*.corev1CinderPersistentVolumeSource 9cephfs:*.corev1CephFSPersistentVolumeSource 10fc:*.corev1FCVolumeSource 11flocker:*.corev1FlockerVolumeSource 12flexVolume:*.corev1FlexPersistentVolumeSource 13azureFile:*.corev1AzureFilePersistentVolumeSource 14vsphereVolume:*.corev1VsphereVirtualDiskVolumeSource 15quobyte:*.corev1QuobyteVolumeSource 16azureDisk:*.corev1AzureDiskVolumeSource 17photonPersistentDisk:*.corev1PhotonPersistentDiskVolumeSource 18portworxVolume:*.corev1PortworxVolumeSource 19scaleIO:*.corev1ScaleIOPersistentVolumeSource 20local:*.corev1LocalVolumeSource 21storageos:*.corev1StorageOSPersistentVolumeSource 22csi:*.corev1CSIPersistentVolumeSource
corev1PersistentVolumeSpec 1capacity:{}.Quantity 2=:.corev1PersistentVolumeSource 3accessModes:[]s 4claimRef:*.corev1ObjectReference 5persistentVolumeReclaimPolicy:s 6storageClassName:s 7mountOptions:[]s 8volumeMode:*s 9nodeAffinity:*.corev1VolumeNodeAffinity 10volumeAttributesClassName:*s
corev1PersistentVolumeStatus 1phase:s 2message:s 3reason:s 4lastPhaseTransitionTime:*.Time
corev1PhotonPersistentDiskVolumeSource 1!pdID:s 2fsType:s
corev1Pod 1metadata:.metav1ObjectMeta 2spec:.corev1PodSpec 3status:.corev1PodStatus
corev1PodAffinity 1requiredDuringSchedulingIgnoredDuringExecution:[].corev1PodAffinityTerm 2preferredDuringSchedulingIgnoredDuringExecution:[].corev1WeightedPodAffinityTerm
corev1PodAffinityTerm 1labelSelector:*.metav1LabelSelector 2namespaces:[]s 3!topologyKey:s 4namespaceSelector:*.metav1LabelSelector 5matchLabelKeys:[]s 6mismatchLabelKeys:[]s
corev1PodAntiAffinity 1requiredDuringSchedulingIgnoredDuringExecution:[].corev1PodAffinityTerm 2preferredDuringSchedulingIgnoredDuringExecution:[].corev1WeightedPodAffinityTerm
corev1PodCertificateProjection 1signerName:s 2keyType:s 3maxExpirationSeconds:*i 4credentialBundlePath:s 5keyPath:s 6certificateChainPath:s 7userAnnotations:{}s
corev1PodCondition 1!type:s 7observedGeneration:i 2!status:s 3lastProbeTime:.Time 4lastTransitionTime:.Time 5reason:s 6message:s
corev1PodDNSConfig 1nameservers:[]s 2searches:[]s 3options:[].corev1PodDNSConfigOption
corev1PodDNSConfigOption 1name:s 2value:*s
corev1PodExtendedResourceClaimStatus 1!requestMappings:[].corev1ContainerExtendedResourceRequest 2!resourceClaimName:s
corev1PodIP 1!ip:s
corev1PodOS 1!name:s
corev1PodReadinessGate 1!conditionType:s
corev1PodResourceClaim 1!name:s 3resourceClaimName:*s 4resourceClaimTemplateName:*s
corev1PodResourceClaimStatus 1!name:s 2resourceClaimName:*s
corev1PodSchedulingGate 1!name:s
corev1PodSchedulingGroup 1podGroupName:*s
corev1PodSecurityContext 1seLinuxOptions:*.corev1SELinuxOptions 8windowsOptions:*.corev1WindowsSecurityContextOptions 2runAsUser:*i 6runAsGroup:*i 3runAsNonRoot:*t 4supplementalGroups:[]i 12supplementalGroupsPolicy:*s 5fsGroup:*i 7sysctls:[].corev1Sysctl 9fsGroupChangePolicy:*s 10seccompProfile:*.corev1SeccompProfile 11appArmorProfile:*.corev1AppArmorProfile 13seLinuxChangePolicy:*s
corev1PodSpec 1volumes:[].corev1Volume 20initContainers:[].corev1Container 2!containers:[].corev1Container 34ephemeralContainers:[].corev1EphemeralContainer 3restartPolicy:s 4terminationGracePeriodSeconds:*i 5activeDeadlineSeconds:*i 6dnsPolicy:s 7nodeSelector:{}s 8serviceAccountName:s 9serviceAccount:s 21automountServiceAccountToken:*t 10nodeName:s 11hostNetwork:t 12hostPID:t 13hostIPC:t 27shareProcessNamespace:*t 14securityContext:*.corev1PodSecurityContext 15imagePullSecrets:[].corev1LocalObjectReference 16hostname:s 17subdomain:s 18affinity:*.corev1Affinity 19schedulerName:s 22tolerations:[].corev1Toleration 23hostAliases:[].corev1HostAlias 24priorityClassName:s 25priority:*i 26dnsConfig:*.corev1PodDNSConfig 28readinessGates:[].corev1PodReadinessGate 29runtimeClassName:*s 30enableServiceLinks:*t 31preemptionPolicy:*s 32overhead:{}.Quantity 33topologySpreadConstraints:[].corev1TopologySpreadConstraint 35setHostnameAsFQDN:*t 36os:*.corev1PodOS 37hostUsers:*t 38schedulingGates:[].corev1PodSchedulingGate 39resourceClaims:[].corev1PodResourceClaim 40resources:*.corev1ResourceRequirements 41hostnameOverride:*s 43schedulingGroup:*.corev1PodSchedulingGroup
corev1PodStatus 17observedGeneration:i 1phase:s 2conditions:[].corev1PodCondition 3message:s 4reason:s 11nominatedNodeName:s 5hostIP:s 16hostIPs:[].corev1HostIP 6podIP:s 12podIPs:[].corev1PodIP 7startTime:*.Time 10initContainerStatuses:[].corev1ContainerStatus 8containerStatuses:[].corev1ContainerStatus 9qosClass:s 13ephemeralContainerStatuses:[].corev1ContainerStatus 14resize:s 15resourceClaimStatuses:[].corev1PodResourceClaimStatus 18extendedResourceClaimStatus:*.corev1PodExtendedResourceClaimStatus 19allocatedResources:{}.Quantity 20resources:*.corev1ResourceRequirements 21nodeAllocatableResourceClaimStatuses:[].corev1NodeAllocatableResourceClaimStatus
corev1PodTemplate 1metadata:.metav1ObjectMeta 2template:.corev1PodTemplateSpec
corev1PodTemplateSpec 1metadata:.metav1ObjectMeta 2spec:.corev1PodSpec
corev1PortStatus 1!port:i 2!protocol:s 3error:*s
corev1PortworxVolumeSource 1!volumeID:s 2fsType:s 3readOnly:t
corev1PreferredSchedulingTerm 1!weight:i 2!preference:.corev1NodeSelectorTerm
corev1Probe 1=:.corev1ProbeHandler 2initialDelaySeconds:i 3timeoutSeconds:i 4periodSeconds:i 5successThreshold:i 6failureThreshold:i 7terminationGracePeriodSeconds:*i
corev1ProbeHandler 1exec:*.corev1ExecAction 2httpGet:*.corev1HTTPGetAction 3tcpSocket:*.corev1TCPSocketAction 4grpc:*.corev1GRPCAction
corev1ProjectedVolumeSource 1!sources:[].corev1VolumeProjection 2defaultMode:*i
corev1QuobyteVolumeSource 1!registry:s 2!volume:s 3readOnly:t 4user:s 5group:s 6tenant:s
corev1RBDPersistentVolumeSource 1!monitors:[]s 2!image:s 3fsType:s 4pool:s 5user:s 6keyring:s 7secretRef:*.corev1SecretReference 8readOnly:t
corev1RBDVolumeSource 1!monitors:[]s 2!image:s 3fsType:s 4pool:s 5user:s 6keyring:s 7secretRef:*.corev1LocalObjectReference 8readOnly:t
corev1ReplicationController 1metadata:.metav1ObjectMeta 2spec:.corev1ReplicationControllerSpec 3status:.corev1ReplicationControllerStatus
corev1ReplicationControllerCondition 1!type:s 2!status:s 3lastTransitionTime:.Time 4reason:s 5message:s
corev1ReplicationControllerSpec 1replicas:*i 4minReadySeconds:i 2selector:{}s 3template:*.corev1PodTemplateSpec
corev1ReplicationControllerStatus 1!replicas:i 2fullyLabeledReplicas:i 4readyReplicas:i 5availableReplicas:i 3observedGeneration:i 6conditions:[].corev1ReplicationControllerCondition
corev1ResourceClaim 1!name:s 2request:s
corev1ResourceFieldSelector 1containerName:s 2!resource:s 3divisor:.Quantity
corev1ResourceHealth 1!resourceID:s 2health:s 6message:*s
corev1ResourceQuota 1metadata:.metav1ObjectMeta 2spec:.corev1ResourceQuotaSpec 3status:.corev1ResourceQuotaStatus
corev1ResourceQuotaSpec 1hard:{}.Quantity 2scopes:[]s 3scopeSelector:*.corev1ScopeSelector
corev1ResourceQuotaStatus 1hard:{}.Quantity 2used:{}.Quantity
corev1ResourceRequirements 1limits:{}.Quantity 2requests:{}.Quantity 3claims:[].corev1ResourceClaim
corev1ResourceStatus 1!name:s 2resources:[].corev1ResourceHealth
corev1SELinuxOptions 1user:s 2role:s 3type:s 4level:s
corev1ScaleIOPersistentVolumeSource 1!gateway:s 2!system:s 3!secretRef:*.corev1SecretReference 4sslEnabled:t 5protectionDomain:s 6storagePool:s 7storageMode:s 8volumeName:s 9fsType:s 10readOnly:t
corev1ScaleIOVolumeSource 1!gateway:s 2!system:s 3!secretRef:*.corev1LocalObjectReference 4sslEnabled:t 5protectionDomain:s 6storagePool:s 7storageMode:s 8volumeName:s 9fsType:s 10readOnly:t
corev1ScopeSelector 1matchExpressions:[].corev1ScopedResourceSelectorRequirement
corev1ScopedResourceSelectorRequirement 1!scopeName:s 2!operator:s 3values:[]s
corev1SeccompProfile 1!type:s 2localhostProfile:*s
corev1Secret 1metadata:.metav1ObjectMeta 5immutable:*t 2data:{}b 4stringData:{}s 3type:s
corev1SecretEnvSource 1=:.corev1LocalObjectReference 2optional:*t
corev1SecretKeySelector 1=:.corev1LocalObjectReference 2!key:s 3optional:*t
corev1SecretProjection 1=:.corev1LocalObjectReference 2items:[].corev1KeyToPath 4optional:*t
corev1SecretReference 1name:s 2namespace:s
corev1SecretVolumeSource 1secretName:s 2items:[].corev1KeyToPath 3defaultMode:*i 4optional:*t
corev1SecurityContext 1capabilities:*.corev1Capabilities 2privileged:*t 3seLinuxOptions:*.corev1SELinuxOptions 10windowsOptions:*.corev1WindowsSecurityContextOptions 4runAsUser:*i 8runAsGroup:*i 5runAsNonRoot:*t 6readOnlyRootFilesystem:*t 7allowPrivilegeEscalation:*t 9procMount:*s 11seccompProfile:*.corev1SeccompProfile 12appArmorProfile:*.corev1AppArmorProfile
corev1Service 1metadata:.metav1ObjectMeta 2spec:.corev1ServiceSpec 3status:.corev1ServiceStatus
corev1ServiceAccount 1metadata:.metav1ObjectMeta 2secrets:[].corev1ObjectReference 3imagePullSecrets:[].corev1LocalObjectReference 4automountServiceAccountToken:*t
corev1ServiceAccountTokenProjection 1audience:s 2expirationSeconds:*i 3!path:s
corev1ServicePort 1name:s 2protocol:s 6appProtocol:*s 3!port:i 4targetPort:.IntOrString 5nodePort:i
corev1ServiceSpec 1ports:[].corev1ServicePort 2selector:{}s 3clusterIP:s 18clusterIPs:[]s 4type:s 5externalIPs:[]s 7sessionAffinity:s 8loadBalancerIP:s 9loadBalancerSourceRanges:[]s 10externalName:s 11externalTrafficPolicy:s 12healthCheckNodePort:i 13publishNotReadyAddresses:t 14sessionAffinityConfig:*.corev1SessionAffinityConfig 19ipFamilies:[]s 17ipFamilyPolicy:*s 20allocateLoadBalancerNodePorts:*t 21loadBalancerClass:*s 22internalTrafficPolicy:*s 23trafficDistribution:*s
corev1ServiceStatus 1loadBalancer:.corev1LoadBalancerStatus 2conditions:[].metav1Condition
corev1SessionAffinityConfig 1clientIP:*.corev1ClientIPConfig
corev1SleepAction 1!seconds:i
corev1StorageOSPersistentVolumeSource 1volumeName:s 2volumeNamespace:s 3fsType:s 4readOnly:t 5secretRef:*.corev1ObjectReference
corev1StorageOSVolumeSource 1volumeName:s 2volumeNamespace:s 3fsType:s 4readOnly:t 5secretRef:*.corev1LocalObjectReference
corev1Sysctl 1!name:s 2!value:s
corev1TCPSocketAction 1!port:.IntOrString 2host:s
corev1Taint 1!key:s 2value:s 3!effect:s 4timeAdded:*.Time
corev1Toleration 1key:s 2operator:s 3value:s 4effect:s 5tolerationSeconds:*i
corev1TopologySelectorLabelRequirement 1!key:s 2!values:[]s
corev1TopologySelectorTerm 1matchLabelExpressions:[].corev1TopologySelectorLabelRequirement
corev1TopologySpreadConstraint 1!maxSkew:i 2!topologyKey:s 3!whenUnsatisfiable:s 4labelSelector:*.metav1LabelSelector 5minDomains:*i 6nodeAffinityPolicy:*s 7nodeTaintsPolicy:*s 8matchLabelKeys:[]s
corev1TypedLocalObjectReference 1!apiGroup:*s 2!kind:s 3!name:s
corev1TypedObjectReference 1!apiGroup:*s 2!kind:s 3!name:s 4namespace:*s
corev1Volume 1!name:s 2=:.corev1VolumeSource
corev1VolumeDevice 1!name:s 2!devicePath:s
corev1VolumeMount 1!name:s 2readOnly:t 7recursiveReadOnly:*s 3!mountPath:s 4subPath:s 5mountPropagation:*s 6subPathExpr:s
corev1VolumeMountStatus 1!name:s 2!mountPath:s 3readOnly:t 4recursiveReadOnly:*s 5volumeStatus:*.corev1VolumeStatus
corev1VolumeNodeAffinity 1required:*.corev1NodeSelector
corev1VolumeProjection 1secret:*.corev1SecretProjection 2downwardAPI:*.corev1DownwardAPIProjection 3configMap:*.corev1ConfigMapProjection 4serviceAccountToken:*.corev1ServiceAccountTokenProjection 5clusterTrustBundle:*.corev1ClusterTrustBundleProjection 6podCertificate:*.corev1PodCertificateProjection
corev1VolumeResourceRequirements 1limits:{}.Quantity 2requests:{}.Quantity
corev1VolumeSource 1hostPath:*.corev1HostPathVolumeSource 2emptyDir:*.corev1EmptyDirVolumeSource 3gcePersistentDisk:*.corev1GCEPersistentDiskVolumeSource 4awsElasticBlockStore:*.corev1AWSElasticBlockStoreVolumeSource 5gitRepo:*.corev1GitRepoVolumeSource 6secret:*.corev1SecretVolumeSource 7nfs:*.corev1NFSVolumeSource 8iscsi:*.corev1ISCSIVolumeSource 9glusterfs:*.corev1GlusterfsVolumeSource 10persistentVolumeClaim:*.corev1PersistentVolumeClaimVolumeSource 11rbd:*.corev1RBDVolumeSource 12flexVolume:*.corev1FlexVolumeSource 13cinder:*.corev1CinderVolumeSource 14cephfs:*.corev1CephFSVolumeSource 15flocker:*.corev1FlockerVolumeSource 16downwardAPI:*.corev1DownwardAPIVolumeSource 17fc:*.corev1FCVolumeSource 18azureFile:*.corev1AzureFileVolumeSource 19configMap:*.corev1ConfigMapVolumeSource 20vsphereVolume:*.corev1VsphereVirtualDiskVolumeSource 21quobyte:*.corev1QuobyteVolumeSource 22azureDisk:*.corev1AzureDiskVolumeSource 23photonPersistentDisk:*.corev1PhotonPersistentDiskVolumeSource 26projected:*.corev1ProjectedVolumeSource 24portworxVolume:*.corev1PortworxVolumeSource 25scaleIO:*.corev1ScaleIOVolumeSource 27storageos:*.corev1StorageOSVolumeSource 28csi:*.corev1CSIVolumeSource 29ephemeral:*.corev1EphemeralVolumeSource 30image:*.corev1ImageVolumeSource
corev1VolumeStatus 1image:*.corev1ImageVolumeStatus
corev1VsphereVirtualDiskVolumeSource 1!volumePath:s 2fsType:s 3storagePolicyName:s 4storagePolicyID:s
corev1WeightedPodAffinityTerm 1!weight:i 2!podAffinityTerm:.corev1PodAffinityTerm
corev1WindowsSecurityContextOptions 1gmsaCredentialSpecName:*s 2gmsaCredentialSpec:*s 3runAsUserName:*s 4hostProcess:*t
metav1Condition 1!type:s 2!status:s 3observedGeneration:i 4!lastTransitionTime:.Time 5!reason:s 6!message:s
metav1DeleteOptions 1gracePeriodSeconds:*i 2preconditions:*.metav1Preconditions 3orphanDependents:*t 4propagationPolicy:*s 5dryRun:[]s 6ignoreStoreReadErrorWithClusterBreakingPotential:*t
metav1FieldSelectorRequirement 1!key:s 2!operator:s 3values:[]s
metav1LabelSelector 1matchLabels:{}s 2matchExpressions:[].metav1LabelSelectorRequirement
metav1LabelSelectorRequirement 1!key:s 2!operator:s 3values:[]s
metav1ManagedFieldsEntry 1manager:s 2operation:s 3apiVersion:s 4time:*.Time 6fieldsType:s 7fieldsV1:*.Raw 8subresource:s
metav1ObjectMeta 1name:s 2generateName:s 3namespace:s 4selfLink:s 5uid:s 6resourceVersion:s 7generation:i 8creationTimestamp:.Time 9deletionTimestamp:*.Time 10deletionGracePeriodSeconds:*i 11labels:{}s 12annotations:{}s 13ownerReferences:[].metav1OwnerReference 14finalizers:[]s 17managedFields:[].metav1ManagedFieldsEntry
metav1OwnerReference 5!apiVersion:s 1!kind:s 3!name:s 4!uid:s 6controller:*t 7blockOwnerDeletion:*t
metav1Preconditions 1uid:*s 2resourceVersion:*s
networkingv1HTTPIngressPath 1path:s 3!pathType:*s 2!backend:.networkingv1IngressBackend
networkingv1HTTPIngressRuleValue 1!paths:[].networkingv1HTTPIngressPath
networkingv1IPBlock 1!cidr:s 2except:[]s
networkingv1Ingress 1metadata:.metav1ObjectMeta 2spec:.networkingv1IngressSpec 3status:.networkingv1IngressStatus
networkingv1IngressBackend 4service:*.networkingv1IngressServiceBackend 3resource:*.corev1TypedLocalObjectReference
networkingv1IngressClass 1metadata:.metav1ObjectMeta 2spec:.networkingv1IngressClassSpec
networkingv1IngressClassParametersReference 1apiGroup:*s 2!kind:s 3!name:s 4!scope:*s 5namespace:*s
networkingv1IngressClassSpec 1controller:s 2parameters:*.networkingv1IngressClassParametersReference
networkingv1IngressLoadBalancerIngress 1ip:s 2hostname:s 4ports:[].networkingv1IngressPortStatus
networkingv1IngressLoadBalancerStatus 1ingress:[].networkingv1IngressLoadBalancerIngress
networkingv1IngressPortStatus 1!port:i 2!protocol:s 3error:*s
networkingv1IngressRule 1host:s 2=:.networkingv1IngressRuleValue
networkingv1IngressRuleValue 1http:*.networkingv1HTTPIngressRuleValue
networkingv1IngressServiceBackend 1!name:s 2port:.networkingv1ServiceBackendPort
networkingv1IngressSpec 4ingressClassName:*s 1defaultBackend:*.networkingv1IngressBackend 2tls:[].networkingv1IngressTLS 3rules:[].networkingv1IngressRule
networkingv1IngressStatus 1loadBalancer:.networkingv1IngressLoadBalancerStatus
networkingv1IngressTLS 1hosts:[]s 2secretName:s
networkingv1NetworkPolicy 1metadata:.metav1ObjectMeta 2spec:.networkingv1NetworkPolicySpec
networkingv1NetworkPolicyEgressRule 1ports:[].networkingv1NetworkPolicyPort 2to:[].networkingv1NetworkPolicyPeer
networkingv1NetworkPolicyIngressRule 1ports:[].networkingv1NetworkPolicyPort 2from:[].networkingv1NetworkPolicyPeer
networkingv1NetworkPolicyPeer 1podSelector:*.metav1LabelSelector 2namespaceSelector:*.metav1LabelSelector 3ipBlock:*.networkingv1IPBlock
networkingv1NetworkPolicyPort 1protocol:*s 2port:*.IntOrString 3endPort:*i
networkingv1NetworkPolicySpec 1!podSelector:.metav1LabelSelector 2ingress:[].networkingv1NetworkPolicyIngressRule 3egress:[].networkingv1NetworkPolicyEgressRule 4policyTypes:[]s
networkingv1ServiceBackendPort 1name:s 2number:i
policyv1PodDisruptionBudget 1metadata:.metav1ObjectMeta 2spec:.policyv1PodDisruptionBudgetSpec 3status:.policyv1PodDisruptionBudgetStatus
policyv1PodDisruptionBudgetSpec 1minAvailable:*.IntOrString 2selector:*.metav1LabelSelector 3maxUnavailable:*.IntOrString 4unhealthyPodEvictionPolicy:*s
policyv1PodDisruptionBudgetStatus 1observedGeneration:i 2disruptedPods:{}.Time 3!disruptionsAllowed:i 4!currentHealthy:i 5!desiredHealthy:i 6!expectedPods:i 7conditions:[].metav1Condition
rbacv1AggregationRule 1clusterRoleSelectors:[].metav1LabelSelector
rbacv1ClusterRole 1metadata:.metav1ObjectMeta 2!rules:[].rbacv1PolicyRule 3aggregationRule:*.rbacv1AggregationRule
rbacv1ClusterRoleBinding 1metadata:.metav1ObjectMeta 2subjects:[].rbacv1Subject 3!roleRef:.rbacv1RoleRef
rbacv1PolicyRule 1!verbs:[]s 2apiGroups:[]s 3resources:[]s 4resourceNames:[]s 5nonResourceURLs:[]s
rbacv1Role 1metadata:.metav1ObjectMeta 2!rules:[].rbacv1PolicyRule
rbacv1RoleBinding 1metadata:.metav1ObjectMeta 2subjects:[].rbacv1Subject 3!roleRef:.rbacv1RoleRef
rbacv1RoleRef 1!apiGroup:s 2!kind:s 3!name:s
rbacv1Subject 1!kind:s 2apiGroup:s 3!name:s 4namespace:s
schedulingv1PriorityClass 1metadata:.metav1ObjectMeta 2!value:i 3globalDefault:t 4description:s 5preemptionPolicy:*s
storagev1StorageClass 1metadata:.metav1ObjectMeta 2!provisioner:s 3parameters:{}s 4reclaimPolicy:*s 5mountOptions:[]s 6allowVolumeExpansion:*t 7volumeBindingMode:*s 8allowedTopologies:[].corev1TopologySelectorTerm
`;
