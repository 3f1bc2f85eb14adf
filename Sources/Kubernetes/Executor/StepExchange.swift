// What goes between the server and its pods: inputs to fetch, outputs that come in pieces, the result. A pod
// shows a token that is good for its own attempt and nothing else; nothing here is lost when the server
// restarts.

package import Artifacts
import Crypto
import Executors
import Glibc
import Scheduling
import Synchronization
import Text
import WorkflowLanguage

package final class StepExchange: Sendable {
    /// The server's own trouble with an output.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// What a request is answered with.
    package struct Answer: Sendable {
        package enum Content: Sendable {
            case bytes([UInt8])
            /// What a program writes, sent as it comes.
            case pipe(CommandPipe)
        }

        package var status: Int
        package var content: Content

        static func text(_ status: Int, _ text: String) -> Answer {
            Answer(status: status, content: .bytes(Array((text + "\n").utf8)))
        }
    }

    /// A request as a pod sends it.
    package struct Request: Sendable {
        package var method: String
        package var path: String
        package var offset: Int
        package var authorization: String
        package var body: [UInt8]

        package init(method: String, path: String, offset: Int, authorization: String, body: [UInt8]) {
            self.method = method
            self.path = path
            self.offset = offset
            self.authorization = authorization
            self.body = body
        }
    }

    /// Pieces of outputs are no longer.
    package static let pieceLimitBytes = 16 << 20
    private static let resultLimitBytes = 64 << 20

    let store: LocalArtifactStore
    private let dataDirectory: String
    private let secret: SymmetricKey
    private let launches = Mutex<[AttemptKey: Expected]>([:])

    private let listener = Mutex<Listener?>(nil)

    private struct Listener: Sendable {
        var reports: PodReports
        var progress: @Sendable (AttemptKey, String) -> Void
    }

    private struct Expected: Sendable {
        let held: HeldLaunch
        var launch: Launch { held.launch }
        var values: LaunchValues
    }

    /// - Throws: when the secret that tokens are made from can neither be read nor made.
    init(store: LocalArtifactStore, dataDirectory: String) throws {
        self.store = store
        self.dataDirectory = dataDirectory
        let path = dataDirectory + "/step-secret"
        if let bytes = try? Disk.read(path, limitBytes: 64), bytes.count == 32 {
            secret = SymmetricKey(data: bytes)
            return
        }
        let fresh = SymmetricKey(size: .bits256)
        try Disk.makeDirectories(dataDirectory)
        let temporary = "\(path).\(Disk.uniqueSuffix())"
        try Disk.write(fresh.withUnsafeBytes { Array($0) }, to: temporary, mode: 0o600)
        // Whoever was first has the secret that counts.
        if link(temporary, path) != 0 && errno != EEXIST {
            throw ArtifactError(errno: errno, path: path, while: "make")
        }
        unlink(temporary)
        secret = SymmetricKey(data: try Disk.read(path, limitBytes: 64))
    }

    /// Tells the objects of this data directory from those of another with the same instance; no secret.
    var dataMark: String { mark("data directory") }

    // MARK: Who asks

    func expect(_ launch: Launch, _ values: LaunchValues) { expect(HeldLaunch(launch), values) }

    func expect(_ held: HeldLaunch, _ values: LaunchValues) {
        launches.withLock { $0[held.launch.key] = Expected(held: held, values: values) }
    }

    /// What the launch may read from beyond itself; nothing for one that is not known.
    func values(_ key: AttemptKey) -> LaunchValues { launches.withLock { $0[key]?.values } ?? LaunchValues() }

    /// Marks of what a launch's run brings: equal contents of two runs are two objects, each of which goes with its run.
    func marking(_ launch: Launch) -> (String) -> String {
        { self.mark("\(launch.key.workflowUID)\u{0}\($0)") }
    }

    /// Ten letters and digits that change with the text, and tell nothing of it.
    func mark(_ text: String) -> String {
        let code = HMAC<SHA256>.authenticationCode(for: Array("value\u{0}\(text)".utf8), using: secret)
        return code.prefix(5).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }

    /// Who hears of what running steps say of themselves.
    func setListener(
        reports: PodReports, progress: @escaping @Sendable (AttemptKey, String) -> Void
    ) {
        listener.withLock { $0 = Listener(reports: reports, progress: progress) }
    }

    func forget(_ key: AttemptKey) {
        _ = launches.withLock { $0.removeValue(forKey: key) }
    }

    /// `ATTEMPT.NODE.UID` in hexadecimal of its HMAC: it names the attempt, and cannot be made without the
    /// secret.
    func token(_ key: AttemptKey) -> String {
        let name = "\(key.workflowUID)\u{0}\(key.nodeID)\u{0}\(key.attempt)"
        let code = HMAC<SHA256>.authenticationCode(for: Array(name.utf8), using: secret)
        let words = code.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
        return "\(Base64Text.text(Array(name.utf8))).\(words)"
    }

    /// The attempt that a token is for; nil for a token that is not ours.
    func key(ofToken token: String) -> AttemptKey? {
        guard let dot = token.firstIndex(of: "."), let bytes = Base64Text.bytes(String(token[..<dot])) else {
            return nil
        }
        let parts = bytes.split(separator: 0, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard parts.count == 3, let attempt = Int(parts[2]) else { return nil }
        let key = AttemptKey(workflowUID: parts[0], nodeID: parts[1], attempt: attempt)
        return Self.isSame(self.token(key), token) ? key : nil
    }

    /// Takes the same time wherever the texts differ.
    private static func isSame(_ left: String, _ right: String) -> Bool {
        let (left, right) = (Array(left.utf8), Array(right.utf8))
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private func directory(_ key: AttemptKey) -> String {
        AttemptPaths.attempt(dataDirectory, key: key) + "/pod"
    }

    // MARK: Requests

    /// Answers a pod. Blocks, so it belongs on a thread of its own.
    package func answer(_ request: Request) -> Answer {
        let bearer = "Bearer "
        guard request.authorization.hasPrefix(bearer),
            let key = key(ofToken: String(request.authorization.dropFirst(bearer.count)))
        else { return .text(401, "the token is not good here") }
        // After a restart the run comes back in a moment, and with it the launch.
        guard let launch = launches.withLock({ $0[key]?.launch }) else {
            return .text(503, "the step is not known yet")
        }
        let parts = request.path.split(separator: "/").map { URLText.decoded(String($0)) }
        guard parts.count >= 3, parts[0] == "steps", parts[1] == "v1" else {
            return .text(404, "no such address")
        }
        do {
            switch (request.method, parts[2], parts.count) {
            case ("GET", "inputs", 4): return try input(parts[3], launch)
            case ("PUT", "outputs", 4): return try piece(request, parts[3], key)
            case ("GET", "outputs", 4): return .text(200, String(received(parts[3], key)))
            case ("PUT", "metrics", 3): return try metrics(request, key)
            case ("PUT", "progress", 3):
                guard let progress = MetricsTail.progress(request.body[...]) else {
                    return .text(400, "progress is N/M")
                }
                listener.withLock { $0 }?.progress(key, progress)
                return .text(200, progress)
            case ("PUT", "result", 3):
                try Disk.makeDirectories(directory(key))
                try Disk.replace(directory(key) + "/result", with: request.body, durable: false)
                return .text(200, "kept")
            default: return .text(404, "no such address")
            }
        } catch let error as ArtifactError where error.kind == .notFound {
            return .text(404, error.description)
        } catch {
            return .text(500, "\(error)")
        }
    }

    private func metrics(_ request: Request, _ key: AttemptKey) throws -> Answer {
        guard let reports = listener.withLock({ $0?.reports }) else {
            return .text(503, "nobody takes metrics")
        }
        guard let size = try reports.take(request.body, at: request.offset, key) else {
            return .text(409, "the piece begins behind the end")
        }
        return .text(200, String(size))
    }

    /// The content of an artifact that is one file, for those who read it here.
    func text(of artifact: Artifact, _ launch: Launch) throws -> String {
        let folder = "\(directory(launch.key))/\(Disk.uniqueSuffix())"
        try Disk.makeDirectories(folder)
        defer { Disk.removeTree(folder) }
        try transfer(launch).load(artifact, at: folder + "/artifact")
        return String(decoding: try Disk.read(folder + "/artifact", limitBytes: 4 << 20), as: UTF8.self)
    }

    /// A tar archive whose one member is `artifact`.
    private func input(_ name: String, _ launch: Launch) throws -> Answer {
        guard let artifact = launch.inputs.artifact(name) ?? loweredInput(name, launch) else {
            return .text(404, "the step has no input artifact \"\(name)\"")
        }
        let folder = "\(directory(launch.key))/\(Disk.uniqueSuffix())"
        try Disk.makeDirectories(folder)
        do {
            try transfer(launch).load(artifact, at: folder + "/artifact")
            // Sent as it is packed: a model need not lie on the disk a second time for each pod that asks.
            let pipe = try CommandPipe(CommandRun(["tar", "-cf", "-", "-C", folder, "artifact"])) {
                Disk.removeTree(folder)
            }
            return Answer(status: 200, content: .pipe(pipe))
        } catch {
            Disk.removeTree(folder)
            throw error
        }
    }

    /// Our own steps have an input that is made with the pod: their parameters.
    private func loweredInput(_ name: String, _ launch: Launch) -> Artifact? {
        guard case .martlet = launch.template.kind else { return nil }
        return Template(MartletStep.lowering(template: launch.template.raw, image: "")).inputs.artifact(name)
    }

    // MARK: Outputs

    private func archive(_ name: String, _ key: AttemptKey) -> String {
        "\(directory(key))/outputs/\(PodPlan.fileName(name)).tar"
    }

    /// How much of an output has come.
    private func received(_ name: String, _ key: AttemptKey) -> Int {
        Disk.status(archive(name, key))?.sizeBytes ?? 0
    }

    /// A piece is written where it belongs, so that one that comes twice changes nothing.
    private func piece(_ request: Request, _ name: String, _ key: AttemptKey) throws -> Answer {
        let path = archive(name, key)
        try Disk.makeDirectories(Disk.parent(of: path))
        guard request.offset >= 0, request.offset <= received(name, key) else {
            return .text(409, String(received(name, key)))
        }
        let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw ArtifactError(errno: errno, path: path, while: "create") }
        defer { close(file) }
        lseek(file, off_t(request.offset), SEEK_SET)
        try Disk.append(request.body, to: file, path: path)
        return .text(200, String(request.offset + request.body.count))
    }

    func result(_ key: AttemptKey) throws -> PodResult? {
        let path = directory(key) + "/result"
        guard Disk.exists(path) else { return nil }
        return PodResult(try JSONValue(parsingUTF8: try Disk.read(path, limitBytes: Self.resultLimitBytes)))
    }

    /// - Returns: the artifact with its place in the store; nil when the pod sent none.
    func save(_ artifact: Artifact, of launch: Launch) throws -> Artifact? {
        let packed = archive(artifact.name, launch.key)
        // The end of an attempt may be heard of twice, and its archive is deleted after the first time.
        if let bytes = try? Disk.read(packed + ".json", limitBytes: 1 << 20) {
            return Artifact(try JSONValue(parsingUTF8: bytes))
        }
        guard Disk.exists(packed) else { return nil }
        let folder = packed + ".d"
        Disk.removeTree(folder)
        try Disk.makeDirectories(folder)
        try CommandRun(["tar", "-xf", packed, "-C", folder, "--no-same-owner"]).check(
            path: artifact.name, action: "unpack")
        let saved = try save(artifact, from: folder + "/artifact", launch, source: .attemptEnded)
        try Disk.replace(packed + ".json", with: Array(saved.json.compactText.utf8), durable: false)
        for path in [folder, packed] { Disk.removeTree(path) }
        return saved
    }

    private func save(
        _ artifact: Artifact, from path: String, _ launch: Launch, source: LocalArtifactStore.Source
    ) throws -> Artifact {
        let key = "\(launch.workflowName)/\(launch.podName)/\(artifact.name)"
        do {
            return try transfer(launch).save(artifact, from: path, defaultKey: key, source: source).0
        } catch {
            throw Failure(description: "failed to save artifact '\(artifact.name)': \(error)")
        }
    }

    /// Main's log as plain text, under `main-logs`.
    func archiveLog(_ path: String, of launch: Launch) throws -> Artifact {
        let isSet = KubernetesExecutor.work(of: launch.template) != ["main"]
        let lines = StepLog(path: path).lines().filter { isSet || $0.container == "main" }
        let plain = path + ".plain"
        defer { unlink(plain) }
        try Disk.write(Array(lines.map { $0.text + "\n" }.joined().utf8), to: plain)
        let artifact = Artifact(["name": "main-logs", "archive": ["none": [:]]])
        let key = "\(launch.workflowName)/\(launch.podName)/main.log"
        return try transfer(launch).save(artifact, from: plain, defaultKey: key, source: .shared).0
    }

    private func transfer(_ launch: Launch) -> ArtifactTransfer {
        // Credentials of stores are the server's, and never go into a pod.
        let secrets = launches.withLock { $0[launch.key]?.values.secrets } ?? [:]
        return ArtifactTransfer(store: store, namespace: launch.namespace) { name, key in
            guard let found = secrets[name] else { return nil }
            return found.values[key]
                ?? found.encodedValues[key].flatMap(Base64Text.bytes).map {
                    String(decoding: $0, as: UTF8.self)
                }
        }
    }
}
