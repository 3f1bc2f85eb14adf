// What a workflow's specification says of all its pods; an executor without pods has no use for it.

package import Text
package import WorkflowLanguage

package enum PodSettingKeys {
    private static let names: Set<String> = [
        "affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy", "hostAliases", "hostNetwork",
        "imagePullSecrets", "nodeSelector", "podDisruptionBudget", "podGC", "podMetadata",
        "podPriorityClassName", "podResources", "podSpecPatch", "resourceClaims", "retryStrategy",
        "schedulerName", "securityContext", "tolerations",
    ]

    /// Those members of the specification, with their tags replaced as far as they are known.
    package static func settings(of spec: WorkflowSpec, _ scope: VariableScope) -> JSONValue {
        let members = (spec.raw.objectValue ?? [:]).filter { names.contains($0.key) && $0.value != .null }
        if members.isEmpty { return [:] }
        return .object(members.mapValues { (try? scope.replace(in: $0)) ?? $0 })
    }
}
