// Kubernetes' containers, as far as a template can hold them.

extension SchemaTable {
    /// Containers and what they are made of.
    static let containers = """
        Container
          string: image imagePullPolicy name restartPolicy terminationMessagePath terminationMessagePolicy
          string: workingDir
          bool: stdin stdinOnce tty
          [string]: args command
          Lifecycle: lifecycle
          Probe: livenessProbe readinessProbe startupProbe
          ResourceRequirements: resources
          SecurityContext: securityContext
          [ContainerPort]: ports
          [ContainerResizePolicy]: resizePolicy
          [ContainerRestartRule]: restartPolicyRules
          [EnvFromSource]: envFrom
          [EnvVar]: env
          [VolumeDevice]: volumeDevices
          [VolumeMount]: volumeMounts
        EnvVar
          string: name value
          EnvVarSource: valueFrom
        EnvFromSource
          string: prefix
          ConfigMapEnvSource: configMapRef
          SecretEnvSource: secretRef
        Lifecycle
          string: stopSignal
          LifecycleHandler: postStart preStop
        Probe
          int: failureThreshold initialDelaySeconds periodSeconds successThreshold
          int: terminationGracePeriodSeconds timeoutSeconds
          ExecAction: exec
          GRPCAction: grpc
          HTTPGetAction: httpGet
          TCPSocketAction: tcpSocket
        ContainerPort
          string: hostIP name protocol
          int: containerPort hostPort
        ContainerResizePolicy
          string: resourceName restartPolicy
        ResourceRequirements
          [ResourceClaim]: claims
          {quantity}: limits requests
        SecurityContext
          string: procMount
          bool: allowPrivilegeEscalation privileged readOnlyRootFilesystem runAsNonRoot
          int: runAsGroup runAsUser
          AppArmorProfile: appArmorProfile
          Capabilities: capabilities
          SELinuxOptions: seLinuxOptions
          SeccompProfile: seccompProfile
          WindowsSecurityContextOptions: windowsOptions
        VolumeDevice
          string: devicePath name
        VolumeMount
          string: mountPath mountPropagation name recursiveReadOnly subPath subPathExpr
          bool: readOnly
        ContainerRestartRule
          string: action
          ContainerRestartRuleOnExitCodes: exitCodes
        EnvVarSource
          ConfigMapKeySelector: configMapKeyRef
          FileKeySelector: fileKeyRef
          ObjectFieldSelector: fieldRef
          ResourceFieldSelector: resourceFieldRef
          SecretKeySelector: secretKeyRef
        ConfigMapEnvSource
          string: name
          bool: optional
        SecretEnvSource
          string: name
          bool: optional
        LifecycleHandler
          ExecAction: exec
          HTTPGetAction: httpGet
          SleepAction: sleep
          TCPSocketAction: tcpSocket
        ExecAction
          [string]: command
        GRPCAction
          string: service
          int: port
        HTTPGetAction
          string: host path scheme
          intOrString: port
          [Header]: httpHeaders
        TCPSocketAction
          string: host
          intOrString: port
        ResourceClaim
          string: name request
        AppArmorProfile
          string: localhostProfile type
        Capabilities
          [string]: add drop
        SELinuxOptions
          string: level role type user
        SeccompProfile
          string: localhostProfile type
        WindowsSecurityContextOptions
          string: gmsaCredentialSpec gmsaCredentialSpecName runAsUserName
          bool: hostProcess
        ContainerRestartRuleOnExitCodes
          string: operator
          [int]: values
        ConfigMapKeySelector
          string: key name
          bool: optional
        ObjectFieldSelector
          string: apiVersion fieldPath
        ResourceFieldSelector
          string: containerName resource
          quantity: divisor
        SecretKeySelector
          string: key name
          bool: optional
        FileKeySelector
          string: volumeName path key
          bool: optional
        SleepAction
          int: seconds
        """
}
