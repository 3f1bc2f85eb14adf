// Which tags mean something at one place of a manifest. A scope is a value that validators extend and pass
// down.

/// What another step or task of the same template makes known by its name.
struct CallResults: Sendable {
    /// What may follow `steps.NAME.`, such as `outputs.parameters.loss`.
    var names: Set<String>
    /// Whether the called template cannot be looked at, so that any output may exist.
    var anyOutput = false
    /// Whether any output parameter may exist.
    var anyOutputParameter = false
    /// The called template, for messages.
    var templateName = ""
    /// What the called template is, if it is one of Martlet's own steps.
    var step: MartletStep?

    func has(_ name: String) -> Bool {
        if names.contains(name) { return true }
        if anyOutput { return name.hasPrefix("outputs.") || name == "exitCode" || name == "ip" }
        return anyOutputParameter && name.hasPrefix("outputs.parameters.")
    }
}

/// The steps or tasks around a place.
struct CallScope: Sendable {
    enum Root: String, Sendable { case steps, tasks }

    var root: Root
    var results: [String: CallResults]
    /// Whose results are there when the place is evaluated.
    var visible: Set<String>
    /// The template that the calls belong to, for messages.
    var templateName: String
}

/// The tags that mean something at a place.
struct Scope: Sendable {
    /// Whole names, such as `inputs.parameters.message`.
    var names: Set<String> = []
    /// Beginnings after which anything may stand, such as `workflow.creationTimestamp`.
    var prefixes: Set<String> = []
    var calls: CallScope?
    /// The scopes around the step that an inline template belongs to: its tags are replaced there too.
    var outer: [Scope] = []
    /// Leaf templates often hold other programs' braces, such as Ansible's {{ item }}.
    var isLeaf = false

    func knows(_ name: String) -> Bool {
        if names.contains(name) { return true }
        if prefixes.contains(where: { name.hasPrefix($0) }) { return true }
        if let calls, let (call, rest) = Self.callParts(name, of: calls.root), calls.visible.contains(call) {
            if calls.results[call]?.has(rest) ?? false { return true }
        }
        return outer.contains { $0.knows(name) }
    }

    /// A copy that also knows these.
    func adding(names: some Sequence<String> = [], prefixes: some Sequence<String> = []) -> Scope {
        var scope = self
        scope.names.formUnion(names)
        scope.prefixes.formUnion(prefixes)
        return scope
    }

    /// All whole names, the outer scopes' included.
    var allNames: Set<String> { outer.reduce(into: names) { $0.formUnion($1.allNames) } }

    /// `NAME` and the rest of `steps.NAME.rest`.
    static func callParts(_ name: String, of root: CallScope.Root) -> (call: String, rest: String)? {
        guard name.hasPrefix(root.rawValue + ".") else { return nil }
        let parts = name.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        return (String(parts[1]), String(parts[2]))
    }
}
