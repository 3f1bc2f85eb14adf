// What `quantize` shows: how far it is, and what came of it.

import Glibc
import Models
import Text
import Training

/// One line on a terminal with the time that is left; elsewhere a line for each layer.
final class QuantizeProgress {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var shownLayer = -1
    private let say: (String) -> Void

    init(say: @escaping (String) -> Void = Output.note) { self.say = say }

    func show(_ progress: QuantizationProgress, seconds: Double) {
        let (done, total) = (progress.layer, progress.layerCount)
        let left = done > 0 ? seconds / Double(done) * Double(total - done) : nil
        let remaining = left.map { ", \(Self.text($0)) left" } ?? ""
        if isTerminal {
            let what = progress.module.isEmpty ? progress.phase.rawValue : progress.module
            Output.errorRaw("\r\u{1B}[Klayer \(min(done + 1, total))/\(total)\(remaining): \(what)")
        } else if done != shownLayer {
            shownLayer = done
            if done > 0 { say("layer \(done)/\(total) done\(done < total ? remaining : "")") }
        }
    }

    /// Takes the line away.
    func finish() {
        if isTerminal { Output.errorRaw("\r\u{1B}[K") }
    }

    static func text(_ seconds: Double) -> String {
        let seconds = Int(min(max(seconds, 0), 1e9).rounded())
        if seconds < 60 { return "\(seconds)s" }
        return seconds < 3600
            ? "\(seconds / 60)m \(seconds % 60)s" : "\(seconds / 3600)h \(seconds / 60 % 60)m"
    }
}

enum QuantizeSummary {
    /// A table of the layers, and the figures of the whole.
    static func lines(_ report: QuantizationReport) -> [String] {
        var table = TextTable(padding: 2)
        table.add(["MODULE", "SHAPE", "OUTPUT ERROR", "WEIGHT ERROR", "SIZE"])
        for module in report.modules {
            table.add([
                module.name, "\(module.outputs)x\(module.inputs)",
                module.relativeOutputError.map(percent) ?? "-", percent(module.relativeWeightError),
                "\(TrainingEstimate.text(module.bytesBefore)) -> \(TrainingEstimate.text(module.bytesAfter))",
            ])
        }
        var lines = table.lines
        let (before, after) = (
            TrainingEstimate.text(report.bytesBefore), TrainingEstimate.text(report.bytesAfter)
        )
        let share = ratio(report.linearBytesAfter, report.linearBytesBefore)
        lines.append("size \(before) -> \(after), quantized layers \(share) of their size")
        if let before = report.perplexityBefore, let after = report.perplexityAfter {
            let tokens = report.heldOutTokens
            lines.append("perplexity \(rounded(before)) -> \(rounded(after)) of \(tokens) held-out tokens")
        }
        lines.append(
            "took \(QuantizeProgress.text(report.seconds)), "
                + "at most \(TrainingEstimate.text(report.peakBytes)) of memory")
        return lines
    }

    private static func percent(_ share: Double) -> String { "\(rounded(share * 100))%" }

    private static func rounded(_ value: Double) -> String {
        value.isFinite ? String((value * 1000).rounded() / 1000) : "-"
    }

    private static func ratio(_ after: Int, _ before: Int) -> String {
        before > 0 ? String((Double(after) / Double(before) * 1000).rounded() / 1000) : "-"
    }
}
