// One line on a terminal that says how far something has come; nothing where there is no terminal.

import Glibc

/// A line that is drawn over itself on standard error.
struct ProgressLine {
    private let label: String
    private let isOn = isatty(STDERR_FILENO) == 1

    init(_ label: String) { self.label = label }

    func show(_ done: Int, of total: Int) {
        guard isOn, total > 0 else { return }
        let width = 30
        let filled = width * done / total
        let bar = String(repeating: "=", count: filled) + String(repeating: " ", count: width - filled)
        Output.errorRaw("\r\(label) [\(bar)] \(done)/\(total)")
    }

    /// Takes the line away.
    func finish() {
        if isOn { Output.errorRaw("\r\u{1B}[K") }
    }
}
