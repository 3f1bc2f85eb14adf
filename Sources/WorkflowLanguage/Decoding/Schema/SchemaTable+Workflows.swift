// The fields of a workflow outside of its templates.

extension SchemaTable {
    /// Workflow specs and what templates share with them.
    static let workflows = """
        WorkflowSpec
          string: dnsPolicy entrypoint onExit podPriorityClassName podSpecPatch schedulerName
          string: serviceAccountName
          bool: archiveLogs automountServiceAccountToken hostNetwork suspend
          int: activeDeadlineSeconds parallelism priority
          {string}: nodeSelector
          Affinity: affinity
          Arguments: arguments
          ArtifactRepositoryRef: artifactRepositoryRef
          ExecutorConfig: executor
          Metadata: podMetadata
          Metrics: metrics
          PodDNSConfig: dnsConfig
          PodDisruptionBudgetSpec: podDisruptionBudget
          PodGC: podGC
          PodSecurityContext: securityContext
          ResourceRequirements: podResources
          RetryStrategy: retryStrategy
          Synchronization: synchronization
          TTLStrategy: ttlStrategy
          Template: templateDefaults
          Terminate|Stop: shutdown
          VolumeClaimGC: volumeClaimGC
          WorkflowLevelArtifactGC: artifactGC
          WorkflowMetadata: workflowMetadata
          WorkflowTemplateRef: workflowTemplateRef
          [HostAlias]: hostAliases
          [LocalObjectReference]: imagePullSecrets
          [PersistentVolumeClaim]: volumeClaimTemplates
          [PodResourceClaim]: resourceClaims
          [Template]: templates
          [Toleration]: tolerations
          [Volume]: volumes
          [any]: executorPlugins
          {LifecycleHook}: hooks
        Arguments
          [Artifact]: artifacts
          [Parameter]: parameters
        Parameter
          string: description globalName name
          anyText: default value
          ValueFrom: valueFrom
          [anyText]: enum
        ValueFrom
          string: event expression jqFilter jsonPath parameter path
          anyText: default
          ConfigMapKeySelector: configMapKeyRef
          freeForm: supplied
        WorkflowTemplateRef
          string: name
          bool: clusterScope
        TemplateRef
          string: name template
          bool: clusterScope
        LifecycleHook
          string: expression template
          Arguments: arguments
          TemplateRef: templateRef
        RetryStrategy
          string: expression
          intOrString: limit
          Always|OnFailure|OnError|OnTransientError: retryPolicy
          Backoff: backoff
          RetryAffinity: affinity
        RetryAffinity
          freeForm: nodeAntiAffinity
        Backoff
          string: cap duration maxDuration
          intOrString: factor
        Synchronization
          [Mutex]: mutexes
          [SemaphoreRef]: semaphores
        Mutex
          string: name namespace
          bool: database
        SemaphoreRef
          string: namespace
          ConfigMapKeySelector: configMapKeyRef
          SyncDatabaseRef: database
        SyncDatabaseRef
          string: key
        Metrics
          [Prometheus]: prometheus
        Prometheus
          string: help name when
          Counter: counter
          Gauge: gauge
          Histogram: histogram
          [MetricLabel]: labels
        MetricLabel
          string: key value
        Counter
          string: value
        Gauge
          string: value
          bool: realtime
          Set|Add|Sub: operation
        Histogram
          string: value
          [number]: buckets
        TTLStrategy
          int: secondsAfterCompletion secondsAfterFailure secondsAfterSuccess
        PodGC
          string: deleteDelayDuration
          LabelSelector: labelSelector
          OnPodCompletion|OnPodSuccess|OnWorkflowCompletion|OnWorkflowSuccess: strategy
        ArtifactRepositoryRef
          string: configMap key
        WorkflowLevelArtifactGC
          string: podSpecPatch serviceAccountName
          bool: forceFinalizerRemoval
          Metadata: podMetadata
          OnWorkflowCompletion|OnWorkflowDeletion|Never: strategy
        WorkflowMetadata
          {string}: annotations labels
          {LabelValueFrom}: labelsFrom
        LabelValueFrom
          string: expression
        VolumeClaimGC
          OnWorkflowCompletion|OnWorkflowSuccess: strategy
        ExecutorConfig
          string: serviceAccountName
        """
}
