// What a step gave, from what its pod came to: outputs from the server's own keeping or from the termination
// message, the same words that a local step's end has.

import Artifacts
import Executors
import Scheduling
import Text
import WorkflowLanguage

struct PodOutcome: Sendable {
    let launch: Launch
    let end: PodEnd
    let pod: JSONValue
    let exchange: StepExchange

    /// Reads files, so it belongs on a thread of its own.
    func outcome(logPath: String) -> AttemptOutcome {
        var outcome = AttemptOutcome(
            phase: end.phase, message: end.message, exitCode: end.exitCode, failureClass: end.failureClass,
            isLost: end.isLost)
        guard !end.isLost else { return outcome }
        let verdict = PodVerdict(pod, work: [], deadlineMessage: "")
        let states = verdict.containers("containerStatuses")
        let work = KubernetesExecutor.work(of: launch.template)
        let main = states.first { $0.name == "main" } ?? states.last { work.contains($0.name) }
        outcome.finishedAt = states.filter { work.contains($0.name) && $0.ended != nil }.map {
            PodResult(termination: $0.message)?.endedAt ?? $0.finishedAt
        }.filter { $0.nanoseconds < .max }.max()
        if let code = end.exitCode ?? main?.exitCode { outcome.outputs.exitCode = String(code) }
        if case .containerSet = launch.template.kind {
            outcome.containers = states.filter { work.contains($0.name) }.map(Self.container)
        }
        do {
            let sent = try exchange.result(launch.key)
            let given = sent ?? PodResult(termination: main?.message ?? "")
            try collect(given, isSent: sent != nil, &outcome)
        } catch {
            if outcome.phase == .succeeded {
                outcome.phase = .error
                outcome.message = "\(error)"
                outcome.failureClass = error is StepExchange.Failure ? .infrastructure : .user
            }
        }
        if launch.archivesLogs, Disk.exists(logPath) { archive(logPath, &outcome) }
        return outcome
    }

    private static func container(_ state: PodVerdict.ContainerState) -> AttemptOutcome.ContainerOutcome {
        var outcome = AttemptOutcome.ContainerOutcome(name: state.name, phase: .succeeded)
        let told = PodResult(termination: state.message)
        if told?.isOmitted == true || state.ended == nil {
            outcome.phase = .omitted
            return outcome
        }
        outcome.exitCode = state.exitCode
        // A container of a set begins with the pod, and its command when its turn comes.
        outcome.startedAt = told?.beganAt ?? state.startedAt
        outcome.finishedAt = told?.endedAt ?? state.finishedAt
        if let code = state.exitCode, code != 0 {
            outcome.phase = .failed
            outcome.message = "Error (exit code \(code))"
        }
        return outcome
    }

    // MARK: Outputs

    struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    /// - Parameter isSent: whether the pod's companion came through, so that what is not there never was.
    private func collect(_ given: PodResult?, isSent: Bool, _ outcome: inout AttemptOutcome) throws {
        let isStrict = outcome.phase == .succeeded
        if launch.capturesResult {
            outcome.outputs.result = given?.result.map(Self.withoutNewline) ?? (isStrict ? nil : "")
            if isStrict && given?.result == nil { throw notCarried("its standard output") }
        }
        for parameter in launch.template.outputs.parameters where parameter.valueFrom?.path != nil {
            var taken = parameter
            if let value = given?.parameters[parameter.name] {
                taken.value = Self.withoutNewline(value)
            } else if given?.isComplete != true && isStrict {
                throw notCarried("parameter '\(parameter.name)'")
            } else if let value = parameter.valueFrom?.default ?? parameter.default {
                taken.value = value
            } else if isStrict {
                throw Missing(
                    description: "cannot save parameter '\(parameter.name)': "
                        + "\(parameter.valueFrom?.path ?? ""): path not found; let the step write it, or give "
                        + "valueFrom.default")
            } else {
                continue
            }
            outcome.outputs.parameters.append(taken)
        }
        for artifact in launch.template.outputs.artifacts where artifact.path?.isEmpty == false {
            if let problem = given?.failures[artifact.name], isStrict {
                throw StepExchange.Failure(
                    description: "failed to save artifact '\(artifact.name)': \(problem)")
            }
            if given?.sent.contains(artifact.name) == true {
                outcome.outputs.artifacts.append(artifact)
            } else if let saved = try exchange.save(artifact, of: launch) {
                outcome.outputs.artifacts.append(saved)
            } else if isStrict && !isSent && given?.isSaved != true {
                throw StepExchange.Failure(
                    description:
                        "failed to save artifact '\(artifact.name)': the pod ended before it was sent; run "
                        + "the step again")
            } else if isStrict && !artifact.optional {
                throw Missing(
                    description:
                        "failed to save artifact '\(artifact.name)': \(artifact.path ?? ""): path not "
                        + "found; let the step write it, or mark it `optional: true`")
            }
        }
    }

