// How far a run has come, as a line for people: drawn over itself on a terminal, a plain line a log line
// elsewhere.

import Glibc

/// What the line shows.
struct ProgressFigures: Sendable, Hashable {
    var step: Int
    var maxSteps: Int
    var loss: Double
    var learningRate: Double
    /// Learned tokens of this process over its time.
    var tokensPerSecond: Double
    var elapsedSeconds: Double
    /// nil before a step was timed.
    var leftSeconds: Double?
    var memory: ResidentMemory

    var text: String {
        let percent = maxSteps > 0 ? min(100, 100 * step / maxSteps) : 0
        var parts = [
            "\(step)/\(maxSteps)", "\(percent)%", "loss \(FixedPoint.text(loss, places: 4))",
            "lr \(FixedPoint.scientific(learningRate, places: 2))",
            "\(FixedPoint.text(tokensPerSecond, places: tokensPerSecond < 10 ? 1 : 0)) tokens/s",
            "elapsed \(DurationText.of(seconds: elapsedSeconds))",
        ]
        if let leftSeconds { parts.append("left \(DurationText.of(seconds: leftSeconds))") }
        if memory.peakBytes > 0 {
            parts.append(
                "memory \(ByteText.of(memory.currentBytes)) (peak \(ByteText.of(memory.peakBytes)))")
        }
        return parts.joined(separator: "  ")
    }
}

/// Draws progress. It writes nothing but what it hands to `write`.
package struct ProgressDisplay {
    package enum Style: Sendable, Hashable {
        /// The columns of the terminal; a line that wraps could not be drawn over.
        case terminal(columns: Int)
        case plain
    }

    /// Drawing more often only costs time.
    static let intervalSeconds = 0.2

    package let style: Style
    private let write: (String) -> Void
    private var lastDrawing: Double?
    /// A line without its end stands on the terminal.
    private var isDrawn = false

    package init(style: Style, write: @escaping (String) -> Void) {
        self.style = style
        self.write = write
    }

    /// The terminal that standard error is, or a plain stream.
    package static func standardError() -> ProgressDisplay {
        var size = winsize()
        var style = Style.plain
        if isatty(STDERR_FILENO) == 1 {
            let isKnown = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1
            style = .terminal(columns: isKnown ? Int(size.ws_col) : 80)
        }
        return ProgressDisplay(style: style) { text in
            // Progress that nobody can see any more is no reason to stop.
            let bytes = Array(text.utf8)
            _ = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
        }
    }

    /// - Parameters:
    ///   - isLogLine: a line of the log was written for this step.
    ///   - figures: asked for only if something is drawn.
    mutating func show(isLogLine: Bool, isLast: Bool, now: Double, figures: () -> ProgressFigures) {
        switch style {
        case .plain:
            if isLogLine || isLast { write(figures().text + "\n") }
        case .terminal(let columns):
            if let lastDrawing, now - lastDrawing < Self.intervalSeconds, now >= lastDrawing, !isLast {
                return
            }
            lastDrawing = now
            isDrawn = true
            // The text is ASCII, so that characters are columns.
            write("\r\(figures().text.prefix(max(1, columns - 1)))\u{1B}[K")
        }
    }

    /// Another line for people, above the progress.
    mutating func note(_ text: String) {
        write(isDrawn ? "\r\u{1B}[K\(text)\n" : "\(text)\n")
        isDrawn = false
        lastDrawing = nil
    }

    /// Ends the line, so that what follows begins on one of its own.
    mutating func finish() {
        if isDrawn { write("\n") }
        isDrawn = false
    }
}
