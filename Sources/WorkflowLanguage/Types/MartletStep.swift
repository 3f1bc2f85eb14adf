// The one extension of the manifest: templates that are Martlet's own steps.

package import Text

/// A built-in step: its kind, and its parameters as they were written.
package struct MartletStep: Sendable, Hashable {
    /// The kinds, named as their commands are.
    package enum Kind: String, Sendable, CaseIterable {
        case download, tokenizer, pretrain, sft, rlhf, dpo, evaluate, quantize, merge, generate, deploy
    }

    package var kind: Kind
    package var parameters: JSONValue

    package init(kind: Kind, parameters: JSONValue) {
        self.kind = kind
        self.parameters = parameters
    }

    /// The step in a template's fields: `sft: {...}`, or `plugin: {martlet: {sft: {...}}}`; nil if there is none.
    package init?(_ fields: Fields) {
        for kind in Kind.allCases {
            if let parameters = fields[kind.rawValue] {
                self.init(kind: kind, parameters: parameters)
                return
            }
        }
        guard let nested = fields.object("plugin")?.object("martlet") else { return nil }
        for kind in Kind.allCases {
            if let parameters = nested[kind.rawValue] {
                self.init(kind: kind, parameters: parameters)
                return
            }
        }
        return nil
    }
}
