// Reading a step's parameters: under any of their names, and as far as they are known before the run.

package import Text

extension MartletStep {
    /// The value of a parameter, whatever name it was given under; nil if there is none.
    package func value(_ name: String) -> JSONValue? {
        let members = parameters.objectValue ?? [:]
        if let value = members[name], value != .null { return value }
        for (key, value) in members where StepParameterTable.canonical(key) == name && value != .null {
            return value
        }
        return nil
    }

    /// The text of a value that is known now; nil where there is none, or one that holds a tag.
    package func literal(_ name: String) -> String? {
        guard let text = value(name)?.scalarText, !Tag.isIn(text) else { return nil }
        return text
    }

    /// The texts of a list, or of one value in its place.
    package func literals(_ name: String) -> [String] {
        guard let value = value(name) else { return [] }
        return (value.arrayValue ?? [value]).compactMap(\.scalarText)
    }

    /// Whether the parameter is given with a value that only the run will tell.
    package func isOpen(_ name: String) -> Bool {
        value(name).map { Tag.isIn($0.compactText) } ?? false
    }

    package func isTrue(_ name: String) -> Bool { literal(name).flatMap(StepParameter.truth) == true }

    /// The program that does the step's work: `martlet` unless given. Nil for a word that is none.
    package var backend: StepBackend? {
        guard let text = value("backend")?.scalarText else { return .martlet }
        return StepBackend(rawValue: text)
    }

    /// The same step with some parameters replaced, each under the name that it was given by.
    package func setting(_ values: [String: JSONValue]) -> MartletStep {
        var members = parameters.objectValue ?? [:]
        for (name, value) in values {
            let key = members.keys.sorted().first { StepParameterTable.canonical($0) == name } ?? name
            members[key] = value
        }
        return MartletStep(kind: kind, parameters: .object(members))
    }
}

/// A program that does a step's work.
package enum StepBackend: String, Sendable, Hashable, CaseIterable {
    case martlet
    case msSwift = "ms-swift"
    case vllm, evalscope
}
