// Volumes of a step: which directory of the machine each one is, and the files in those that hold values.

import Artifacts
import Glibc
import Scheduling
import Text
import WorkflowLanguage

/// The volumes that a launch declares, by name.
struct StepVolumes {
    enum Source: Sendable, Hashable {
        /// Made empty for each attempt.
        case empty
        /// Kept as it is, made when missing: claims.
        case kept(String)
        case hostPath(String, type: String)
        /// Files made from values, in a directory of the attempt.
        case files(JSONValue)
        /// The same with Secrets among them, in memory.
        case secretFiles(JSONValue)
    }

    /// What stops a step from being prepared; the text goes into the node's message.
    struct Problem: Error, CustomStringConvertible {
        let description: String
    }

    private(set) var sources: [String: Source] = [:]
    private let memoryDirectory: String

    /// - Throws: for volumes that only a cluster has.
    init(_ launch: Launch, dataDirectory: String) throws {
        let uid = launch.key.workflowUID
        memoryDirectory = SecretMemory.directory(dataDirectory, launch.key)
        for claim in launch.volumeClaimTemplates {
            guard let name = claim["metadata"]?["name"]?.stringValue else { continue }
            let path = AttemptPaths.workflowClaim(dataDirectory, workflowUID: uid, claim: name)
            sources[name] = .kept(path)
        }
        // The template's own come first in the list and win, so they are written last.
        for volume in launch.volumes.reversed() {
            let fields = Fields(volume)
            guard let name = fields.text("name") else { continue }
            if let claim = fields.object("persistentVolumeClaim")?.text("claimName"),
                case .kept? = sources[claim]
            {
                sources[name] = sources[claim]
                continue
            }
            sources[name] = try Self.source(fields, name: name, launch, dataDirectory)
        }
    }

    private static func source(
        _ fields: Fields, name: String, _ launch: Launch, _ dataDirectory: String
    ) throws -> Source {
        if let host = fields.object("hostPath") {
            return .hostPath(host.string("path") ?? "/", type: host.string("type") ?? "")
        }
        if let claim = fields.object("persistentVolumeClaim") {
            let path = AttemptPaths.claim(
                dataDirectory, namespace: launch.namespace, claim: claim.text("claimName") ?? name)
            return .kept(path)
        }
        for kind in ["configMap", "secret", "projected", "downwardAPI"] where fields[kind] != nil {
            let volume = JSONValue.object(fields.members)
            let hasSecrets =
                kind == "secret"
                || volume["projected"]?["sources"]?.arrayValue?.contains { $0["secret"] != nil } == true
            return hasSecrets ? .secretFiles(volume) : .files(volume)
        }
        if fields["emptyDir"] != nil || fields.members.keys.allSatisfy({ $0 == "name" }) { return .empty }
        let kind = fields.members.keys.filter { $0 != "name" }.sorted().joined(separator: ", ")
        throw Problem(
            description: "volume \"\(name)\": \(kind) needs a cluster; use hostPath, emptyDir or a claim here"
        )
    }

    /// The directory (or, for hostPath, file) on the machine.
    func path(of name: String, attemptDirectory: String) throws -> String {
        switch sources[name] {
        case .empty, .files: return "\(attemptDirectory)/volumes/\(AttemptPaths.name(name))"
        case .secretFiles: return "\(memoryDirectory)/volumes/\(AttemptPaths.name(name))"
        case .kept(let path): return path
        case .hostPath(let path, _): return path
        case nil: throw Problem(description: "no volume is named \"\(name)\"; declare it under volumes")
        }
    }

    /// Makes the volume ready to be mounted.
    func prepare(_ name: String, attemptDirectory: String, launch: Launch, values: LaunchValues) throws {
        let path = try path(of: name, attemptDirectory: attemptDirectory)
        switch sources[name] {
        case .empty:
            try Disk.makeDirectories(path)
            chmod(path, 0o777)
        case .kept: try Disk.makeDirectories(path)
        case .hostPath(let path, let type): try Self.prepareHostPath(path, type: type, volume: name)
        case .files(let volume), .secretFiles(let volume):
            try Disk.makeDirectories(path)
            try VolumeFiles(launch: launch, values: values).write(volume, to: path)
        case nil: break
        }
    }

