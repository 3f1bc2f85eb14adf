// The options that choose among stored runs; `list` and `delete` share them.

import ArgumentParser
import Controller
import Persistence
import Text

struct RunFilter: ParsableArguments {
    /// Words of `--status`, and the phases that runs are stored with; "" is a run that nothing has looked at.
    private static let statuses = ["Pending", "Running", "Succeeded", "Failed", "Error"]

    @Option(help: ArgumentHelp("Only these statuses: Running,Failed.", valueName: "STATUS,..."))
    var status: String?

    @Flag(help: "Only runs that have ended.")
    var completed = false

    @Flag(help: "Only runs that have not ended.")
    var running = false

    @Option(help: ArgumentHelp("Only runs that ended longer ago than this: 30m, 3h, 7d.", valueName: "SPAN"))
    var older: String?

    @Option(help: ArgumentHelp("Only runs created since this long ago: 30m, 3h, 7d.", valueName: "SPAN"))
    var since: String?

    @Option(help: "Only names that begin with this.")
    var prefix: String?

    @Option(
        name: [.customShort("l"), .long],
        help: ArgumentHelp("Labels: a=b,c!=d,e in (f,g),!h.", valueName: "LABELS"))
    var selector: String?

    /// Whether any option was given.
    var isSet: Bool {
        status != nil || completed || running || older != nil || since != nil || prefix != nil
            || selector != nil
    }

    /// - Parameter namespace: nil for all.
    func query(namespace: String?, now: Timestamp) throws -> WorkflowQuery {
        var query = WorkflowQuery(namespace: namespace, archived: false, limit: 1_000)
        query.phases = try phases()
        do throws(OperationError) {
            if let selector { query.labels = try LabelSelector.parse(selector) }
        } catch {
            throw CommandError(error.message, status: 64)
        }
        query.namePrefix = prefix
        if let since { query.createdAfter = try now - Self.span(since, "--since") }
        if let older { query.finishedBefore = try now - Self.span(older, "--older") }
        return query
    }

    private func phases() throws -> Set<String> {
        guard !(completed && running) else {
            throw CommandError("give --completed or --running, not both", status: 64)
        }
        var phases: Set<String> = []
        for word in (status ?? "").split(separator: ",") {
            guard let known = Self.statuses.first(where: { $0.lowercased() == word.lowercased() }) else {
                let words = Self.statuses.joined(separator: ", ")
                throw CommandError(
                    "\"\(word)\" is no status of a workflow; it is one of \(words)", status: 64)
            }
            phases.insert(known)
            if known == "Pending" { phases.insert("") }
        }
        let wanted: Set<String> =
            completed ? ["Succeeded", "Failed", "Error"] : running ? ["", "Pending", "Running"] : []
        guard !phases.isEmpty, !wanted.isEmpty else { return phases.union(wanted) }
        let both = phases.intersection(wanted)
        guard !both.isEmpty else {
            throw CommandError(
                "no workflow is both --status \(status ?? "") and "
                    + (completed ? "--completed" : "--running"), status: 64)
        }
        return both
    }

    private static func span(_ text: String, _ option: String) throws -> Duration {
        guard let span = HumanTime.parse(text) else {
            throw CommandError("\(option) \(text): write a span such as 30m, 3h or 7d", status: 64)
        }
        return span
    }
}

extension Timestamp {
    fileprivate static func - (moment: Timestamp, span: Duration) -> Timestamp { moment + (.zero - span) }
}

extension Store {
    /// All runs that meet a query, newest first, page by page.
    func allWorkflows(_ query: WorkflowQuery, limit: Int? = nil) async throws -> [WorkflowSummary] {
        var query = query
        var found: [WorkflowSummary] = []
        while true {
            let page = try await workflows(query)
            found += page.workflows
            if let limit, found.count >= limit { return Array(found.prefix(limit)) }
            guard let next = page.next else { return found }
            query.after = next
        }
    }
}
