// `martlet download`: models, data sets and files, verified, resumed, and where other tools find them.

import ArgumentParser
import Artifacts
import Glibc
import Synchronization
import Text

struct DownloadCommand: ParsableCommand, ParameterCommand {
    static let configuration = CommandConfiguration(
        commandName: "download",
        abstract: "Download models and data sets from Hugging Face, ModelScope and other places.",
        discussion: """
            Files go to the cache that the hub's own tools use, or into --local_dir. What is there is
            not fetched again, and an interrupted download goes on where it ended. The directory is
            printed. Variables: HF_ENDPOINT, MARTLET_HF_MIRRORS, HF_TOKEN, HF_HOME, HF_HUB_CACHE,
            HF_HUB_OFFLINE, MODELSCOPE_ENDPOINT, MODELSCOPE_API_TOKEN, MODELSCOPE_CACHE, https_proxy.
            Exit status: 0 done, 1 failed, 2 bad parameters or nothing of that name, 75 ended by TERM,
            130 interrupted; the same command then goes on.
            Examples:
              martlet download Qwen/Qwen2.5-0.5B-Instruct
              martlet download Qwen/Qwen2.5-0.5B config.json tokenizer.json --revision main
              martlet download --repo Qwen/Qwen2.5-0.5B --exclude '*.bin' --local_dir ./model
              martlet download --dataset openai/gsm8k --endpoint https://mirror.example
              martlet download ms://Qwen/Qwen2.5-0.5B --limit_rate 10M
              martlet download https://example.com/model.gguf --local_dir . --dry_run
            """)

    static let parameterGroups: [any ParsableArguments.Type] = [
        DownloadOptions.self, DownloadPlaceOptions.self, DownloadTransferOptions.self,
    ]

    @OptionGroup var options: DownloadOptions
    @OptionGroup(title: "Place") var place: DownloadPlaceOptions
    @OptionGroup(title: "Transfer") var transfer: DownloadTransferOptions

    func run() throws {
        let request = try DownloadRequest(options, place, transfer)
        if case .inPlace(let path) = request.place {
            guard Disk.targetStatus(path)?.kind == .directory else {
                throw CommandError(
                    "\(path) is no directory; a repository of a hub is named owner/name", status: 2)
            }
            return Output.line(path)
        }
        do {
            try Self.download(request)
        } catch let error as DownloadError {
            throw CommandError("\(error)", status: Self.status(of: error.kind))
        }
    }

    /// Bad parameters are what trying again would not help.
    static func status(of kind: DownloadError.Kind) -> Int32 {
        switch kind {
        case .repositoryNotFound, .revisionNotFound, .notFound, .badRequest: 2
        case .cancelled: 130
        default: 1
        }
    }

    private static func download(_ request: DownloadRequest) throws {
        let download = try request.download(transport: Downloader(transferSettings(request)))
        try withSignals { isCancelled in
            if request.isDryRun {
                for line in DownloadReport.lines(try download.plan(isCancelled: isCancelled), request) {
                    Output.line(line)
                }
                return
            }
            let display = DownloadDisplay(
                name: download.source.name, style: request.isQuiet ? .none : .standardError(),
                progressFile: Environment.value("ARGO_PROGRESS_FILE"))
            defer { display.finish() }
            var result = try download.run(progress: { display.show($0) }, isCancelled: isCancelled)
            display.finish()
            for warning in result.warnings { Output.warning(warning) }
            if let export = request.export {
                try result.export(to: export.target, isLinked: export.isLinked)
                result.directory = export.target
            }
            if let leftover = request.leftover { Disk.removeTree(leftover) }
            if let outputs = request.outputs {
                try StepParameters.write(
                    [("revision", .string(result.commit)), ("bytes", .int(result.bytes))], to: outputs)
            }
            for line in DownloadReport.lines(result, request) { Output.line(line) }
        }
    }

    /// Runs `body`, which the first signal ends soon, with all that was fetched on disk.
    private static func withSignals(_ body: (@escaping @Sendable () -> Bool) throws -> Void) throws {
        let flag = StopFlag()
        let signals = SignalWatch { _ in
            Output.note("stopping; what was fetched is kept, and the same command goes on from there")
            flag.set()
        }
        defer { signals.cancel() }
        do {
            try body { flag.isSet }
        } catch let error as DownloadError where error.kind == .cancelled {
            // A step that was told to end is started again; a person who pressed Ctrl-C knows it.
            throw CommandError("\(error)", status: signals.received == SIGTERM ? 75 : 130)
        }
    }

    private static func transferSettings(_ request: DownloadRequest) -> DownloadSettings {
        let names = ["CURL_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR"]
        var environment: [String: String] = [:]
        for name in names { environment[name] = Environment.value(name) }
        var settings = DownloadSettings(environment: environment)
        settings.maxConnections = request.maxWorkers
        settings.rateLimitBytesPerSecond = request.limitRate
        settings.userAgent = "martlet/\(BuildInfo.version)"
        // For networks, and tests, to which the usual patience does not fit.
        if let retries = Environment.value("MARTLET_DOWNLOAD_RETRIES").flatMap({ Int($0) }), retries >= 0 {
            settings.retries = min(retries, 1000)
        }
        let backoff = Environment.value("MARTLET_DOWNLOAD_FIRST_BACKOFF_MS").flatMap { Int($0) }
        if let backoff, (1...60_000).contains(backoff) { settings.firstBackoff = .milliseconds(backoff) }
        return settings
    }
}

/// Set by a signal, read by the download.
private final class StopFlag: Sendable {
    private let flag = Atomic<Bool>(false)
    var isSet: Bool { flag.load(ordering: .acquiring) }
    func set() { flag.store(true, ordering: .releasing) }
}

extension DownloadRequest {
    /// The download with its source and its place.
    func download(transport: any HubTransport) throws -> SnapshotDownload {
        var download = SnapshotDownload(
            source: try source(), store: store(), revision: revision, transport: transport)
        download.filter = FileFilter(include: include, exclude: exclude)
        download.isForced = isForced
        download.isOffline = isOffline
        return download
    }

    /// The seam for further kinds of places: each is a type that lists files.
    private func source() throws -> any DownloadSource {
        switch reference {
        case .repository(let repository, _, _):
            switch repository.hub {
            case .huggingFace:
                HuggingFaceSource(repository, revision: revision, endpoints: settings.huggingFace)
            case .modelScope:
                ModelScopeSource(repository, revision: revision, endpoints: settings.modelScope)
            }
        case .file(let url): try AddressSource(url: url)
        case .directory(let path): DirectorySource(path: path)
        case .objects(let url):
            try S3Source(url: url, downloader: .forStores)
        }
    }

    private func store() -> any SnapshotStore {
        switch (place, reference) {
        case (.cache(let root), .repository(let repository, _, _)) where repository.hub == .huggingFace:
            HubCache(root: root, repository: repository)
        case (.cache(let root), .repository(let repository, _, _)):
            DirectoryStore(modelScopeCache: root, repository: repository, revision: revision)
        case (.cache(let path), _), (.directory(let path), _), (.inPlace(let path), _):
            DirectoryStore(localDirectory: path)
        }
    }
}
