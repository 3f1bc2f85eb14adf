// Stored templates as pipelines: what they take, and how their last runs went.

import Controller
import Persistence
import Text
import WorkflowLanguage

extension MartletRoutes {
    var pipelineRoutes: [ServiceRoute] {
        [
            route(
                "GET", "/pipelines", "MartletAPI_ListPipelines", .signedIn,
                summary: "The stored templates with their last runs."
            ) { try await listPipelines($0) },
            route(
                "GET", "/pipelines/{namespace}/{name}", "MartletAPI_GetPipeline", .namespaced(.viewer),
                summary: "A stored template with its text; `cluster` asks for a cluster template."
            ) { try await getPipeline($0) },
        ]
    }

    /// Pipelines of one answer.
    private static let pipelineLimit = 500

    private func listPipelines(_ reader: APIReader) async throws -> HTTPReply {
        let seen = try namespaces(reader)
        var rows: [DefinitionRow] = []
        for kind in [DefinitionKind.workflowTemplate, .clusterWorkflowTemplate] {
            let all = try await context.store.definitions(kind)
            rows += all.filter { row in kind.isClusterWide || seen.map { $0.contains(row.namespace) } ?? true
            }
        }
        var items: [JSONValue] = []
        for row in rows.prefix(Self.pipelineLimit) {
            items.append(.object(try await pipeline(row, runsSeenIn: seen)))
        }
        return .json(.page(items))
    }

    private func getPipeline(_ reader: APIReader) async throws -> HTTPReply {
        let kind: DefinitionKind =
            try reader.flag("cluster") ? .clusterWorkflowTemplate : .workflowTemplate
        let (namespace, name) = (reader.request["namespace"], reader.request["name"])
        let found = try await context.store.definition(kind, namespace: namespace, name: name)
        guard let row = found else {
            throw ServiceError.notFound(
                "there is no \(kind.rawValue) \"\(name.shortened)\""
                    + (kind.isClusterWide ? "" : " in namespace \"\(namespace.shortened)\""))
        }
        var members = try await pipeline(row, runsSeenIn: [namespace])
        let manifest = row.body
        members["manifest"] = manifest
        members["yaml"] = .string(try await onThread { ManifestPrinter.yaml(manifest) })
        members["templates"] = .array(
            Workflow(row.body).spec.templates.map { template in
                .object(["name": .string(template.name), "kind": .string(template.kindName)])
            })
        return .json(.object(members))
    }

    private func pipeline(_ row: DefinitionRow, runsSeenIn seen: Set<String>?) async throws -> [String:
        JSONValue]
    {
        let spec = Workflow(row.body).spec
        let metadata = ObjectMetadata(row.body["metadata"])
        let runs = try await lastRuns(row, seen)
        let spans = runs.filter { $0.phase == "Succeeded" }.compactMap(\.seconds).sorted()
        return [
            "namespace": .string(row.namespace), "name": .string(row.name),
            "cluster": .bool(row.kind.isClusterWide),
            "description": .text(
                metadata.annotations["workflows.argoproj.io/description"]
                    ?? metadata.annotations["description"]),
            "parameters": .array(spec.arguments.parameters.map(ParameterJSON.json)),
            "generation": .int(row.generation), "updatedAt": .moment(row.updatedAt),
            "runs": .array(runs.reversed().map(Self.runJSON)),
            "medianSeconds": .finite(spans.isEmpty ? nil : spans[spans.count / 2]),
        ]
    }

    /// The last 20 runs, newest first.
    private func lastRuns(_ row: DefinitionRow, _ seen: Set<String>?) async throws -> [WorkflowSummary] {
        var query = WorkflowQuery(limit: 20)
        query.pipeline = row.name
        if !row.kind.isClusterWide { query.namespace = row.namespace }
        if row.kind.isClusterWide, let seen, seen.count == 1 { query.namespace = seen.first }
        let label = row.kind.isClusterWide ? RunLabels.clusterTemplate : RunLabels.template
        query.labels = [.equals(key: label, value: row.name)]
        let runs = try await context.store.workflows(query).workflows
        return runs.filter { run in seen.map { $0.contains(run.namespace) } ?? true }
    }

    private static func runJSON(_ run: WorkflowSummary) -> JSONValue {
        .object([
            "uid": .string(run.uid), "namespace": .string(run.namespace), "name": .string(run.name),
            "phase": .string(run.phase.isEmpty ? "Pending" : run.phase), "seconds": .finite(run.seconds),
            "startedAt": .moment(run.startedAt),
        ])
    }
}

extension WorkflowSummary {
    /// From start to end; nil for a run that has not ended.
    var seconds: Double? {
        guard let startedAt, let finishedAt else { return nil }
        return (finishedAt - startedAt).inSeconds
    }
}

extension Template {
    /// The manifest's word for the template's kind.
    var kindName: String {
        switch kind {
        case .container: "container"
        case .script: "script"
        case .containerSet: "containerSet"
        case .steps: "steps"
        case .dag: "dag"
        case .suspend: "suspend"
        case .http: "http"
        case .resource: "resource"
        case .data: "data"
        case .plugin: "plugin"
        case .martlet(let step): step.kind.rawValue
        case .missing: "none"
        }
    }
}
