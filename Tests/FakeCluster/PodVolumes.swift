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

    /// - Throws: `NotReady` for a ConfigMap, a Secret or a key that is not there yet.
    mutating func prepare(_ values: NodeValues) async throws {
        let namespace = values.namespace
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
                try await fill(place, source, values)
            }
        }
    }

    private func fill(_ place: String, _ source: Fields, _ values: NodeValues) async throws {
        for item in source.object("downwardAPI")?.list("items") ?? [] {
            let fields = Fields(item)
            let value = PodField.value(fields.object("fieldRef")?.string("fieldPath") ?? "", of: pod)
            try write(Array((value ?? "").utf8), "\(place)/\(fields.string("path") ?? "x")")
        }
        for (kind, isSecret) in [("configMap", false), ("secret", true)] {
            guard let settings = source.object(kind) else { continue }
            let object: JSONValue
            do {
                guard let found = try await values.object(settings, isSecret: isSecret) else { continue }
                object = found
            } catch let missing as NotReady {
                // What a cluster's controllers lay into each namespace, where there are any.
                if settings.text("name") == "kube-root-ca.crt" { continue }
                // Without its volumes no container of the pod begins.
                throw NotReady(
                    reason: "ContainerCreating", message: "MountVolume.SetUp failed: \(missing.message)")
            }
            let items = settings.list("items").map { Fields($0) }
            let members = Dictionary(Fields(object["data"]).textMapSorted, uniquingKeysWith: { $1 })
            for item in items {
                let key = item.text("key") ?? ""
                if members[key] == nil && settings.bool("optional") != true {
                    throw NotReady(
                        reason: "ContainerCreating",
                        message: "MountVolume.SetUp failed: references non-existent config key: \(key)")
                }
            }
            for (key, text) in members {
                let item = items.first { $0.text("key") == key }
                if !items.isEmpty && item == nil { continue }
                try write(NodeValues.bytes(text, isSecret), "\(place)/\(item?.string("path") ?? key)")
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
