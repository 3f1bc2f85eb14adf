// `martlet serve`: a model behind OpenAI's API.

import ArgumentParser
import Artifacts
import Glibc
import Inference
import Models
import WebServer

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve a model over HTTP with OpenAI's API.",
        discussion: """
            Prints the address when it is ready. The first Ctrl-C or TERM lets running requests finish.
            Examples:
              martlet serve ./Qwen2.5-0.5B-Instruct --quant int8 --port 8000
              curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' \\
                -d '{"model": "Qwen2.5-0.5B-Instruct", "messages": [{"role": "user", "content": "Hi"}]}'
            """)

    @OptionGroup var options: ModelOptions

    @Option(help: "Address to listen on.")
    var host = "127.0.0.1"

    @Option(help: "Port to listen on; 0 takes a free one.")
    var port = 8000

    @Option(help: "Names that requests may call the model by; the directory's name unless given.")
    var servedModelName: [String] = []

    @Option(help: "Keys that clients must send as bearer tokens; $MARTLET_API_KEY adds one.")
    var apiKey: [String] = []

    @Flag(help: "On an address that others reach: serve without keys.")
    var noAuth = false

    @Option(help: "Tokens of a sequence at most, prompt and answer; the model's limit unless given.")
    var maxModelLen: Int?

    @Option(help: "Tokens that the KV cache holds.")
    var kvCacheTokens: Int?

    @Option(help: "Sequences that run at once.")
    var maxNumSeqs = 64

    @Option(help: "Tokens computed in a step.")
    var maxNumBatchedTokens = 512

    @Option(help: "Requests that wait for their turn; more are told to come back (429).")
    var maxQueue = 256

    @Flag(inversion: .prefixedNo, help: "Reuse what was computed for equal beginnings of prompts.")
    var prefixCaching = true

    @Option(help: ArgumentHelp("Adapters to load, as NAME=DIR.", valueName: "NAME=DIR"))
    var loraModules: [String] = []

    @Option(help: "Format of tool calls: auto, hermes or llama3_json.")
    var toolCallParser = "auto"

    @Flag(help: "Give what the model thinks between its think tags as reasoning_content.")
    var reasoning = false

    @Option(help: ArgumentHelp("Chat template to use in place of the model's.", valueName: "FILE"))
    var chatTemplate: String?

    @Flag(
        help: "Let requests bring their own chat template. Templates are programs: only for trusted clients.")
    var trustRequestChatTemplate = false

    @Option(help: "Origins of web pages that may use the server; * for all.")
    var allowedOrigins: [String] = []

    @Option(help: "Seconds that running requests get to finish after TERM.")
    var drainTimeout = 30

    @Option(help: ArgumentHelp("Write the port here when ready.", visibility: .hidden))
    var readyFile: String?

    @Option(help: "trace, debug, info, notice, warning or error.")
    var logLevel = "notice"

    @Option(help: "YAML or JSON file with these options.")
    var config: String?

    func validate() throws {
        guard (0...65_535).contains(port) else { throw ValidationError("--port must be from 0 to 65535") }
        guard maxNumSeqs >= 1, maxNumSeqs <= 4096 else {
            throw ValidationError("--max-num-seqs must be from 1 to 4096")
        }
        guard maxNumBatchedTokens >= 1, maxNumBatchedTokens <= 1 << 16 else {
            throw ValidationError("--max-num-batched-tokens must be from 1 to 65536")
        }
        if let maxModelLen, maxModelLen < 2 { throw ValidationError("--max-model-len must be at least 2") }
        if let kvCacheTokens, kvCacheTokens < 16 {
            throw ValidationError("--kv-cache-tokens must be at least 16")
        }
        guard maxQueue >= 1 else { throw ValidationError("--max-queue must be at least 1") }
    }

    func run() async throws {
        let settings = try servingSettings()
        let isLoopback = ["127.0.0.1", "::1", "localhost"].contains(host)
        guard isLoopback || !settings.apiKeys.isEmpty || noAuth else {
            throw CommandError(
                "\(host) can be reached by others: give --api-key KEY, or say --no-auth outright", status: 64)
        }
        let engine = try await options.makeEngine(engineSettings(settings.servedModelNames[0]))
        let server = try OpenAIServer(service: engine, settings: settings)
        try await serve(engine, server, adapters())
    }

    private func serve(
        _ engine: InferenceEngine, _ server: OpenAIServer, _ adapters: [(name: String, path: String)]
    ) async throws {
        let (stops, stop) = AsyncStream<Void>.makeStream()
        let signals = SignalWatch { _ in
            Output.note("finishing running requests; press Ctrl-C again to leave at once")
            stop.yield()
        }
        defer { signals.cancel() }
        try await EngineSession.run(engine) { [host, options, readyFile] _ in
            for adapter in adapters { try await engine.loadAdapter(name: adapter.name, path: adapter.path) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await server.run { port in
                        let address = host.contains(":") ? "[\(host)]" : host
                        // Without the file nobody sends requests here, and this process is ended for that.
                        if let readyFile {
                            try? Disk.replace(readyFile, with: Array("\(port)".utf8), durable: false)
                        }
                        Output.line("serving \(options.place.model) at http://\(address):\(port)/v1")
                    }
                }
                group.addTask { for await _ in stops { return } }
                try await group.next()
                group.cancelAll()
                try await group.waitForAll()
            }
        }
    }

    private func adapters() throws -> [(name: String, path: String)] {
        try loraModules.map { word in
            guard let (name, path) = SubmissionRequest.pair(word) else {
                throw CommandError("--lora-modules: \"\(word)\" has no =; write NAME=DIR", status: 64)
            }
            return (name, path)
        }
    }

    private func engineSettings(_ name: String) -> EngineSettings {
        var settings = EngineSettings()
        settings.modelName = name
        settings.maxModelLength = maxModelLen
        settings.cacheTokens = kvCacheTokens
        settings.maxRunning = maxNumSeqs
        settings.maxBatchedTokens = max(maxNumBatchedTokens, maxNumSeqs)
        settings.maxWaiting = maxQueue
        settings.sharesPrefixes = prefixCaching
        return settings
    }

    private func servingSettings() throws -> ServingSettings {
        var settings = ServingSettings()
        settings.host = host
        settings.port = port
        settings.apiKeys = apiKey
        if let key = getenv("MARTLET_API_KEY").map({ String(cString: $0) }), !key.isEmpty {
            settings.apiKeys.append(key)
        }
        var name = options.place.model[...]
        while name.hasSuffix("/") && name.count > 1 { name = name.dropLast() }
        settings.servedModelNames =
            servedModelName.isEmpty ? [String(name.split(separator: "/").last ?? "model")] : servedModelName
        settings.maxQueue = maxQueue
        settings.drainTimeout = .seconds(drainTimeout)
        settings.allowedOrigins = allowedOrigins
        settings.defaults = SamplingDefaults(try options.generationConfiguration())
        settings.splitsReasoning = reasoning
        settings.trustsRequestTemplates = trustRequestChatTemplate
        settings.version = BuildInfo.version
        settings.modelRoot = options.place.model
        if let chatTemplate {
            settings.chatTemplate = String(decoding: try Environment.read(chatTemplate), as: UTF8.self)
        }
        guard let level = ServingSettings.LogLevel(rawValue: logLevel) else {
            throw CommandError(
                "--log-level: \"\(logLevel)\" is none of trace, debug, info, notice, warning, error",
                status: 64)
        }
        settings.logLevel = level
        if toolCallParser != "auto" {
            guard let format = ToolCallFormat(rawValue: toolCallParser) else {
                let known = ToolCallFormat.allCases.map(\.rawValue).joined(separator: ", ")
                throw CommandError(
                    "--tool-call-parser: \"\(toolCallParser)\" is none of auto, \(known)", status: 64)
            }
            settings.toolParsing = .format(format)
        }
        return settings
    }
}
