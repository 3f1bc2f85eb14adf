// The artifacts of runs: downloaded by name, or looked at file by file.

import Artifacts
import Controller
import Executors
import Persistence
import Scheduling
import Text
import WorkflowLanguage

extension WorkflowRoutes {
    /// Which artifact a path names.
    private struct ArtifactAddress: Sendable {
        var node: String
        var artifact: String
        var isInput: Bool
        /// Inside a directory artifact.
        var path = ""
        /// Whether a directory is shown as a list, rather than packed.
        var isBrowsed = false
        /// Whether the address ended in a slash, below which a list's links lead.
        var endsInSlash = false
    }

    var artifactRoutes: [ServiceRoute] {
        let service = "ArtifactService_"
        let files =
            "/artifact-files/{namespace}/{idDiscriminator}/{id}/{nodeId}"
            + "/{artifactDiscriminator}/{artifactName}"
        return [
            named(
                "/artifacts/{namespace}/{name}/{nodeId}/{artifactName}", service + "GetOutputArtifact",
                isInput: false),
            named(
                "/input-artifacts/{namespace}/{name}/{nodeId}/{artifactName}", service + "GetInputArtifact",
                isInput: true),
            numbered(
                "/artifacts-by-uid/{uid}/{nodeId}/{artifactName}", service + "GetOutputArtifactByUID",
                isInput: false),
            numbered(
                "/input-artifacts-by-uid/{uid}/{nodeId}/{artifactName}", service + "GetInputArtifactByUID",
                isInput: true),
            ServiceRoute(
                "GET", files, service + "GetArtifactFile", .namespaced(.viewer), answer: artifactFile),
            ServiceRoute(
                "GET", files + "/{path...}", service + "GetFileInArtifact", .namespaced(.viewer),
                answer: artifactFile),
        ]
    }

    private func named(_ pattern: String, _ operation: String, isInput: Bool) -> ServiceRoute {
        ServiceRoute("GET", pattern, operation, .namespaced(.viewer)) { request in
            let row = try await row(request["name"], namespace: request["namespace"])
            return try await artifact(
                ArtifactAddress(node: request["nodeId"], artifact: request["artifactName"], isInput: isInput),
                of: row,
                request.call)
        }
    }

    private func numbered(_ pattern: String, _ operation: String, isInput: Bool) -> ServiceRoute {
        ServiceRoute("GET", pattern, operation, .run(.viewer)) { request in
            let row = try await row(uid: request["uid"], request, .viewer)
            return try await artifact(
                ArtifactAddress(node: request["nodeId"], artifact: request["artifactName"], isInput: isInput),
                of: row,
                request.call)
        }
    }

    private func artifactFile(_ request: ServiceRequest) async throws -> HTTPReply {
        let (namespace, id) = (request["namespace"], request["id"])
        let row: WorkflowRow
        switch request["idDiscriminator"] {
        case "workflows": row = try await self.row(id, namespace: namespace)
        case "archived-workflows":
            guard let found = try await context.store.workflow(uid: id), found.namespace == namespace else {
                throw ServiceError.notFound("workflows.argoproj.io with uid \"\(id.shortened)\" not found")
            }
            row = found
        default:
            throw ServiceError.invalid(
                "the path has neither workflows nor archived-workflows behind the namespace")
        }
        let side = request["artifactDiscriminator"]
        guard side == "outputs" || side == "inputs" else {
            throw ServiceError.invalid("the path has neither outputs nor inputs behind the node")
        }
        let path = request["path"]
        let address = ArtifactAddress(
            node: request["nodeId"], artifact: request["artifactName"], isInput: side == "inputs",
            path: path.split(separator: "/").joined(separator: "/"), isBrowsed: true,
            endsInSlash: request.call.path.hasSuffix("/"))
        return try await artifact(address, of: row, request.call)
    }

    // MARK: Bytes

    private func artifact(
        _ address: ArtifactAddress, of row: WorkflowRow, _ call: HTTPCall
    ) async throws -> HTTPReply {
        let artifact = try await declared(address, of: row)
        let (content, slot) = try await RemoteReading.find(
            artifact, path: address.path, namespace: row.namespace, context)
        let last = address.path.split(separator: "/").last.map(String.init)
        var isDirectory = false
        if case .directory = content { isDirectory = true }
        let reply = ArtifactReply(
            call: call, name: last ?? Self.fileName(of: artifact, isDirectory: isDirectory),
            isInline: address.isBrowsed)
        switch content {
        case .file(let source, let tag, let bytes): return reply.file(source, tag: tag, bytes: bytes, slot)
        case .text(let bytes): return reply.text(bytes)
        case .stream(let stream, let tag, let bytes): return reply.whole(stream, tag: tag, bytes: bytes, slot)
        case .directory(let manifest, let tag, let open):
            guard address.isBrowsed else { return reply.archive(manifest, tag: tag, slot, open: open) }
            // The links of a list lead below its address.
            guard address.endsInSlash else {
                return HTTPReply(status: 307, headers: [("Location", Self.slashed(call.path))])
            }
            return reply.index(manifest, tag: tag)
        }
    }

    /// The last part of an address with a slash: relative, so that it leads nowhere else, whatever the path
    /// is.
    private static func slashed(_ path: String) -> String {
        "./" + (path.split(separator: "/").last.map(String.init) ?? "") + "/"
    }

    /// The file's own name, since that has an ending; the artifact's name where the manifest gives no path. What lies on
    /// another server may be packed there: the name that it has there says so.
    private static func fileName(of artifact: Artifact, isDirectory: Bool) -> String {
        var name = (artifact.path ?? "").split(separator: "/").last.map(String.init) ?? ""
        if !isDirectory, let remote = try? RemoteArtifact(artifact),
            name.isEmpty || remote.fileName.contains(".")
        {
            name = remote.fileName
        }
        return name.isEmpty ? (artifact.name.isEmpty ? "artifact" : artifact.name) : name
    }

    private func declared(_ address: ArtifactAddress, of row: WorkflowRow) async throws -> Artifact {
        let nodes = try await context.store.nodes(row.uid)
        let node = nodes.first { $0.id == address.node }
        guard let node else {
            throw ServiceError.notFound("workflow \"\(row.name)\" has no node \"\(address.node.shortened)\"")
        }
        let found =
            address.isInput
            ? node.inputs.artifact(address.artifact) : node.outputs.artifact(address.artifact)
        guard let found else {
            let names = (address.isInput ? node.inputs.artifacts : node.outputs.artifacts).map(\.name)
            throw ServiceError.notFound(
                "node \"\(node.id)\" has no \(address.isInput ? "input" : "output") artifact "
                    + "\"\(address.artifact.shortened)\""
                    + (names.isEmpty ? "" : "; it has \(names.joined(separator: ", ").shortened)"))
        }
        return found
    }
}
