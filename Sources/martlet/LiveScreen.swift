// The live tree on a terminal: drawn over itself, at most a few times a second.

import Glibc
import Scheduling
import Text

struct LiveScreen {
    /// How often the tree is drawn again at most; long trees less often.
    private static let interval = Duration.milliseconds(200)

    private let isOn: Bool
    private var drawnLines = 0
    private var nextDraw: Timestamp?

    init(isOn: Bool) { self.isOn = isOn }

    /// Whether enough time has passed since the last drawing.
    var isDue: Bool { isOn && (nextDraw.map { $0 <= Environment.now() } ?? true) }

    mutating func draw(_ state: WorkflowState) {
        guard isDue else { return }
        let now = Environment.now()
        var options = TreeOptions(isColored: true, now: now)
        options.width = Self.terminalSize.columns
        let text = TreeRenderer.renderTreeOnly(state: state, options: options)
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let height = Self.terminalSize.rows
        if lines.count > height - 1 { lines = Array(lines.suffix(height - 1)) }
        clear()
        Output.note(lines.joined(separator: "\n"))
        drawnLines = lines.count
        nextDraw = now + (state.nodes.count > 5_000 ? .seconds(2) : Self.interval)
    }

    /// Takes the tree off the screen again.
    mutating func clear() {
        guard drawnLines > 0 else { return }
        Output.errorText("\u{1B}[\(drawnLines)A\u{1B}[J\u{1B}[1A")
        drawnLines = 0
    }

    private static var terminalSize: (rows: Int, columns: Int) {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 1, size.ws_col > 1 else {
            return (24, 80)
        }
        return (Int(size.ws_row), Int(size.ws_col))
    }
}
