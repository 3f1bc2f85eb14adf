// How far a download has come: a line that is drawn over itself on a terminal, now and then one elsewhere.

import Artifacts
import Glibc
import Synchronization
import Text

/// Shows the progress of one download. Calls may come from any thread.
final class DownloadDisplay: Sendable {
    enum Style: Sendable, Hashable {
        /// The columns of the terminal; a line that wraps could not be drawn over.
        case terminal(columns: Int)
        case plain
        case none

        /// What standard error is.
        static func standardError() -> Style {
            guard isatty(STDERR_FILENO) == 1 else { return .plain }
            var size = winsize()
            let isKnown = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1
            return .terminal(columns: isKnown ? Int(size.ws_col) : 80)
        }

        /// Drawing more often only costs time.
        var interval: Duration {
            switch self {
            case .terminal: .milliseconds(200)
            case .plain: .seconds(10)
            case .none: .seconds(1_000_000_000)
            }
        }
    }

    private struct State {
        var lastDrawing: Duration?
        var lastSaving: Duration?
        var isDrawn = false
        var wasWaiting = false
    }

    private let name: String
    private let style: Style
    private let progressFile: String?
    private let now: @Sendable () -> Duration
    private let write: @Sendable (String) -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - progressFile: gets `N/M`, as Argo shows it.
    ///   - now: time since some fixed moment.
    init(
        name: String, style: Style, progressFile: String? = nil,
        now: @escaping @Sendable () -> Duration = DownloadClock.system.now,
        write: @escaping @Sendable (String) -> Void = { Output.errorRaw($0) }
    ) {
        self.name = DownloadReport.shown(name)
        self.style = style
        self.progressFile = progressFile
        self.now = now
        self.write = write
        // A short download needs no line of a log.
        if style == .plain { state.withLock { $0.lastDrawing = now() } }
    }

    func show(_ progress: SnapshotProgress) {
        let time = now()
        state.withLock { state in
            save(progress, time, &state)
            let startsWaiting = progress.isWaiting && !state.wasWaiting
            state.wasWaiting = progress.isWaiting
            if let last = state.lastDrawing, time - last < style.interval, !startsWaiting { return }
            state.lastDrawing = time
            switch style {
            case .none: break
            case .plain: write("\(Self.text(name, progress))\n")
            case .terminal(let columns):
                state.isDrawn = true
                write("\r\(Self.text(name, progress).prefix(max(1, columns - 1)))\u{1B}[K")
            }
        }
    }

    /// Takes the line away.
    func finish() {
        state.withLock { state in
            if state.isDrawn { write("\r\u{1B}[K") }
            state.isDrawn = false
        }
    }

    /// `Qwen/Qwen2.5-0.5B  3/9 files  1.2 GB of 4.5 GB (26 %)  45.3 MB/s  1m13s left`
    static func text(_ name: String, _ progress: SnapshotProgress) -> String {
        var parts = [name, "\(progress.filesDone)/\(progress.filesTotal) files"]
        let (done, total) = (progress.bytesDone, progress.bytesTotal)
        parts.append(
            total > 0
                ? "\(ByteCount.text(done)) of \(ByteCount.text(total)) (\(percent(done, of: total)) %)"
                : ByteCount.text(done))
        if progress.isWaiting {
            parts.append("waiting for another process that fetches the same")
        } else if progress.bytesPerSecond >= 1 {
            parts.append("\(ByteCount.text(Int(min(progress.bytesPerSecond, 1e15))))/s")
            let seconds = Double(max(0, total - done)) / progress.bytesPerSecond
            if seconds < 1e7 { parts.append("\(span(Int(seconds))) left") }
        }
        return parts.joined(separator: "  ")
    }

    private static func percent(_ done: Int, of total: Int) -> Int {
        min(100, Int(Double(done) / Double(total) * 100))
    }

    /// `12s`, `1m13s`, `2h05m`.
    static func span(_ seconds: Int) -> String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        if seconds < 60 { return "\(seconds)s" }
        if seconds < 3600 { return "\(seconds / 60)m\(two(seconds % 60))s" }
        return "\(seconds / 3600)h\(two(seconds / 60 % 60))m"
    }

    private func save(_ progress: SnapshotProgress, _ time: Duration, _ state: inout State) {
        guard let progressFile, !progressFile.isEmpty, progress.bytesTotal > 0 else { return }
        let isLast = progress.filesDone == progress.filesTotal
        if let last = state.lastSaving, time - last < .seconds(2), !isLast { return }
        state.lastSaving = time
        // Parts of a hundred: Argo adds up the numbers of all steps, and bytes would outweigh the others.
        let text = "\(Self.percent(progress.bytesDone, of: progress.bytesTotal))/100\n"
        try? Disk.write(Array(text.utf8), to: progressFile)
    }
}
