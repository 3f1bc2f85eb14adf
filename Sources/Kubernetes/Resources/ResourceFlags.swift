// Flags of `resource` templates. Argo hands them to kubectl; here those that mean something for a call of the
// API are done, and every other is refused by name.

/// What flags say.
struct ResourceFlags: Sendable, Hashable {
    var namespace: String?
    var selector: String?
    var fieldManager = "martlet"
    var graceSeconds: Int?
    var propagation = "Background"
    /// `Strict`, `Warn` or `Ignore`, as the API names them; kubectl's own default is the first.
    var validation = "Strict"
    var forcesConflicts = true
    /// Words that are no flags: a kind and names.
    var words: [String] = []

    /// - Throws: `PodProblem` naming what cannot be done.
    init(_ flags: [String]) throws(PodProblem) {
        var rest = flags[...]
        while let flag = rest.popFirst() {
            guard flag.hasPrefix("-"), flag != "-" else {
                words.append(flag)
                continue
            }
            var name = flag
            var value: String?
            if let equals = flag.firstIndex(of: "=") {
                name = String(flag[..<equals])
                value = String(flag[flag.index(after: equals)...])
            } else if Self.takesValue.contains(name), let next = rest.first {
                rest.removeFirst()
                value = next
            }
            try take(name, value)
        }
    }

    private static let takesValue: Set<String> = [
        "-n", "--namespace", "-l", "--selector", "--field-manager", "--grace-period", "--timeout",
    ]
    /// What is so in any case, or changes nothing in what the API is asked for.
    private static let without: Set<String> = [
        "--ignore-not-found", "--wait", "--server-side", "--timeout", "--save-config", "--record",
        "--overwrite",
    ]

    private mutating func take(_ name: String, _ value: String?) throws(PodProblem) {
        switch name {
        case "-n", "--namespace": namespace = value
        case "-l", "--selector": selector = value
        case "--field-manager": fieldManager = value ?? fieldManager
        case "--force-conflicts": forcesConflicts = value != "false"
        case "--now": graceSeconds = 1
        case "--grace-period":
            guard let seconds = value.flatMap({ Int($0) }) else {
                throw PodProblem("resource.flags: \(name) wants a number of seconds")
            }
            graceSeconds = seconds < 0 ? nil : seconds
        case "--cascade":
            let kinds = [
                "background": "Background", "foreground": "Foreground", "orphan": "Orphan",
                "true": "Background", "false": "Orphan",
            ]
            guard let kind = kinds[value ?? "background"] else {
                throw PodProblem("resource.flags: \(name) is background, foreground or orphan")
            }
            propagation = kind
        case "--validate":
            let kinds = [
                "true": "Strict", "strict": "Strict", "warn": "Warn", "false": "Ignore", "ignore": "Ignore",
            ]
            guard let kind = kinds[value ?? "true"] else {
                throw PodProblem("resource.flags: \(name) is strict, warn or ignore")
            }
            validation = kind
        case _ where Self.without.contains(name): break
        default:
            throw PodProblem(
                "resource.flags: \(name) cannot be done, since no kubectl runs here; there are -n, -l, --validate, "
                    + "--cascade, --grace-period, --now, --field-manager and --force-conflicts, and KIND NAME")
        }
    }
}
