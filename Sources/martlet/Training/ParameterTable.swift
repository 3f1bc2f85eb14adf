// Which parameters a command has and what values they take, read off the declarations of its options, so that
// no second list can disagree with them.

import ArgumentParser
import WorkflowLanguage

/// The names of a command's parameters in kebab case, as the parser has them.
struct ParameterTable: Sendable {
    enum Kind: Sendable, Hashable {
        case flag, integer, natural, number, text, list
        /// One of these words.
        case choice([String])
    }

    private(set) var kinds: [String: Kind] = [:]

    /// - Parameter groups: types whose properties are all options with the names that the parser gives them.
    init(_ groups: [any ParsableArguments.Type]) {
        for group in groups {
            for child in Mirror(reflecting: group.init()).children {
                guard let label = child.label, label.hasPrefix("_"),
                    let option = child.value as? any TypedOption
                else { continue }
                kinds[Self.kebab(String(label.dropFirst()))] = Self.kind(type(of: option).valueType)
            }
        }
    }

    /// `adamBeta1` as `adam-beta1`. Properties of options have no capitals side by side.
    private static func kebab(_ property: String) -> String {
        property.reduce(into: "") { name, character in
            if character.isUppercase { name += "-" }
            name += character.lowercased()
        }
    }

    private static func kind(_ type: Any.Type) -> Kind {
        switch type {
        case is Bool.Type: .flag
        case is Int.Type: .integer
        case is UInt64.Type: .natural
        case is Double.Type: .number
        case is [String].Type: .list
        case let type as any OptionalValue.Type: kind(type.wrappedType)
        case let type as any (CaseIterable & RawRepresentable).Type: .choice(words(of: type))
        default: .text
        }
    }

    private static func words<Choice: CaseIterable & RawRepresentable>(of type: Choice.Type) -> [String] {
        type.allCases.compactMap { $0.rawValue as? String }
    }

    /// The parameter that a word names, its other names and both kinds of dashes included.
    static func canonical(_ name: String) -> String {
        String(StepParameterTable.canonical(name).map { $0 == "_" ? "-" : $0 })
    }
}

/// An option that tells the type of its value.
private protocol TypedOption {
    static var valueType: Any.Type { get }
}

extension Option: TypedOption {
    fileprivate static var valueType: Any.Type { Value.self }
}

/// A value that may be missing.
private protocol OptionalValue {
    static var wrappedType: Any.Type { get }
}

extension Optional: OptionalValue {
    fileprivate static var wrappedType: Any.Type { Wrapped.self }
}
