// What an exit code means, in words, and what in a log most likely says why a step failed.

enum ExitExplanation {
    /// What Martlet's own steps and shells mean by a code.
    private static let codes: [Int: String] = [
        0: "The command ended well.",
        1: "The command ended with a general error; the log says more.",
        2: "The command was called wrongly, or its parameters are bad.",
        65: "The input data is bad; the log says where.",
        75: "The step was interrupted after it had saved its state; a retry goes on from the checkpoint.",
        86:
            "Memory ran out. A retry with half the micro batch, or annotation martlet.dev/oom: adapt, may help.",
        87: "Training diverged: the loss became infinite or not a number. Try a smaller learning rate.",
        125: "The step could not be started by its supervisor.",
        126: "The command was found, but could not be run: it is no program, or may not be executed.",
        127: "The command was not found. Check its name, and that it is in PATH inside the step.",
        128: "The command called exit with something that is no exit code.",
    ]
    private static let signals: [Int: String] = [
        1: "SIGHUP: its terminal or session went away", 2: "SIGINT: it was interrupted",
        3: "SIGQUIT: it was told to quit", 4: "SIGILL: it used an instruction that this processor lacks",
        5: "SIGTRAP: a trap, such as a failed check in a Swift program",
        6: "SIGABRT: it aborted itself, after a failed assertion for example",
        7: "SIGBUS: it touched memory or a mapped file that is not there",
        8: "SIGFPE: an arithmetic error, such as a division by zero",
        9: "SIGKILL: it was killed, by a person, a limit, or the system because memory ran out",
        11: "SIGSEGV: it touched memory that is not its own", 13: "SIGPIPE: nobody read its output any more",
        14: "SIGALRM: its own timer ended it", 15: "SIGTERM: it was asked to end and did",
        24: "SIGXCPU: it used more processor time than allowed",
        25: "SIGXFSZ: it wrote a larger file than allowed",
        31: "SIGSYS: it made a system call that is forbidden",
    ]

    /// Two sentences at most; nil where there is nothing to explain.
    static func words(_ code: Int?) -> String? {
        guard let code else { return nil }
        if let words = codes[code] { return words }
        if code > 128, code <= 192 {
            let number = code - 128
            let words = signals[number] ?? "signal \(number)"
            return "The command was ended by a signal (\(words)); exit code \(code) is 128 plus \(number)."
        }
        return "The command ended with code \(code), whose meaning is its own; the log says more."
    }
}

enum LikelyCause {
    /// Signs of memory that ran out, as frameworks and the system write them.
    private static let memorySigns = [
        "CUDA out of memory", "OutOfMemoryError", "HIP out of memory", "MemoryError",
        "Cannot allocate memory",
        "std::bad_alloc", "Out of memory: Killed process", "CUBLAS_STATUS_ALLOC_FAILED",
        "RESOURCE_EXHAUSTED",
    ]
    private static let missingSigns = [
        "ModuleNotFoundError", "ImportError", "command not found", "No such file or directory",
        "FileNotFoundError", "Permission denied", "No space left on device", "Connection refused",
        "Could not resolve host", "Name or service not known", "CUDA driver version is insufficient",
        "no kernel image is available",
    ]

    /// - Parameters:
    ///   - message: the node's own.
    ///   - lines: the last of its log, in order.
    /// - Returns: a line of text for people; nil if nothing stands out.
    static func line(message: String, lines: [String]) -> String? {
        if message.hasPrefix("OOMKilled") {
            return "The system killed the step because it used more memory than it may."
        }
        let texts = lines.map(trimmed)
        if let line = texts.last(where: { line in memorySigns.contains { contains(line, $0) } }) {
            return cut("Memory ran out: " + line)
        }
        if let line = lastOfTraceback(lines) { return cut(line) }
        if let line = texts.last(where: { line in missingSigns.contains { contains(line, $0) } }) {
            return cut(line)
        }
        let words = ["error:", "fatal:", "panic:", "exception:", "fatal error"]
        return texts.last { line in
            let folded = line.lowercased()
            return words.contains { contains(folded, $0) }
        }.map(cut)
    }

    /// The line that names the exception behind the last traceback of Python.
    private static func lastOfTraceback(_ lines: [String]) -> String? {
        guard let begin = lines.lastIndex(where: { contains($0, "Traceback (most recent call last)") }) else {
            return nil
        }
        // Frames are indented; the first line that is not names the exception.
        let exception = lines[(begin + 1)...].first { $0.first.map { !$0.isWhitespace } ?? false }
        return exception.map(trimmed)
    }

    private static func contains(_ text: String, _ part: String) -> Bool {
        let (text, part) = (Array(text.utf8), Array(part.utf8))
        guard text.count >= part.count, let first = part.first else { return false }
        for start in 0...(text.count - part.count) where text[start] == first {
            if text[start..<(start + part.count)].elementsEqual(part) { return true }
        }
        return false
    }

    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while let first = text.first, first.isWhitespace { text = text.dropFirst() }
        while let last = text.last, last.isWhitespace { text = text.dropLast() }
        return String(text)
    }

    private static func cut(_ text: String) -> String {
        text.count <= 400 ? text : String(text.prefix(400)) + "..."
    }
}
