// A pod's volumes as directories of this machine.

import Artifacts
import Glibc
import Kubernetes
import Text
import WorkflowLanguage

struct PodVolumes: Sendable {
    let pod: JSONValue
    let directory: String
    private var places: [String: String] = [:]

    init(pod: JSONValue, directory: String) {
        self.pod = pod
        self.directory = directory
    }

    struct Unknown: Error, CustomStringConvertible {
        let description: String
    }

    func place(_ name: String) throws -> String {
        guard let place = places[name] else { throw Unknown(description: "no volume \(name)") }
        return place
    }

    mutating func prepare(_ client: KubernetesClient) async throws {
        let namespace = pod["metadata"]?["namespace"]?.stringValue ?? "default"
        for volume in Fields(pod["spec"]).list("volumes").map({ Fields($0) }) {
            let name = volume.text("name") ?? ""
            var place = "\(directory)/\(name)"
            if let claim = volume.object("persistentVolumeClaim")?.text("claimName") {
                // Claims outlive pods: they lie beside them.
                place = "\(Disk.parent(of: Disk.parent(of: directory)))/claims/\(namespace)/\(claim)"
            } else if let host = volume.object("hostPath")?.string("path") {
                places[name] = host
                continue
            }
            places[name] = place
            try Disk.makeDirectories(place)
            chmod(place, 0o777)
            for source in [volume] + (volume.object("projected")?.list("sources") ?? []).map({ Fields($0) }) {
                try await fill(place, source, client, namespace)
            }
        }
    }

    private func fill(
        _ place: String, _ source: Fields, _ client: KubernetesClient, _ namespace: String
    ) async throws {
        for item in source.object("downwardAPI")?.list("items") ?? [] {
            let fields = Fields(item)
            let value = PodField.value(fields.object("fieldRef")?.string("fieldPath") ?? "", of: pod)
            try write(Array((value ?? "").utf8), "\(place)/\(fields.string("path") ?? "x")")
        }
        for (kind, resource) in [("configMap", "configmaps"), ("secret", "secrets")] {
            guard let settings = source.object(kind) else { continue }
            let name = settings.text("name") ?? settings.text("secretName") ?? ""
            let object: JSONValue
            do {
                object = try await client.get("/api/v1/namespaces/\(namespace)/\(resource)/\(name)")
            } catch let error as KubernetesError where error.isNotFound && settings.bool("optional") == true {
                continue
            }
            let items = settings.list("items").map { Fields($0) }
            for (key, value) in Fields(object["data"]).members {
                let text = value.stringValue ?? ""
                let bytes = kind == "secret" ? Base64Text.bytes(text) ?? [] : Array(text.utf8)
                let item = items.first { $0.text("key") == key }
                if !items.isEmpty && item == nil { continue }
                try write(bytes, "\(place)/\(item?.string("path") ?? key)")
            }
        }
    }

    private func write(_ bytes: [UInt8], _ path: String) throws {
        try Disk.makeDirectories(Disk.parent(of: path))
        try Disk.write(bytes, to: path)
    }
}

/// What fieldRef offers.
enum PodField {
    static func value(_ path: String, of pod: JSONValue) -> String? {
        let metadata = Fields(pod["metadata"])
        switch path {
        case "metadata.name": return metadata.string("name")
        case "metadata.namespace": return metadata.string("namespace")
        case "metadata.uid": return metadata.string("uid")
        case "spec.nodeName": return "fake-node"
        case "spec.serviceAccountName": return pod["spec"]?["serviceAccountName"]?.stringValue ?? "default"
        case "status.podIP", "status.hostIP": return "127.0.0.1"
        default: break
        }
        for name in ["labels", "annotations"] {
            let prefix = "metadata.\(name)['"
            if path.hasPrefix(prefix) && path.hasSuffix("']") {
                return metadata.textMap(name)[String(path.dropFirst(prefix.count).dropLast(2))] ?? ""
            }
            if path == "metadata.\(name)" {
                return metadata.textMap(name).sorted { $0.key < $1.key }.map { "\($0.key)=\"\($0.value)\"" }
                    .joined(separator: "\n")
            }
        }
        return nil
    }
}