    private func notCarried(_ what: String) -> StepExchange.Failure {
        StepExchange.Failure(
            description:
                "\(what) did not come out of the pod: more than a termination message holds needs the "
                + "server, and pods do not know where it is; start it with --step-url")
    }

    static func withoutNewline(_ text: String) -> String {
        text.utf8.last == 10 ? String(decoding: text.utf8.dropLast(), as: UTF8.self) : text
    }

    private func archive(_ path: String, _ outcome: inout AttemptOutcome) {
        do {
            outcome.outputs.artifacts.append(try exchange.archiveLog(path, of: launch))
        } catch {
            guard outcome.phase == .succeeded else { return }
            outcome.phase = .error
            outcome.message = "failed to save artifact 'main-logs': \(error)"
            outcome.failureClass = .infrastructure
        }
    }
}

/// What the supervisor in a pod says of its command.
struct PodResult: Sendable {
    var result: String?
    var parameters: [String: String] = [:]
    /// Artifacts that could not be taken, and why.
    var failures: [String: String] = [:]
    /// Whether nothing had to be left out for its length.
    var isComplete = true
    var isOmitted = false
    var exitCode: Int?
    var beganAt: Timestamp?
    var endedAt: Timestamp?
    /// Artifacts that the pod sent elsewhere than to the server.
    var sent: Set<String> = []
    /// Whether it told of those.
    var isSaved = false

    /// Nil for a message that is none of the supervisor's. Of one that the node has cut, what came before the cut.
    init?(termination text: String) {
        let bytes = Array(text.utf8)
        if let json = try? JSONValue(parsingUTF8: bytes), json.objectValue != nil {
            self.init(json)
            return
        }
        guard text.hasPrefix("{\"exitCode\":"), let end = Self.endOfMembers(bytes),
            let json = try? JSONValue(parsingUTF8: bytes[..<end] + [UInt8(ascii: "}")])
        else { return nil }
        self.init(json)
        isComplete = false
    }

    /// Where the last whole member of an object that was cut ends.
    private static func endOfMembers(_ bytes: [UInt8]) -> Int? {
        var (depth, isText, isEscaped, end) = (0, false, false, Int?.none)
        for (index, byte) in bytes.enumerated() {
            switch byte {
            case _ where isEscaped: isEscaped = false
            case UInt8(ascii: "\\"): isEscaped = isText
            case UInt8(ascii: "\""): isText.toggle()
            case _ where isText: break
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: ",") where depth == 1: end = index
            default: break
            }
        }
        return end
    }

    init(_ json: JSONValue) {
        let fields = Fields(json)
        result = fields.string("result")
        parameters = fields.textMap("parameters")
        failures = fields.textMap("failures")
        isComplete = fields.bool("complete") ?? true
        isOmitted = fields.bool("omitted") ?? false
        exitCode = fields.int("exitCode")
        beganAt = fields.int("began").map { Timestamp(nanoseconds: Int64($0)) }
        endedAt = fields.int("ended").map { Timestamp(nanoseconds: Int64($0)) }
        guard let saved = fields.object("saved") else { return }
        isSaved = true
        sent = Set(Fields(saved["artifacts"]).members.keys)
        failures.merge(saved.textMap("failures")) { $1 }
    }
}
