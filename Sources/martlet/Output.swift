// Writing to the terminal: results to standard output, everything else to standard error.

import Glibc
import Text

enum Output {
    /// Colours only on a terminal, and not when NO_COLOR is set.
    static let colorsStandardOutput = isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == nil
    static let colorsStandardError = isatty(STDERR_FILENO) == 1 && getenv("NO_COLOR") == nil

    /// Writes a line to standard output.
    static func line(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }

    /// Writes text to standard output as it is.
    static func text(_ text: String) { write(text, to: STDOUT_FILENO) }

    /// Writes a note for people to standard error.
    static func note(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

    static func errorText(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

    /// Writes to standard error as it is: what moves the cursor.
    static func errorRaw(_ text: String) { write(text, to: STDERR_FILENO) }

    static func error(_ text: String) {
        let label = colorsStandardError ? "\u{1B}[31merror:\u{1B}[0m" : "error:"
        write("\(label) \(text)\n", to: STDERR_FILENO)
    }

    static func warning(_ text: String) {
        let label = colorsStandardError ? "\u{1B}[33mwarning:\u{1B}[0m" : "warning:"
        write("\(label) \(text)\n", to: STDERR_FILENO)
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
            } else if errno != EINTR && errno != EAGAIN {
                return
            }
        }
    }
}
