// Which attempts a retry strategy's limit counts, and what the next attempt has instead of what ran out of memory.
// Templates that say nothing of ours are counted as Argo counts them.

import Text
import WorkflowLanguage

enum RetryCount {
    /// The annotation that lets an attempt have a smaller batch than the one that ran out of memory.
    static let memoryAnnotation = "martlet.dev/oom"

    static func adapts(_ template: Template) -> Bool {
        template.metadata.annotations[memoryAnnotation] == "adapt"
    }

    /// Whether failures of machines are not counted: for Martlet's own steps, and where adapting was asked for.
    private static func knowsClasses(_ template: Template) -> Bool {
        if case .martlet = template.kind { return true }
        return adapts(template)
    }

    /// How many of the attempts, all of which have ended badly, count against the limit.
    /// - Parameter lostLimit: so many failures of machines are not counted; more are no accident.
    static func counted(_ attempts: [Node], _ template: Template, lostLimit: Int) -> Int {
        guard knowsClasses(template) else { return attempts.count }
        var counted = 0
        var spared = 0
        for attempt in attempts {
            switch attempt.failureClass {
            case .infrastructure where spared < lostLimit: spared += 1
            // The next one is another attempt, at something smaller; sizes end at one row.
            case .memory where smaller(template, after: attempt) != nil: continue
            default: counted += 1
            }
        }
        return counted
    }

    /// The batch of the attempt after this one; nil for the template's own.
    static func batchSize(_ template: Template, after last: Node) -> BatchSize? {
        guard adapts(template) else { return nil }
        return smaller(template, after: last) ?? last.batchSize
    }

    /// A smaller batch, if it was memory that the attempt lacked and there is one.
    private static func smaller(_ template: Template, after last: Node) -> BatchSize? {
        guard adapts(template), last.failureClass == .memory else { return nil }
        return (last.batchSize ?? BatchSize(of: template))?.halved
    }

    /// Why another attempt could only end in the same way; nil if it may not.
    static func refusal(_ template: Template, _ last: Node) -> String? {
        if adapts(template), last.failureClass == .memory, smaller(template, after: last) == nil,
            let size = last.batchSize ?? BatchSize(of: template)
        {
            return "out of memory with \(size.text), and a single row cannot be halved; "
                + "shorten max_length, or see martlet sft --dry_run for what would help"
        }
        if case .martlet = template.kind, let code = last.outputs.exitCode, sameAgain.contains(code) {
            return last.message + "; another attempt would end in the same way"
        }
        return nil
    }

    /// Exit codes of our own steps that depend on parameters and data alone: bad parameters, bad data.
    private static let sameAgain: Set<String> = ["2", "65"]
}
