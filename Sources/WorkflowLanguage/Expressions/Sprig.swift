// The functions that expressions reach as `sprig.NAME(...)`, under the names and argument orders of
// github.com/Masterminds/sprig v3, generic function map. Each group of them has a file of its own.

import Text

/// Sprig's functions. They are pure: time and randomness come from the context.
enum Sprig {
    /// Answers one call.
    ///
    /// - Throws: for an unknown or refused name, a wrong number or kind of arguments, for what makes the Go
    ///   function panic or return an error, and when the context has no work left.
    static func call(
        name: String, arguments: [ExpressionValue], context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        guard let entry = table[name] else { throw unknown(name) }
        var call = SprigCall(
            name: name, parameters: entry.parameters, arguments: arguments, context: context)
        // The seed and the work done count even when the call fails, so they are copied back on both ways.
        defer { context = call.context }
        try call.checkCount()
        try call.spendReading()
        return try entry.group(&call)
    }

    /// Whether `call` can answer the name; false for the refused ones.
    static func exists(_ name: String) -> Bool { table[name] != nil }

    /// The names that `call` can answer, sorted.
    static let names: [String] = table.keys.sorted()

    typealias Group = @Sendable (inout SprigCall) throws(ExpressionError) -> ExpressionValue

    private struct Entry: Sendable {
        let parameters: SprigParameters
        let group: Group
    }

    private static let table: [String: Entry] = {
        let groups: [([String: String], Group)] = [
            (SprigStrings.signatures, SprigStrings.call),
            (SprigCasing.signatures, SprigCasing.call),
            (SprigLayout.signatures, SprigLayout.call),
            (SprigStringLists.signatures, SprigStringLists.call),
            (SprigIntegers.signatures, SprigIntegers.call),
            (SprigFloats.signatures, SprigFloats.call),
            (SprigConversions.signatures, SprigConversions.call),
            (SprigDates.signatures, SprigDates.call),
            (SprigDefaults.signatures, SprigDefaults.call),
            (SprigLists.signatures, SprigLists.call),
            (SprigDicts.signatures, SprigDicts.call),
            (SprigRegex.signatures, SprigRegex.call),
            (SprigPaths.signatures, SprigPaths.call),
            (SprigVersions.signatures, SprigVersions.call),
            (SprigEncodings.signatures, SprigEncodings.call),
            (SprigURLs.signatures, SprigURLs.call),
            (SprigRandom.signatures, SprigRandom.call),
        ]
        var table: [String: Entry] = [:]
        for (signatures, group) in groups {
            for (name, signature) in signatures {
                precondition(table[name] == nil, "two groups have a sprig function \(name)")
                table[name] = Entry(parameters: SprigParameters(signature), group: group)
            }
        }
        return table
    }()

    /// Why some of sprig's functions are not here, and what to do instead.
    private static let refused: [String: String] = {
        let environment =
            "expressions do not see the engine's environment; pass the value as a workflow parameter"
        let network = "expressions do no network access; look the address up in a step and use its output"
        let keys =
            "keys and certificates made in an expression would be stored in the workflow's status; "
            + "make them in a step or keep them in a secret"
        let passwords =
            "passwords in an expression would be stored in the workflow's status; "
            + "hash or encrypt them in a step"
        return [
            "env": environment, "expandenv": environment, "getHostByName": network,
            "genPrivateKey": keys, "buildCustomCert": keys, "genCA": keys, "genCAWithKey": keys,
            "genSelfSignedCert": keys, "genSelfSignedCertWithKey": keys, "genSignedCert": keys,
            "genSignedCertWithKey": keys, "derivePassword": passwords, "htpasswd": passwords,
            "bcrypt": passwords, "encryptAES": passwords, "decryptAES": passwords,
        ]
    }()

    private static func unknown(_ name: String) -> ExpressionError {
        if let reason = refused[name] { return ExpressionError("sprig.\(name) is not available: \(reason)") }
        if let near = EditDistance.nearest(to: name, in: names) {
            return ExpressionError("there is no function sprig.\(name); did you mean sprig.\(near)?")
        }
        return ExpressionError("there is no function sprig.\(name)")
    }
}
