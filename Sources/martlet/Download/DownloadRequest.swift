// From parameters and environment to what is to be downloaded, from where and to where.

import Artifacts
import Text
import WorkflowLanguage

/// A download with everything decided.
struct DownloadRequest: Sendable {
    /// What becomes of the files of a step.
    struct Export: Sendable, Hashable {
        /// The directory of the step's artifact.
        var target: String
        /// The files become second names of what was fetched, which nobody else uses.
        var isLinked: Bool
    }

    enum Place: Sendable, Hashable {
        /// The hub's cache below this directory.
        case cache(String)
        case directory(String)
        /// Already on this machine; nothing is copied.
        case inPlace(String)
    }

    var reference: DownloadReference
    var revision: String
    var place: Place
    var export: Export?
    /// Bookkeeping that does not belong into a step's artifact.
    var leftover: String?
    /// The step's output directory, for its parameters.
    var outputs: String?
    var include: [String]
    var exclude: [String]
    var settings: HubSettings
    var isForced: Bool
    var isOffline: Bool
    var isDryRun: Bool
    var isJSON: Bool
    var isQuiet: Bool
    var maxWorkers: Int
    var limitRate: Int?

    /// The artifact that a step of it gives.
    private var artifact = "model"

    /// - Parameter environment: the value of a variable.
    /// - Throws: `CommandError` with status 2 and all problems, a line each.
    init(
        _ what: DownloadOptions, _ place: DownloadPlaceOptions, _ transfer: DownloadTransferOptions,
        environment: (String) -> String? = Environment.value
    ) throws {
        var problems: [String] = []
        let endpoints = transfer.endpoint
        settings = HubSettings(
            endpoints: endpoints, token: transfer.token ?? transfer.hubToken, environment: environment)
        isForced = place.forceDownload
        isOffline = settings.isOffline || place.localFilesOnly
        isDryRun = place.dryRun
        isJSON = transfer.json
        isQuiet = transfer.quiet
        maxWorkers = transfer.maxWorkers
        include = Self.list(what.include)
        exclude = Self.list(what.exclude)
        revision = ""
        self.place = .inPlace("")
        reference = .directory(path: "")
        if !(1...64).contains(maxWorkers) { problems.append("--max_workers must be from 1 to 64") }
        if let rate = transfer.limitRate {
            limitRate = ByteCount.parse(rate)
            if limitRate == nil {
                problems.append("--limit_rate \(rate): write bytes a second, such as 500k or 10M")
            }
        }
        if isForced, isOffline {
            problems.append(
                "--force_download needs the network, which --local_files_only or HF_HUB_OFFLINE forbids")
        }
        do throws(DownloadReference.Failure) {
            try read(what, &problems)
        } catch {
            problems.append("\(error)")
        }
        if problems.isEmpty { choosePlace(place, environment, &problems) }
        guard problems.isEmpty else { throw CommandError(problems.joined(separator: "\n"), status: 2) }
    }

    /// Texts with commas as more texts.
    private static func list(_ texts: [String]) -> [String] {
        texts.flatMap { $0.split(separator: ",") }.map { text in
            var text = text.drop { $0 == " " }
            while text.last == " " { text.removeLast() }
            return String(text)
        }.filter { !$0.isEmpty }
    }

    // MARK: What

    private mutating func read(
        _ what: DownloadOptions, _ problems: inout [String]
    ) throws(DownloadReference.Failure) {
        let given = [("--repo", what.repo), ("--model", what.model), ("--dataset", what.dataset)]
            .filter { $0.1 != nil }
        guard let (name, text) = given.first, let text else {
            problems.append(
                "what to download is missing; write owner/name, such as Qwen/Qwen2.5-0.5B-Instruct")
            return
        }
        if given.count > 1 {
            problems.append(
                "\(given.map(\.0).joined(separator: " and ")): one step downloads one thing; write two")
        }
        var kind = what.repoType.flatMap { HubRepository.Kind(rawValue: $0.rawValue) }
        if name == "--dataset" {
            if let kind, kind != .dataset {
                problems.append("--dataset and --repo_type \(kind.rawValue) disagree")
            }
            kind = .dataset
        }
        reference = try DownloadReference(text, hub: hub(what, &problems), kind: kind, settings: settings)
        if kind == .dataset { artifact = "dataset" }
        switch reference {
        case .repository(let repository, let named, let path):
            if repository.kind == .dataset { artifact = "dataset" }
            if let named, let given = what.revision, named != given {
                problems.append("--revision \(given): \(text) names another one")
            }
            revision = named ?? what.revision ?? repository.defaultRevision
            if !HubPath.isRevision(revision) {
                problems.append("--revision \(revision) cannot be a revision")
            }
            if let path {
                let literal = Self.literal(path)
                include += [literal, literal + "/*"]
            }
        case .file, .objects, .directory:
            if let given = what.revision { problems.append("--revision \(given): \(text) has no revisions") }
        }
    }

