// What the database takes out of a run's definition, to find runs by it: arguments, and when a run may go.

package import Text

/// The arguments of a run, as lists show and filter them.
enum RunArguments {
    /// Arguments of one run that can be searched for.
    static let limit = 256
    /// Characters of a value that are kept; of longer ones the beginning.
    static let valueLimit = 1_024

    /// The arguments of a stored definition in their order; of several with one name the first.
    static func parameters(of manifest: JSONValue) -> [(name: String, value: String)] {
        var found: [(name: String, value: String)] = []
        var names: Set<String> = []
        for parameter in manifest["spec"]?["arguments"]?["parameters"]?.arrayValue ?? [] {
            guard let name = parameter["name"]?.scalarText, let value = parameter["value"]?.scalarText,
                names.insert(name).inserted
            else { continue }
            found.append((name, cut(value)))
            if found.count == limit { break }
        }
        return found
    }

    static func cut(_ value: String) -> String {
        guard value.utf8.count > valueLimit else { return value }
        return String(String.UnicodeScalarView(value.unicodeScalars.prefix(valueLimit)))
    }
}

/// How long an ended run is kept by its own wish: `ttlStrategy`.
package struct TimeToLive: Sendable, Hashable {
    package var secondsAfterSuccess: Int?
    package var secondsAfterFailure: Int?

    /// The wish of a stored definition; nil if it has none. What is not a number, or below zero, is no wish.
    package init?(manifest: JSONValue) {
        guard let strategy = manifest["spec"]?["ttlStrategy"], strategy.objectValue != nil else { return nil }
        func seconds(_ key: String) -> Int? {
            strategy[key]?.scalarText.flatMap { Int($0) }.flatMap { $0 < 0 ? nil : $0 }
        }
        let always = seconds("secondsAfterCompletion")
        secondsAfterSuccess = seconds("secondsAfterSuccess") ?? always
        secondsAfterFailure = seconds("secondsAfterFailure") ?? always
        if secondsAfterSuccess == nil && secondsAfterFailure == nil { return nil }
    }

    init(secondsAfterSuccess: Int?, secondsAfterFailure: Int?) {
        self.secondsAfterSuccess = secondsAfterSuccess
        self.secondsAfterFailure = secondsAfterFailure
    }

    /// When a run may be deleted that ended so; nil for never.
    package func expiry(phase: String, finishedAt: Timestamp) -> Timestamp? {
        let seconds = phase == "Succeeded" ? secondsAfterSuccess : secondsAfterFailure
        return seconds.map { finishedAt + .seconds($0) }
    }
}
