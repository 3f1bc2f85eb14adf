// Kubernetes' rules for placing, securing and naming pods.

extension SchemaTable {
    /// Affinity, tolerations, security, names and disruption budgets.
    static let pods = """
        Affinity
          NodeAffinity: nodeAffinity
          PodAffinity: podAffinity
          PodAntiAffinity: podAntiAffinity
        Toleration
          string: effect key operator value
          int: tolerationSeconds
        PodSecurityContext
          string: fsGroupChangePolicy seLinuxChangePolicy supplementalGroupsPolicy
          bool: runAsNonRoot
          int: fsGroup runAsGroup runAsUser
          AppArmorProfile: appArmorProfile
          SELinuxOptions: seLinuxOptions
          SeccompProfile: seccompProfile
          WindowsSecurityContextOptions: windowsOptions
          [Sysctl]: sysctls
          [int]: supplementalGroups
        PodDNSConfig
          [string]: nameservers searches
          [PodDNSConfigOption]: options
        HostAlias
          string: ip
          [string]: hostnames
        PodDisruptionBudgetSpec
          string: unhealthyPodEvictionPolicy
          intOrString: maxUnavailable minAvailable
          LabelSelector: selector
        LocalObjectReference
          string: name
        PodResourceClaim
          string: name resourceClaimName resourceClaimTemplateName
        NodeAffinity
          NodeSelector: requiredDuringSchedulingIgnoredDuringExecution
          [PreferredSchedulingTerm]: preferredDuringSchedulingIgnoredDuringExecution
        PodAffinity
          [PodAffinityTerm]: requiredDuringSchedulingIgnoredDuringExecution
          [WeightedPodAffinityTerm]: preferredDuringSchedulingIgnoredDuringExecution
        PodAntiAffinity: PodAffinity
        Sysctl
          string: name value
        PodDNSConfigOption
          string: name value
        LabelSelector
          {string}: matchLabels
          [LabelSelectorRequirement]: matchExpressions
        PreferredSchedulingTerm
          int: weight
          NodeSelectorTerm: preference
        NodeSelector
          [NodeSelectorTerm]: nodeSelectorTerms
        WeightedPodAffinityTerm
          int: weight
          PodAffinityTerm: podAffinityTerm
        PodAffinityTerm
          string: topologyKey
          [string]: matchLabelKeys mismatchLabelKeys namespaces
          LabelSelector: labelSelector namespaceSelector
        LabelSelectorRequirement
          string: key
          [string]: values
          In|NotIn|Exists|DoesNotExist: operator
        NodeSelectorTerm
          [NodeSelectorRequirement]: matchExpressions matchFields
        NodeSelectorRequirement
          string: key
          [string]: values
          In|NotIn|Exists|DoesNotExist|Gt|Lt: operator
        """
}
