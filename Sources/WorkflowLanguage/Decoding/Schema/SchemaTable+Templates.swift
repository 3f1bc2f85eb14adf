// The fields of templates, steps and tasks.

extension SchemaTable {
    /// Templates of all types; needs the tables of containers and artifacts before it.
    static let templates = """
        Template
          string: name podSpecPatch priorityClassName schedulerName serviceAccountName timeout
          string: pendingTimeout
          bool: automountServiceAccountToken daemon failFast
          int: parallelism
          intOrString: activeDeadlineSeconds
          {string}: annotations nodeSelector
          Affinity: affinity
          ArtifactLocation: archiveLocation
          Container: container
          ContainerSetTemplate: containerSet
          DAGTemplate: dag
          Data: data
          ExecutorConfig: executor
          HTTP: http
          Inputs: inputs
          Memoize: memoize
          Metadata: metadata
          Metrics: metrics
          Outputs: outputs
          PodSecurityContext: securityContext
          ResourceRequirements: podResources
          ResourceTemplate: resource
          RetryStrategy: retryStrategy
          ScriptTemplate: script
          SuspendTemplate: suspend
          Synchronization: synchronization
          [HostAlias]: hostAliases
          [PodResourceClaim]: resourceClaims
          [Toleration]: tolerations
          [UserContainer]: initContainers sidecars
          [Volume]: volumes
          [[WorkflowStep]]: steps
          freeForm: plugin
          parameters: download tokenizer pretrain sft rlhf dpo evaluate quantize merge generate deploy
        Inputs
          [Artifact]: artifacts
          [Parameter]: parameters
        Outputs: Inputs
          string: exitCode result
        DAGTemplate
          string: target
          bool: failFast
          [DAGTask]: tasks
        WorkflowStep
          string: name onExit template when withParam
          Arguments: arguments
          ContinueOn: continueOn
          Sequence: withSequence
          Template: inline
          TemplateRef: templateRef
          [any]: withItems
          {LifecycleHook}: hooks
        DAGTask: WorkflowStep
          string: depends
          [string]: dependencies
        Sequence
          string: format
          intOrString: count end start
        ContinueOn
          bool: error failed
        ScriptTemplate: Container
          string: source
        UserContainer: Container
          bool: mirrorVolumeMounts
        ContainerSetTemplate
          ContainerSetRetryStrategy: retryStrategy
          [ContainerNode]: containers
          [VolumeMount]: volumeMounts
        ContainerNode: Container
          [string]: dependencies
        ContainerSetRetryStrategy
          string: duration
          intOrString: retries
        SuspendTemplate
          string: duration
        HTTP
          string: body method successCondition url
          bool: insecureSkipVerify
          int: timeoutSeconds
          HTTPBodySource: bodyFrom
          [HTTPHeader]: headers
        HTTPHeader
          string: name value
          HTTPHeaderSource: valueFrom
        HTTPHeaderSource
          SecretKeySelector: secretKeyRef
        HTTPBodySource
          base64: bytes
        ResourceTemplate
          string: failureCondition manifest mergeStrategy successCondition
          bool: setOwnerReference
          [string]: flags
          ManifestFrom: manifestFrom
          get|create|apply|delete|replace|patch: action
        ManifestFrom
          Artifact: artifact
        Data
          DataSource: source
          [TransformationStep]: transformation
        DataSource
          ArtifactPaths: artifactPaths
        ArtifactPaths: Artifact
        TransformationStep
          string: expression
        Memoize
          string: key maxAge
          Cache: cache
        Cache
          LocalObjectReference: configMap
        """
}
