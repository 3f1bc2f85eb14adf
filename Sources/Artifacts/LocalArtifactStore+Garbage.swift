// Deleting bytes that no key names any more.

import Glibc

extension LocalArtifactStore {
    package struct Collected: Sendable, Equatable {
        package var files = 0
        package var bytes = 0
    }

    /// Deletes bytes that no key names and that were neither saved nor saved again for `age`. Saving goes on
    /// meanwhile: what is being saved is young, and old bytes that are saved again become young under the
    /// lock that deleting takes.
    /// - Parameters:
    ///   - now: the clock of the file system, in nanoseconds since 1970.
    ///   - age: must be longer than any save takes from its first file to its `publish`.
    package func collectGarbage(now: Int64, age: Duration = .seconds(86_400)) throws -> Collected {
        let before = now - Int64(age.components.seconds) * 1_000_000_000
        // Old candidates are noted first and keys read afterwards: a key published in between is seen.
        let candidates = oldBlobs(before: before)
        var kept: Set<String> = []
        for reference in references(below: "\(root)/references") {
            guard kept.insert(reference.tree.hash).inserted, reference.tree.isDirectory else { continue }
            // A directory whose list is lost cannot be read anyhow; its files may stay, so the others are
            // deleted.
            guard let manifest = try? manifest(of: reference.tree) else { continue }
            for entry in manifest.entries {
                if case .file(let hash, _) = entry.content { kept.insert(hash) }
            }
        }
        var collected = Collected()
        let lock = try StoreLock(root: root)
        for path in candidates where !kept.contains(Disk.name(of: path)) {
            try lock.take(LOCK_EX)
            defer { lock.release() }
            guard let status = Disk.status(path), Self.isOld(status, before: before), unlink(path) == 0
            else { continue }
            collected.files += 1
            if status.links == 1 { collected.bytes += status.sizeBytes }
        }
        removeOldTemporaries(before: before)
        return collected
    }

    private static func isOld(_ status: Disk.Status, before: Int64) -> Bool {
        max(status.modifiedNanoseconds, status.changedNanoseconds) < before
    }

    private func oldBlobs(before: Int64) -> [String] {
        var paths: [String] = []
        for first in Disk.list("\(root)/blobs") ?? [] {
            for name in Disk.list("\(root)/blobs/\(first)") ?? [] {
                let path = "\(root)/blobs/\(first)/\(name)"
                if let status = Disk.status(path), Self.isOld(status, before: before) { paths.append(path) }
            }
        }
        return paths
    }

    private func removeOldTemporaries(before: Int64) {
        for name in Disk.list("\(root)/temporary") ?? [] {
            let path = "\(root)/temporary/\(name)"
            if let status = Disk.status(path), Self.isOld(status, before: before) { Disk.removeTree(path) }
        }
    }
}
