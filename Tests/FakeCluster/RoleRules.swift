// Rights by a Role: what it does not name is refused, and what was used is counted.

import Synchronization
import Text
import WorkflowLanguage

final class RoleRules: Sendable {
    private let rules: [Fields]?
    private let used = Mutex<[String: Int]>([:])

    /// - Parameter role: a Role; nil: everything is allowed.
    init(_ role: JSONValue?) {
        rules = role.map { Fields($0).list("rules").map { Fields($0) } }
    }

    /// `VERB RESOURCE` with the number of requests.
    var counts: [String: Int] { used.withLock { $0 } }

    func check(_ verb: String, _ place: ObjectPlace) throws(Refusal) {
        let resource = place.subresource.isEmpty ? place.resource : "\(place.resource)/\(place.subresource)"
        used.withLock { $0["\(verb) \(resource)", default: 0] += 1 }
        guard let rules else { return }
        func has(_ rule: Fields, _ key: String, _ value: String) -> Bool {
            let list = rule.strings(key)
            return list.contains(value) || list.contains("*")
        }
        let isAllowed = rules.contains { rule in
            let names = rule.strings("resourceNames")
            return has(rule, "apiGroups", place.group) && has(rule, "resources", resource)
                && has(rule, "verbs", verb) && (names.isEmpty || names.contains(place.name))
        }
        guard isAllowed else {
            let named = place.name.isEmpty ? "" : " \"\(place.name)\""
            throw Refusal(
                403, "Forbidden",
                "\(place.resource)\(place.group.isEmpty ? "" : ".\(place.group)")\(named) is forbidden: User "
                    + "\"system:serviceaccount:default:martlet\" cannot \(verb) resource \"\(resource)\" in API "
                    + "group \"\(place.group)\" in the namespace \"\(place.namespace)\"")
        }
    }
}
