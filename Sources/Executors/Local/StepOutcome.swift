// Says how an attempt ended, from its supervisor's result: the phase, the words and the class of failure, as
// Argo has them where Argo has any.

import Artifacts
import Glibc
import Scheduling
import Text
import WorkflowLanguage

struct StepOutcome {
    let plan: StepPlan
    let result: AttemptResult
    let transfer: ArtifactTransfer

    /// How much of a failed step's log is searched for signs that memory ran out: processes beside the one that
    /// failed may say much after it.
    private static let searchedBytes = 256 << 10

    /// Takes the outputs and judges. May be repeated as long as the working files are there.
    /// - Returns: nil when the disk has no room for the outputs now.
    func outcome() -> AttemptOutcome? {
        var outcome = verdict()
        let outputs = StepOutputs(plan: plan, transfer: transfer)
        do {
            outcome.outputs = try outputs.collect(strict: outcome.phase == .succeeded)
        } catch  where FullDisk.caused(error, dataDirectory: plan.host.dataDirectory) {
            return nil
        } catch {
            outcome.phase = .error
            outcome.message = "\(error)"
            outcome.failureClass =
                (error as? StepOutputs.Failure)?.isInfrastructure == false ? .user : .infrastructure
            outcome.outputs = (try? outputs.collect(strict: false)) ?? Outputs()
        }
        outcome.outputs.exitCode = String(result.exitCode)
        if plan.launch.capturesResult { outcome.outputs.result = outputs.result() }
        if case .http(let request) = plan.template.kind { judge(request, &outcome) }
        if plan.launch.archivesLogs { archiveLog(outputs, &outcome) }
        return outcome
    }

    private func archiveLog(_ outputs: StepOutputs, _ outcome: inout AttemptOutcome) {
        do {
            if let log = try outputs.archiveLog() { outcome.outputs.artifacts.append(log) }
        } catch {
            guard outcome.phase == .succeeded else { return }
            outcome.phase = .error
            outcome.message = "failed to save artifact 'main-logs': \(error)"
            outcome.failureClass = .infrastructure
        }
    }

    // MARK: The verdict

    private func verdict() -> AttemptOutcome {
        var outcome = AttemptOutcome(phase: .succeeded, exitCode: Int(result.exitCode))
        outcome.finishedAt = result.finishedAt.nanoseconds > 0 ? result.finishedAt : nil
        let seconds = max(0, (result.finishedAt - result.startedAt).inSeconds)
        outcome.resourcesDuration = ResourceRequest(plan.template).duration(seconds: seconds)
        if plan.template.isContainerSet { outcome.containers = result.containers.map(Self.containerOutcome) }
        switch result.reason {
        case .exited where result.exitCode == 0: break
        case .cancelled:
            outcome.phase = .failed
            outcome.message = "terminated"
            outcome.failureClass = .user
        case .deadline:
            outcome.phase = .failed
            outcome.message = plan.launch.deadlineMessage
            outcome.failureClass = .user
        case .exited, .signaled, .startFailed, .notStarted:
            outcome.phase = .failed
            (outcome.message, outcome.failureClass) = failure()
        }
        return outcome
    }

    private func failure() -> (String, FailureClass) {
        let name = failedName
        let code = result.exitCode
        if result.reason == .startFailed || result.deciding.reason == .startFailed {
            // Only the supervisor's own trouble gets 125.
            return ("\(name): \(result.message) (exit code \(code))", code == 125 ? .infrastructure : .user)
        }
        if result.oomKilled == true { return ("OOMKilled (exit code \(code))", .memory) }
        if case .martlet = plan.template.kind, let (words, kind) = Self.builtInFailures[code] {
            return ("\(name): Error (exit code \(code)): \(words)", kind)
        }
        return ("\(name): Error (exit code \(code))", failureClass(code))
    }

    /// Memory, if the log says so. A kill that nobody here asked for and that no counter of ours saw came from
    /// outside: the machine's.
    private func failureClass(_ code: Int32) -> FailureClass {
        if memoryRanOut { return .memory }
        return result.signal == SIGKILL || code == 128 + SIGKILL ? .infrastructure : .user
    }

    private var failedName: String {
        let failed = result.containers.filter { container in
            container.exitCode == result.exitCode && container.exitCode != 0
                && !plan.template.sidecars.contains { $0.name == container.name }
        }
        // What ended first decided; others of a group may end with the same code when they are ended.
        let name = failed.min { $0.finishedAt < $1.finishedAt }?.name ?? "main"
        return plan.group != nil && name.hasPrefix("rank-") ? "rank \(name.dropFirst(5))" : name
    }

    /// What our own steps' exit codes mean.
    private static let builtInFailures: [Int32: (String, FailureClass)] = [
        2: ("bad parameters; the log names them", .user), 65: ("bad data; the log says where", .user),
        75: ("interrupted after saving; the next attempt goes on from the checkpoint", .infrastructure),
        86: ("out of memory", .memory), 87: ("training diverged", .user),
    ]

    /// What frameworks write before they end with a code of their own.
    private var memoryRanOut: Bool {
        guard let tail = StepLog.lastBytes(plan.directory + "/log", count: Self.searchedBytes) else {
            return false
        }
        return MemorySigns.areIn(tail)
    }

    private static func containerOutcome(_ container: AttemptResult.Container)
        -> AttemptOutcome.ContainerOutcome
    {
        var outcome = AttemptOutcome.ContainerOutcome(name: container.name, phase: .succeeded)
        guard container.reason != .notStarted else {
            outcome.phase = .omitted
            return outcome
        }
        outcome.exitCode = Int(container.exitCode)
        outcome.startedAt = container.startedAt
        outcome.finishedAt = container.finishedAt
        if container.exitCode != 0 {
            outcome.phase = .failed
            outcome.message =
                container.message.isEmpty ? "Error (exit code \(container.exitCode))" : container.message
        }
        return outcome
    }

    // MARK: HTTP

    private func judge(_ request: JSONValue, _ outcome: inout AttemptOutcome) {
        outcome.outputs.exitCode = nil
        outcome.outputs.result = nil
        outcome.exitCode = nil
        guard result.reason == .exited else { return }
        guard let answer = HTTPAnswer(directory: plan.root + StepPlan.martletDirectory), result.exitCode == 0
        else {
            let said = StepLog.lastBytes(plan.directory + "/log", count: 2048) ?? ""
            let line = said.split(separator: "\n").last ?? ""
            // Time, stream and tag stand before the text.
            let words = line.split(separator: " ", maxSplits: 3).last ?? "no answer"
            outcome.message = "request failed: \(words)"
            outcome.failureClass = .infrastructure
            return
        }
        outcome.outputs.result = answer.body
        guard let problem = answer.problem(request: request, now: result.finishedAt) else { return }
        outcome.phase = .failed
        outcome.message = problem
        outcome.failureClass = .user
    }
}
