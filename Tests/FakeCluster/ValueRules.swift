// Values that the API refuses though their types are right: labels, names, quantities, and what refers to something
// that is not there. Compared with Kubernetes' own server by Tests/Interop/kubernetes_api_check.py.

import Text
import WorkflowLanguage

enum ValueRules {
    /// Refuses an object whose kind is Kubernetes' own and whose values make no sense.
    static func check(_ object: JSONValue, at place: ObjectPlace) throws(Refusal) {
        guard place.isBuiltIn else { return }
        var problems = labels(object["metadata"], path: "metadata")
        switch place.resource {
        case "pods": problems += pod(object["spec"], path: "spec")
        case "jobs":
            problems += pod(object.at(["spec", "template", "spec"]), path: "spec.template.spec")
            let policy = object.at(["spec", "template", "spec", "restartPolicy"])?.stringValue ?? "Always"
            if policy == "Always" {
                problems.append(
                    "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""
                )
            }
        case "deployments":
            problems += pod(object.at(["spec", "template", "spec"]), path: "spec.template.spec")
        case "services":
            let first = object["metadata"]?["name"]?.stringValue?.utf8.first
            if let first, !(0x61...0x7A).contains(first) {
                problems.append("metadata.name: Invalid value: a DNS-1035 label must start with a letter")
            }
        case "leases":
            if let seconds = object.at(["spec", "leaseDurationSeconds"])?.intValue, seconds <= 0 {
                problems.append(
                    "spec.leaseDurationSeconds: Invalid value: \(seconds): must be greater than 0")
            }
        default: break
        }
        if let first = problems.first { throw .invalid(place, first) }
    }

    // MARK: Labels

    private static func labels(_ metadata: JSONValue?, path: String) -> [String] {
        (metadata?["labels"]?.objectValue ?? [:]).sorted { $0.key < $1.key }.compactMap { key, value in
            isLabel(value.stringValue ?? "") && isQualified(key)
                ? nil : "\(path).labels: Invalid value: \"\(key)=\(value.stringValue ?? "")\""
        }
    }

    /// A label's value: at most 63 letters, digits, `-`, `_` and `.`, the ends letters or digits.
    static func isLabel(_ text: String) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last else { return true }
        return text.utf8.count <= 63 && isPlain(first) && isPlain(last)
            && text.utf8.allSatisfy { isPlain($0) || [0x2D, 0x5F, 0x2E].contains($0) }
    }

    /// A label's key: `name` or `domain/name`.
    static func isQualified(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let name = parts.last, !name.isEmpty, isLabel(name), parts.count <= 2 else { return false }
        return parts.count == 1 || FakeObjects.isName(parts[0])
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    // MARK: Pods

    private static func pod(_ spec: JSONValue?, path: String) -> [String] {
        guard let spec else { return [] }
        var problems: [String] = []
        if let policy = spec["restartPolicy"]?.stringValue,
            !["Always", "OnFailure", "Never"].contains(policy)
        {
            problems.append("\(path).restartPolicy: Unsupported value: \"\(policy)\"")
        }
        if let seconds = spec["activeDeadlineSeconds"]?.intValue, seconds < 1 {
            problems.append(
                "\(path).activeDeadlineSeconds: Invalid value: \(seconds): must be greater than 0")
        }
        let volumes = (spec["volumes"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
        problems += twice(volumes, path: "\(path).volumes")
        var names: [String] = []
        for list in ["initContainers", "containers"] {
            for (index, container) in (spec[list]?.arrayValue ?? []).enumerated() {
                names.append(container["name"]?.stringValue ?? "")
                problems += self.container(
                    container, volumes: Set(volumes), path: "\(path).\(list)[\(index)]")
            }
        }
        return problems + twice(names, path: "\(path).containers")
    }

    private static func twice(_ names: [String], path: String) -> [String] {
        var seen: Set<String> = []
        return names.filter { !seen.insert($0).inserted }.map { "\(path): Duplicate value: \"\($0)\"" }
    }

    private static func container(_ container: JSONValue, volumes: Set<String>, path: String) -> [String] {
        var problems: [String] = []
        let name = container["name"]?.stringValue ?? ""
        if name.contains(".") || name.utf8.count > 63 || !FakeObjects.isName(name) {
            problems.append("\(path).name: Invalid value: \"\(name)\": a DNS-1123 label")
        }
        for mount in container["volumeMounts"]?.arrayValue ?? [] {
            let wanted = mount["name"]?.stringValue ?? ""
            if !volumes.contains(wanted) {
                problems.append("\(path).volumeMounts.name: Not found: \"\(wanted)\"")
            }
        }
        for port in container["ports"]?.arrayValue ?? [] {
            let number = port["containerPort"]?.intValue ?? 0
            if !(1...65_535).contains(number) {
                problems.append(
                    "\(path).ports.containerPort: Invalid value: \(number): must be between 1 and 65535")
            }
        }
        let (limits, requests) = (
            container.at(["resources", "limits"]), container.at(["resources", "requests"])
        )
        for (key, value) in (requests?.objectValue ?? [:]).sorted(by: { $0.key < $1.key }) {
            guard let most = Quantity(limits?[key]), let asked = Quantity(value), asked.value > most.value
            else {
                continue
            }
            problems.append(
                "\(path).resources.requests: Invalid value: must be less than or equal to \(key) limit")
        }
        return problems
    }
}

/// A resource's amount, as `1500m`, `2` or `1Gi`.
struct Quantity {
    let value: Double

    private static let factors: [String: Double] = [
        "": 1, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
        "Ki": 1024, "Mi": 1_048_576, "Gi": 1_073_741_824, "Ti": 1_099_511_627_776,
        "Pi": 1_125_899_906_842_624, "Ei": 1_152_921_504_606_846_976,
    ]

    /// Nil for what is none.
    init?(_ json: JSONValue?) {
        guard let text = json?.scalarText else { return nil }
        let digits = text.prefix { $0.isNumber || $0 == "." || $0 == "-" || $0 == "+" }
        let suffix = String(text.dropFirst(digits.count))
        if let number = Double(digits), let factor = Self.factors[suffix] {
            value = number * factor
        } else if ["e", "E"].contains(suffix.first), let number = Double(text) {
            value = number
        } else {
            return nil
        }
    }
}
