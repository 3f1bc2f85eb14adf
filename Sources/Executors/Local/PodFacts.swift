// What a step may ask about the pod that it would be in a cluster: fieldRef and resourceFieldRef.

import Glibc
import Scheduling
import WorkflowLanguage

struct PodFacts {
    private let launch: Launch

    init(_ launch: Launch) { self.launch = launch }

    static let hostName: String = {
        var buffer = [UInt8](repeating: 0, count: 256)
        let isKnown = buffer.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { chars in
                chars.baseAddress.map { gethostname($0, chars.count - 1) } == 0
            }
        }
        return isKnown ? String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self) : "localhost"
    }()

    /// Nil for fields that Kubernetes does not offer either.
    func value(ofField path: String) -> String? {
        switch path {
        case "metadata.name": return launch.podName
        case "metadata.namespace": return launch.namespace
        case "metadata.uid": return "\(launch.key.workflowUID)-\(launch.key.nodeID)-\(launch.key.attempt)"
        case "metadata.labels": return list(launch.labels)
        case "metadata.annotations": return list(launch.annotations)
        case "spec.nodeName": return Self.hostName
        case "spec.serviceAccountName":
            return launch.serviceAccountName.isEmpty ? "default" : launch.serviceAccountName
        case "status.podIP", "status.hostIP", "status.podIPs", "status.hostIPs": return "127.0.0.1"
        default: break
        }
        for (prefix, values) in [
            ("metadata.labels['", launch.labels), ("metadata.annotations['", launch.annotations),
        ]
        where path.hasPrefix(prefix) && path.hasSuffix("']") {
            return values[String(path.dropFirst(prefix.count).dropLast(2))] ?? ""
        }
        return nil
    }

    private func list(_ values: [String: String]) -> String {
        values.sorted { $0.key < $1.key }.map { "\($0.key)=\"\($0.value)\"" }.joined(separator: "\n")
    }

    /// Whole processors rounded up, or bytes: the divisor 1. What is not limited has the machine's size.
    func value(ofResource name: String, of container: Container?) -> String {
        let parts = name.split(separator: ".", maxSplits: 1)
        let amounts = parts.first == "requests" ? container?.requests : container?.limits
        let resource = parts.last.map(String.init) ?? name
        if let amount = amounts?[resource], let value = ResourceQuantity.count(amount) {
            return String(value)
        }
        switch resource {
        case "cpu": return String(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        case "memory": return String(sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)))
        default: return "0"
        }
    }
}
