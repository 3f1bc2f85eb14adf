// Artifacts: where they lie in the container, where they lie in a store, how they are packed.

import Text

extension ValidationContext {
    /// The path of an artifact of a template: needed in containers, meaningless in steps.
    func checkPath(
        of artifact: Artifact, of template: Template, at path: FieldPath, into findings: inout Findings
    ) {
        guard let text = artifact.path, !text.isEmpty else {
            if template.kind.needsArtifactPaths {
                findings.error(
                    "artifact '\(artifact.name)': path not specified", at: path,
                    remedy: "write path: where the container finds or leaves the file or directory")
            }
            return
        }
        if !template.kind.isLeaf, template.kind != .missing {
            findings.error(
                "artifact '\(artifact.name)': path only valid in container/script templates",
                at: path["path"],
                remedy: "remove path; \(template.kind.title) templates pass artifacts on by name")
        } else if text.split(separator: "/").contains("..") {
            findings.error(
                "artifact '\(artifact.name)': path '\(text)' must not contain '..'", at: path["path"],
                remedy: "write the path that is meant, without '..'")
        }
        if let mode = artifact.mode, !(0...0o777).contains(mode) {
            findings.error(
                "artifact '\(artifact.name)': mode \(mode) is not between 0 and 0777", at: path["mode"])
        }
    }

    /// The store that an artifact or an archive location names, and how the artifact is packed there.
    func checkLocation(_ artifact: Artifact, at path: FieldPath, into findings: inout Findings) {
        let stores = Artifact.locationKeys.filter { artifact.raw[$0] ?? .null != .null }
        if stores.count > 1 {
            findings.error(
                "only one artifact location is allowed, but there are " + stores.joined(separator: ", "),
                at: path[stores[1]], remedy: "keep one of them")
        }
        for store in stores {
            checkStore(store, Fields(artifact.raw[store]), at: path[store], into: &findings)
        }
        checkArchive(artifact, at: path["archive"], into: &findings)
        checkGarbageCollection(
            artifact.garbageCollection, at: path["artifactGC"]["strategy"], into: &findings)
    }

    private func checkStore(
        _ store: String, _ settings: Fields, at path: FieldPath, into findings: inout Findings
    ) {
        let required: [String: [String]] = [
            "git": ["repo"], "http": ["url"], "raw": ["data"], "hdfs": ["path"], "artifactory": ["url"],
            "plugin": ["name"],
        ]
        for key in required[store] ?? [] where (settings.text(key) ?? "").isEmpty {
            // An empty raw artifact is an empty file.
            if store == "raw", settings.members[key] == .string("") { continue }
            findings.error("\(store).\(key) is required", at: path, remedy: "write \(key): ...")
        }
        if store == "hdfs", let text = settings.string("path"), !Tag.isIn(text), !text.hasPrefix("/") {
            findings.error("hdfs.path must be absolute", at: path["path"])
        }
    }

    private func checkArchive(_ artifact: Artifact, at path: FieldPath, into findings: inout Findings) {
        guard let archive = artifact.raw["archive"]?.objectValue else { return }
        let chosen = ["none", "tar", "zip"].filter { archive[$0] ?? .null != .null }
        if chosen.count > 1 {
            findings.error(
                "only one of none, tar or zip can be the archive", at: path[chosen[1]],
                remedy: "keep one of them")
        }
        if let level = Fields(archive["tar"]).int("compressionLevel"), !(-2...9).contains(level) {
            findings.error(
                "compressionLevel \(level) is not between -2 and 9", at: path["tar"]["compressionLevel"],
                remedy: "0 is no compression, 1 the fastest, 9 the smallest, -1 the default")
        }
    }

    func checkGarbageCollection(_ strategy: String?, at path: FieldPath, into findings: inout Findings) {
        checkWord(
            strategy, among: ["Never", "OnWorkflowCompletion", "OnWorkflowDeletion"],
            of: "artifactGC strategy",
            at: path, into: &findings)
    }

    /// A word of a fixed list; absent, empty and tagged ones pass.
    func checkWord(
        _ word: String?, among allowed: [String], of what: String, at path: FieldPath,
        into findings: inout Findings
    ) {
        guard let word, !word.isEmpty, !Tag.isIn(word), !allowed.contains(word) else { return }
        findings.error(
            "unknown \(what) '\(word)'", at: path,
            remedy: remedy(for: word, among: allowed, called: "allowed"))
    }
}
