// Records the models that runs have made, from the nodes that are saved: what a crash kept from being
// recorded is found again by the revision up to which the recording has got.

import Artifacts
import Executors
import Persistence
import Scheduling
import Synchronization
import Text
import WorkflowLanguage

/// Keeps the registry up to date with the runs. Models are laid out below `models` of the data directory in
/// the layout of Hugging Face's cache, with bytes that are shared with the artifact store where the file
/// system can.
package struct ModelRecorder: Sendable {
    /// Names a model: an annotation of the template.
    package static let nameAnnotation = "martlet.dev/model"
    private static let kinds: Set<MartletStep.Kind> = [
        .download, .pretrain, .sft, .rlhf, .dpo, .quantize, .merge,
    ]
    private static let pageLimit = 1_000

    let store: Store
    let artifacts: LocalArtifactStore
    let shelf: ModelShelf
    /// Of this program.
    let version: String
    let now: @Sendable () -> Timestamp

    /// Records what has ended since the last time.
    /// - Returns: how many models and evaluations there were.
    @discardableResult
    package func record() async throws -> Int {
        var count = 0
        // Each page notes how far it got, so that this ends unless runs end faster than that.
        for _ in 0..<Self.pageLimit {
            guard let (found, end) = try await store.unrecordedNodes() else { return count }
            var models: [NewModel] = []
            var evaluations: [EvaluationRow] = []
            var definitions: [String: RunDefinition] = [:]
            for (uid, node) in found {
                if definitions[uid] == nil {
                    definitions[uid] = try await store.workflow(uid: uid).flatMap {
                        RunDefinition(stored: $0.manifest)
                    }
                }
                guard let definition = definitions[uid] else { continue }
                try await take(node, of: definition, &models, &evaluations)
            }
            try await store.record(models, evaluations, upTo: end)
            count += models.count + evaluations.count
        }
        return count
    }

    private func take(
        _ node: Node, of definition: RunDefinition, _ models: inout [NewModel],
        _ evaluations: inout [EvaluationRow]
    ) async throws {
        guard let template = definition.template(of: node), case .martlet(let step) = template.kind else {
            return
        }
        // What was taken over from a finished step was recorded when that one ended.
        let isTakenOver = node.memoization?.hit == true
        if isTakenOver, step.kind == .evaluate { return }
        let (artifacts, namespace) = (artifacts, definition.namespace)
        let inputs = try await BlockingThreads.run {
            node.inputs.artifacts.compactMap { artifact -> ModelInput? in
                let tree = Self.tree(artifact, in: artifacts, namespace: namespace)
                return tree.map { ModelInput(role: artifact.name, sha256: $0.hash) }
            }
        }
        if step.kind == .evaluate {
            if let row = evaluation(node, template, inputs, definition) { evaluations.append(row) }
        } else if Self.kinds.contains(step.kind) {
            for artifact in node.outputs.artifacts {
                guard let kind = NewModel.Kind(rawValue: artifact.name) else { continue }
                let tree = try await BlockingThreads.run {
                    Self.tree(artifact, in: artifacts, namespace: namespace)
                }
                guard let tree, tree.isDirectory else { continue }
                var model = model(kind, step, node, template, definition, tree)
                model.inputs = inputs
                // Its files may have been collected since: then this is how they come back.
                if isTakenOver, try await isKept(model, models) { continue }
                models.append(try await laidOut(model, tree))
            }
        }
    }

    /// Whether a version of the same name and content has its files.
    /// - Parameter new: those that are about to be recorded.
    private func isKept(_ model: NewModel, _ new: [NewModel]) async throws -> Bool {
        if new.contains(where: { $0.place == model.place && $0.deletedAt == nil }) { return true }
        return try await store.models(namespaces: [model.namespace], name: model.name, limit: 10_000)
            .contains { $0.sha256 == model.sha256 && $0.deletedAt == nil }
    }

    private static func tree(_ artifact: Artifact, in store: LocalArtifactStore, namespace: String)
        -> StoredTree?
    {
        guard let location = try? ArtifactLocation(artifact), case .key(let key) = location else {
            return nil
        }
        return try? store.resolve(key: key, namespace: namespace)
    }

    private func model(
        _ kind: NewModel.Kind, _ step: MartletStep, _ node: Node, _ template: Template,
        _ definition: RunDefinition, _ tree: StoredTree
    ) -> NewModel {
        let values = definition.values(for: node)
        let isSecond = kind == .adapter && node.outputs.artifacts.contains { $0.name == "model" }
        let name = Self.name(template, definition, values) + (isSecond ? "-adapter" : "")
        var model = NewModel(
            namespace: definition.namespace, name: name, kind: kind, step: step.kind.rawValue,
            sha256: tree.hash,
            place: ModelShelf.place(namespace: definition.namespace, name: name, sha256: tree.hash),
            bytes: tree.bytes, workflowUID: definition.uid, workflow: definition.name, nodeID: node.id,
            createdAt: node.finishedAt ?? now())
        let metrics = node.outputs.parameters.compactMap { parameter -> (String, JSONValue)? in
            parameter.value.map { (parameter.name, Double($0).map(JSONValue.double) ?? .string($0)) }
        }
        model.body = [
            "parameters": KnownTags.replaced(step.parameters, with: values), "codeVersion": .string(version),
            "template": .string(node.templateName), "nodeName": .string(node.displayName),
            "metrics": .object(Dictionary(metrics, uniquingKeysWith: { $1 })),
            "inputs": .array([]),
        ]
        return model
    }

    /// The annotation, or the pipeline's name with the template's.
    static func name(_ template: Template, _ definition: RunDefinition, _ values: [String: String]) -> String
    {
        if let given = template.annotations[nameAnnotation] {
            return plain(KnownTags.replaced(given, with: values))
        }
        let labels = definition.metadata.labels
        let pipeline =
            (WorkflowQuery.pipelineLabels + [WorkflowQuery.cronLabel]).lazy.compactMap { labels[$0] }.first
            ?? (definition.metadata.generateName.isEmpty ? definition.name : definition.metadata.generateName)
        return plain("\(pipeline)-\(template.name)")
    }

    /// The text as part of an address: other characters become dashes, and none comes twice.
    static func plain(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars.prefix(90) {
            let isPlain =
                scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
            if isPlain || scalar == "_" {
                result.unicodeScalars.append(scalar)
            } else if let last = result.last, last != "-", last != "." {
                result.append(scalar == "." ? "." : "-")
            }
        }
        while let last = result.last, last == "-" || last == "." { result.removeLast() }
        return result.isEmpty ? "model" : result
    }

    private func evaluation(
        _ node: Node, _ template: Template, _ inputs: [ModelInput], _ definition: RunDefinition
    ) -> EvaluationRow? {
        func hash(_ role: String) -> String { inputs.first { $0.role == role }?.sha256 ?? "" }
        let metrics = node.outputs.parameters.compactMap { parameter in
            parameter.value.flatMap(Double.init).map { (parameter.name, JSONValue.double($0)) }
        }
        guard !metrics.isEmpty, !hash("model").isEmpty || !hash("adapter").isEmpty else { return nil }
        return EvaluationRow(
            sha256: hash("model"), adapterSHA256: hash("adapter"), workflowUID: definition.uid,
            workflow: definition.name, nodeID: node.id, template: template.name,
            metrics: .object(Dictionary(metrics, uniquingKeysWith: { $1 })),
            createdAt: node.finishedAt ?? now())
    }

    /// Gives the model its place. Bytes that are gone already leave a row that says so.
    private func laidOut(_ model: NewModel, _ tree: StoredTree) async throws -> NewModel {
        var model = model
        var body = model.body.objectValue ?? [:]
        body["inputs"] = .array(
            model.inputs.map { ["role": .string($0.role), "sha256": .string($0.sha256)] })
        model.body = .object(body)
        let (shelf, artifacts, place) = (shelf, artifacts, model.place)
        do {
            try await BlockingThreads.run {
                try shelf.put(place) { try artifacts.materialize(tree, at: $0, access: .readOnly) }
            }
        } catch let error as ArtifactError where error.kind == .notFound {
            model.deletedAt = now()
        }
        return model
    }
}
