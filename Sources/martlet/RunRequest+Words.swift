// The usual words of `martlet run`, read without the general parser: that needs some six milliseconds to learn what all
// options of the command look like, which is a quarter of the way from a submission to its first process.

extension RunRequest {
    /// The request that the program's words make; nil for words that are not those of `run`, or in any way unusual:
    /// the general parser then reads them, or says what is wrong. Both agree on every line that this one takes.
    init?(words: [String]) {
        guard words.first == "run" else { return nil }
        self.init()
        var rest = words.dropFirst()
        var seen: Set<String> = []
        while let word = rest.popFirst() {
            guard word.hasPrefix("-") else {
                guard file == nil, !word.isEmpty else { return nil }
                file = word
                continue
            }
            if word == "--no-wait" {
                waits = false
                continue
            }
            guard let value = rest.popFirst(), !value.hasPrefix("-"), take(value, of: word, &seen) else {
                return nil
            }
        }
        guard (file == nil) != (resume == nil) else { return nil }
    }

    /// Whether the option is a usual one, given for the first time unless it may be repeated.
    private mutating func take(_ value: String, of word: String, _ seen: inout Set<String>) -> Bool {
        switch word {
        case "-p", "--parameter":
            submission.parameter.append(value)
            return true
        case "--load":
            submission.load.append(value)
            return true
        case "-o", "--output":
            guard let output = RunOutput(rawValue: value) else { return false }
            self.output = output
            return seen.insert("output").inserted
        case "-n", "--namespace":
            data.namespace = value
            return seen.insert("namespace").inserted
        case "--data-dir": data.directory = value
        case "--name": submission.name = value
        case "--resume": resume = value
        default: return false
        }
        return seen.insert(word).inserted
    }
}
