// `retryStrategy.affinity.nodeAntiAffinity`: a new attempt goes to another node than those that failed.

import Scheduling
import Text
import WorkflowLanguage

enum HostAvoidance {
    /// The label by which nodes are told apart, as Argo uses it.
    private static let hostLabel = "kubernetes.io/hostname"
    /// Which node's attempts belong together.
    static let annotation = "martlet.dev/retries-of"

    /// Whether the template, or for want of it the workflow, asks for it.
    static func isWanted(_ launch: Launch) -> Bool {
        let strategy = launch.template.raw["retryStrategy"] ?? launch.podSettings["retryStrategy"]
        guard let affinity = strategy?["affinity"]?["nodeAntiAffinity"] else { return false }
        return affinity != .null
    }

    /// The specification with every term of its node affinity leaving the hosts out.
    static func spec(_ spec: JSONValue, avoiding hosts: [String]) -> JSONValue {
        guard !hosts.isEmpty, var members = spec.objectValue else { return spec }
        let rule: JSONValue = [
            "key": .string(hostLabel), "operator": "NotIn",
            "values": .array(hosts.sorted().map(JSONValue.string)),
        ]
        let key = "requiredDuringSchedulingIgnoredDuringExecution"
        var affinity = members["affinity"]?.objectValue ?? [:]
        var node = affinity["nodeAffinity"]?.objectValue ?? [:]
        var terms = node[key]?["nodeSelectorTerms"]?.arrayValue ?? []
        // Any one of the terms is enough for the scheduler, so each must have the rule.
        if terms.isEmpty { terms = [[:]] }
        terms = terms.map { term in
            var fields = term.objectValue ?? [:]
            fields["matchExpressions"] = .array((fields["matchExpressions"]?.arrayValue ?? []) + [rule])
            return .object(fields)
        }
        node[key] = ["nodeSelectorTerms": .array(terms)]
        affinity["nodeAffinity"] = .object(node)
        members["affinity"] = .object(affinity)
        return .object(members)
    }
}