    private func hub(_ what: DownloadOptions, _ problems: inout [String]) -> HubRepository.Hub {
        let named: HubRepository.Hub? = what.hub.map {
            $0 == .hf || $0 == .huggingface ? .huggingFace : .modelScope
        }
        let meant: HubRepository.Hub? = what.useHf.map { $0 ? .huggingFace : .modelScope }
        if let named, let meant, named != meant {
            problems.append("--hub and --use_hf disagree; leave one out")
        }
        return named ?? meant ?? .huggingFace
    }

    /// A pattern that matches the path only.
    private static func literal(_ path: String) -> String {
        path.map { "*?[".contains($0) ? "[\($0)]" : String($0) }.joined()
    }

    // MARK: Where

    private mutating func choosePlace(
        _ options: DownloadPlaceOptions, _ environment: (String) -> String?, _ problems: inout [String]
    ) {
        func variable(_ name: String) -> String? { environment(name).flatMap { $0.isEmpty ? nil : $0 } }
        if let one = options.localDir, let other = options.outputDir, one != other {
            problems.append("--local_dir and --output_dir are the same parameter; leave one out")
        }
        outputs = variable("MARTLET_OUTPUT_DIR")
        let target = outputs.map { "\($0)/\(artifact)" }
        let local = (options.localDir ?? options.outputDir).map(Self.absolute)
        if let local, options.cacheDir != nil {
            problems.append("--cache_dir and --local_dir \(local): files go to one place; leave one out")
        }
        let cache = options.cacheDir.map(Self.absolute)
        if let local {
            place = .directory(local)
        } else if case .repository(let repository, _, _) = reference, target == nil || cache != nil {
            place = .cache(
                cache
                    ?? (repository.hub == .huggingFace ? settings.huggingFaceCache : settings.modelScopeCache)
            )
            export = target.map { Export(target: $0, isLinked: false) }
        } else if let target {
            chooseStepPlace(target, variable)
        } else if case .directory(let path) = reference {
            place = .inPlace(Self.absolute(path))
        } else {
            problems.append("--local_dir is missing: only repositories of hubs have a cache of their own")
        }
    }

    /// A step keeps what it has between its attempts: in a cache that its environment names, else beside its
    /// checkpoints.
    private mutating func chooseStepPlace(_ target: String, _ variable: (String) -> String?) {
        if case .repository(let repository, _, _) = reference {
            let isHuggingFace = repository.hub == .huggingFace
            let names = isHuggingFace ? ["HF_HUB_CACHE", "HF_HOME"] : ["MODELSCOPE_CACHE"]
            if names.contains(where: { variable($0) != nil }) {
                place = .cache(isHuggingFace ? settings.huggingFaceCache : settings.modelScopeCache)
                // Others use these bytes, too.
                export = Export(target: target, isLinked: false)
                return
            }
        }
        if let kept = variable("MARTLET_CHECKPOINT_DIR") {
            place = .directory("\(kept)/download")
            export = Export(target: target, isLinked: true)
        } else {
            place = .directory(target)
            leftover = "\(target)/.cache/huggingface"
        }
    }

    private static func absolute(_ path: String) -> String {
        if path == "~" || path.hasPrefix("~/"), let home = Environment.value("HOME") {
            return home + path.dropFirst()
        }
        var path = Environment.absolute(path)
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path
    }
}
