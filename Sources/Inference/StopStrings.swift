// Finds stop strings in text that arrives piece by piece, and holds back what may turn out to be the
// beginning of one.

/// Watches the output of one request. What it says does not depend on how the text was cut into pieces: the
/// stop string counts that is complete first, and of those that end at the same place the longest.
///
/// It compares bytes of UTF-8, since Swift's characters would see "e" followed by an accent as another
/// letter.
package struct StopStrings: Sendable {
    /// Text that may be shown, and the stop string that ended it, if one did.
    package struct Output: Sendable, Hashable {
        package var text: String
        package var stoppedBy: String?

        package init(text: String, stoppedBy: String? = nil) {
            self.text = text
            self.stoppedBy = stoppedBy
        }
    }

    /// One stop string, with the failure function of Knuth, Morris and Pratt: for each number of matching
    /// bytes, how many still match if the next one does not.
    private struct Pattern: Sendable {
        let text: String
        let bytes: [UInt8]
        let fallbacks: [Int]
        var matched = 0

        init(_ text: String) {
            self.text = text
            bytes = Array(text.utf8)
            var fallbacks = [0, 0]
            var length = 0
            for byte in bytes.dropFirst() {
                while length > 0 && bytes[length] != byte { length = fallbacks[length] }
                if bytes[length] == byte { length += 1 }
                fallbacks.append(length)
            }
            self.fallbacks = fallbacks
        }

        /// Takes the next byte; true if the pattern is complete with it.
        mutating func advance(_ byte: UInt8) -> Bool {
            while matched > 0 && bytes[matched] != byte { matched = fallbacks[matched] }
            if bytes[matched] == byte { matched += 1 }
            return matched == bytes.count
        }
    }

    private var patterns: [Pattern]
    private let isIncluded: Bool
    private var held: [UInt8] = []
    private var hasStopped = false

    /// - Parameters:
    ///   - strings: empty ones are ignored.
    ///   - includeInOutput: whether the stop string itself is shown.
    package init(_ strings: [String], includeInOutput: Bool = false) {
        // Longest first: of several that end at the same byte it is the first that counts.
        patterns = strings.filter { !$0.isEmpty }.map(Pattern.init)
        patterns.sort { $0.bytes.count > $1.bytes.count }
        isIncluded = includeInOutput
    }

    /// Takes the next piece of text. After a stop string there is no more output.
    package mutating func append(_ text: String) -> Output {
        guard !hasStopped else { return Output(text: "") }
        if patterns.isEmpty { return Output(text: text) }
        for byte in text.utf8 {
            held.append(byte)
            var finished: Int?
            for index in patterns.indices where patterns[index].advance(byte) && finished == nil {
                finished = index
            }
            guard let finished else { continue }
            hasStopped = true
            if !isIncluded { held.removeLast(patterns[finished].bytes.count) }
            return Output(text: release(held.count), stoppedBy: patterns[finished].text)
        }
        // A stop string begins with the first byte of a character, so that this cuts between characters.
        return Output(text: release(held.count - (patterns.map(\.matched).max() ?? 0)))
    }

    /// What is still held back, when the output ended for another reason.
    package mutating func finish() -> String {
        hasStopped = true
        return release(held.count)
    }

    private mutating func release(_ count: Int) -> String {
        let text = String(decoding: held[..<count], as: UTF8.self)
        held.removeFirst(count)
        return text
    }
}