    private static func prepareHostPath(_ path: String, type: String, volume: String) throws {
        guard path.hasPrefix("/") else {
            throw Problem(description: "volume \"\(volume)\": hostPath \"\(path)\" is not absolute")
        }
        let kind = Disk.targetStatus(path)?.kind
        switch type {
        case "DirectoryOrCreate": try Disk.makeDirectories(path)
        case "FileOrCreate": if kind == nil { try Disk.write([], to: path) }
        default:
            guard let kind else {
                throw Problem(description: "volume \"\(volume)\": \(path) does not exist on this machine")
            }
            let wanted: [String: Disk.Kind] = [
                "Directory": .directory, "File": .file, "Socket": .other, "CharDevice": .other,
                "BlockDevice": .other,
            ]
            if let wanted = wanted[type], wanted != kind {
                throw Problem(description: "volume \"\(volume)\": \(path) is not of the type \(type)")
            }
        }
    }
}

/// Writes the files of configMap, secret, projected and downwardAPI volumes.
struct VolumeFiles {
    let launch: Launch
    let values: LaunchValues

    func write(_ volume: JSONValue, to directory: String) throws {
        let fields = Fields(volume)
        if let projected = fields.object("projected") {
            for source in projected.list("sources") {
                try write(source: Fields(source), to: directory, defaultMode: projected.int("defaultMode"))
            }
        } else {
            try write(source: fields, to: directory, defaultMode: nil)
        }
    }

    private func write(source: Fields, to directory: String, defaultMode: Int?) throws {
        for kind in ["configMap", "secret"] {
            guard let settings = source.object(kind) else { continue }
            let name = settings.text("name") ?? settings.text("secretName") ?? ""
            let optional = settings.bool("optional") ?? false
            guard let all = try values.all(name, isSecret: kind == "secret", optional: optional) else {
                continue
            }
            try write(
                all, settings, to: directory, optional: optional,
                mode: settings.int("defaultMode") ?? defaultMode)
        }
        if let settings = source.object("downwardAPI") {
            let facts = PodFacts(launch)
            for item in settings.list("items").map({ Fields($0) }) {
                let value =
                    item.object("fieldRef")?.string("fieldPath").flatMap { facts.value(ofField: $0) }
                    ?? item.object("resourceFieldRef")?.string("resource").map {
                        facts.value(ofResource: $0, of: nil)
                    }
                let mode = item.int("mode") ?? settings.int("defaultMode") ?? defaultMode
                try put(Array((value ?? "").utf8), at: item.string("path") ?? "", in: directory, mode: mode)
            }
        }
    }

    private func write(
        _ all: [(key: String, bytes: [UInt8])], _ settings: Fields, to directory: String, optional: Bool,
        mode: Int?
    ) throws {
        let items = settings.list("items").map { Fields($0) }
        guard !items.isEmpty else {
            for (key, bytes) in all { try put(bytes, at: key, in: directory, mode: mode) }
            return
        }
        for item in items {
            let key = item.text("key") ?? ""
            guard let found = all.first(where: { $0.key == key }) else {
                if optional { continue }
                throw StepVolumes.Problem(description: "there is no key \"\(key)\" for the volume's items")
            }
            try put(
                found.bytes, at: item.string("path") ?? key, in: directory, mode: item.int("mode") ?? mode)
        }
    }

    private func put(_ bytes: [UInt8], at relative: String, in directory: String, mode: Int?) throws {
        let path = directory + StepView.normal(relative)
        try Disk.makeDirectories(Disk.parent(of: path))
        try Disk.write(bytes, to: path)
        chmod(path, UInt32(truncatingIfNeeded: mode ?? 0o644) & 0o7777)
    }
}
