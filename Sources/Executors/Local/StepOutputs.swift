// Takes what a step gave: parameters from files, artifacts into the store, standard output as the result.

import Artifacts
import Glibc
import Scheduling
import Text
import WorkflowLanguage

struct StepOutputs {
    let plan: StepPlan
    let transfer: ArtifactTransfer

    /// As large as Argo lets an output parameter be.
    static let parameterLimitBytes = 256 << 10

    /// A declared output is not there, or cannot be kept.
    struct Failure: Error, CustomStringConvertible {
        let description: String
        let isInfrastructure: Bool
    }

    /// - Parameter strict: whether a missing output is an error; else all that is there is taken.
    func collect(strict: Bool) throws -> Outputs {
        var outputs = Outputs()
        for parameter in plan.template.outputs.parameters {
            do {
                if let taken = try take(parameter) { outputs.parameters.append(taken) }
            } catch {
                if strict { throw error }
            }
        }
        for artifact in plan.template.outputs.artifacts {
            do {
                if let taken = try take(artifact) { outputs.artifacts.append(taken) }
            } catch {
                if strict { throw error }
            }
        }
        if case .martlet(let step) = plan.template.kind {
            try takeBuiltIn(step, into: &outputs, strict: strict)
        }
        return outputs
    }

    /// Standard output without its last newline, at most `outputLimitBytes` of the spec.
    func result() -> String { Self.withoutNewline(SupervisorClient.outputTail(of: plan.directory)) }

    static func withoutNewline(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.last == 10 ? bytes.dropLast() : bytes[...], as: UTF8.self)
    }

    // MARK: Parameters

    private func take(_ parameter: Parameter) throws -> Parameter? {
        guard let path = parameter.valueFrom?.path else { return nil }
        var taken = parameter
        do {
            let file = try plan.view.resolve(StepView.normal(path))
            taken.value = Self.withoutNewline(try Disk.read(file, limitBytes: Self.parameterLimitBytes))
        } catch  where error.kind == .notFound {
            guard let value = parameter.valueFrom?.default ?? parameter.default else {
                throw Failure(
                    description:
                        "cannot save parameter '\(parameter.name)': \(path): path not found; let the step "
                        + "write it, or give valueFrom.default", isInfrastructure: false)
            }
            taken.value = value
        } catch {
            throw Failure(
                description: "cannot save parameter '\(parameter.name)': \(path): \(error.problem)"
                    + (error.kind == .invalid ? "; use an output artifact for more" : ""),
                isInfrastructure: error.kind != .invalid)
        }
        return taken
    }

    // MARK: Artifacts

    private func take(_ artifact: Artifact) throws -> Artifact? {
        guard let path = artifact.path, !path.isEmpty else { return nil }
        do {
            let file = try plan.view.resolve(StepView.normal(path))
            // Only what lies in the attempt's own root is nobody else's; a volume may be shared.
            let isOwn = !plan.host.isPlain && file.hasPrefix(plan.root + "/")
            return try save(artifact, from: file, source: isOwn ? .attemptEnded : .shared)
        } catch let error as ArtifactError where error.kind == .notFound && !Self.isThere(path, plan) {
            if artifact.optional { return nil }
            throw Failure(
                description:
                    "failed to save artifact '\(artifact.name)': \(path): path not found; let the step write "
                    + "it, or mark it `optional: true`", isInfrastructure: false)
        } catch {
            throw Failure(
                description: "failed to save artifact '\(artifact.name)': \(error)", isInfrastructure: true)
        }
    }

    private static func isThere(_ path: String, _ plan: StepPlan) -> Bool {
        (try? plan.view.resolve(StepView.normal(path))).map(Disk.exists) ?? false
    }

    func save(
        _ artifact: Artifact, from file: String, source: LocalArtifactStore.Source
    ) throws -> Artifact {
        let key = "\(plan.launch.workflowName)/\(plan.launch.podName)/\(artifact.name)"
        return try transfer.save(artifact, from: file, defaultKey: key, source: source).0
    }

    // MARK: Our own steps

    /// Artifacts under their names, parameters as the members of one JSON object.
    private func takeBuiltIn(_ step: MartletStep, into outputs: inout Outputs, strict: Bool) throws {
        let directory = plan.root + StepPlan.outputsTarget
        let declared = Set(outputs.artifacts.map(\.name))
        for name in MartletStepContract(step.kind).outputArtifacts where !declared.contains(name) {
            let path = "\(directory)/\(name)"
            // What the template says of it counts: the key that it is kept under, its garbage collection.
            let written = plan.template.outputs.artifacts.first { $0.name == name }
            guard Disk.exists(path) else {
                if strict, let written, !written.optional {
                    throw Failure(
                        description: "the step gave no artifact '\(name)', which its outputs name; "
                            + "mark it `optional: true`, or see its parameters", isInfrastructure: false)
                }
                continue
            }
            do {
                outputs.artifacts.append(
                    try save(
                        written ?? Artifact(name: name), from: path,
                        source: plan.host.isPlain ? .shared : .attemptEnded))
            } catch {
                guard strict else { continue }
                throw Failure(
                    description: "failed to save artifact '\(name)': \(error)", isInfrastructure: true)
            }
        }
        guard let bytes = try? Disk.read("\(directory)/parameters.json", limitBytes: 1 << 20),
            let members = (try? JSONValue(parsingUTF8: bytes))?.objectValue
        else { return }
        for (name, value) in members.sortedByKey where outputs.parameter(name) == nil {
            outputs.parameters.append(Parameter(name: name, value: value.scalarText ?? value.compactText))
        }
    }

    // MARK: Logs

    /// Main's output as plain text, for `main-logs`.
    func archiveLog() throws -> Artifact? {
        let path = plan.directory + "/main.log"
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw ArtifactError(errno: errno, path: path, while: "create") }
        var failure: ArtifactError?
        var reader = StepLog.Reader(path: plan.directory + "/log")
        while failure == nil {
            let pieces = reader.pieces()
            if pieces.isEmpty { break }
            var text: [UInt8] = []
            for piece in pieces where piece.container == "main" || plan.template.isContainerSet {
                text.append(contentsOf: piece.bytes)
                if piece.endsLine { text.append(10) }
            }
            do { try Disk.append(text, to: file, path: path) } catch { failure = error }
        }
        close(file)
        if let failure { throw failure }
        defer { unlink(path) }
        let key = "\(plan.launch.workflowName)/\(plan.launch.podName)/main.log"
        let artifact = Artifact(.object(["name": "main-logs", "archive": ["none": [:]]]))
        return try transfer.save(artifact, from: path, defaultKey: key, source: .shared).0
    }
}

extension Template {
    var isContainerSet: Bool {
        if case .containerSet = kind { return true }
        return false
    }
}
