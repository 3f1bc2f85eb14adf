// Where a deployment's files lie, and how its processes are started, found again and ended. Each runs under a
// supervisor of its own, as steps do, and outlives whoever started it.
//
//     deployments/NAME/REVISION/model                 what is served: files or a link to them
//     deployments/NAME/REVISION/adapters/ADAPTER
//     deployments/NAME/REVISION/replica-SLOT-ATTEMPT  an attempt's directory: spec, lock, log, result, port

import Artifacts
import Glibc
package import Scheduling
import Text

/// A replica as its directory shows it.
package struct FoundReplica: Sendable, Hashable {
    package var id: ReplicaID
    package var process: ObservedReplica.Process
    package var failures: Int
    /// Where it listens, once it does.
    package var port: Int?
}

/// Calls block for moments and belong on threads.
package struct ReplicaHost: Sendable {
    /// Seconds that a replica's requests get after it was asked to end; then it is killed.
    package static let drainSeconds = 600
    private static let logLimitBytes = 64 << 20
    private static let variables = [
        "PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES",
        "OMP_NUM_THREADS",
    ]

    package let dataDirectory: String
    private let supervisorPath: String
    private let martletPath: String

    /// - Throws: when there is no supervisor.
    package init(dataDirectory: String, martletExecutablePath: String, supervisorPath: String? = nil) throws {
        self.dataDirectory = dataDirectory
        martletPath = martletExecutablePath
        self.supervisorPath = try supervisorPath ?? SupervisorClient.locateSupervisor()
    }

    // MARK: Places

    package static func root(_ dataDirectory: String) -> String { dataDirectory + "/deployments" }

    package func directory(_ name: String) -> String {
        Self.root(dataDirectory) + "/" + AttemptPaths.name(name)
    }

    package func directory(_ name: String, revision: Int) -> String { "\(directory(name))/\(revision)" }

    package func directory(_ name: String, _ id: ReplicaID) -> String {
        "\(directory(name, revision: id.revision))/replica-\(id.slot)-\(id.attempt)"
    }

    /// What a replica wrote; it may still grow.
    package func log(_ name: String, _ id: ReplicaID) -> StepLog {
        StepLog(path: directory(name, id) + "/log")
    }

    // MARK: Looking

    /// All replicas of a deployment that left or have a directory, in order.
    package func replicas(of name: String) -> [FoundReplica] {
        var found: [FoundReplica] = []
        for revision in (Disk.list(directory(name)) ?? []).compactMap({ Int($0) }) {
            for entry in Disk.list(directory(name, revision: revision)) ?? [] {
                guard let id = Self.id(entry, revision) else { continue }
                found.append(look(name, id))
            }
        }
        return found.sorted { $0.id < $1.id }
    }

    /// Numbers of the revisions that have files.
    package func revisions(of name: String) -> [Int] {
        (Disk.list(directory(name)) ?? []).compactMap { Int($0) }
    }

    private static func id(_ entry: String, _ revision: Int) -> ReplicaID? {
        let parts = entry.split(separator: "-")
        guard parts.count == 3, parts[0] == "replica", let slot = Int(parts[1]), let attempt = Int(parts[2])
        else { return nil }
        return ReplicaID(revision: revision, slot: slot, attempt: attempt)
    }

    private func look(_ name: String, _ id: ReplicaID) -> FoundReplica {
        let place = directory(name, id)
        let note = (try? Disk.read(place + "/replica.json", limitBytes: 4_096)).flatMap {
            try? JSONValue(parsingUTF8: $0)
        }
        var found = FoundReplica(
            id: id, process: .notStarted, failures: note?["failures"]?.intValue ?? 0, port: nil)
        switch SupervisorClient.state(of: place) {
        case .neverStarted: break
        case .running:
            found.process = .running
            found.port = (try? Disk.read(place + "/ready", limitBytes: 64)).flatMap {
                Int(String(decoding: $0, as: UTF8.self).filter(\.isNumber))
            }
        case .finished(let result):
            let moment = Disk.status(place + "/result")?.modifiedNanoseconds ?? 0
            let isTimed = result.startedAt.nanoseconds > 0
            found.process = .ended(
                reason: reason(name, id, result), at: Timestamp(nanoseconds: moment),
                lived: isTimed ? result.finishedAt - result.startedAt : .zero)
        case .lost:
            let moment = Disk.status(place + "/started")?.modifiedNanoseconds ?? 0
            found.process = .ended(
                reason: "its supervisor vanished", at: Timestamp(nanoseconds: moment), lived: .zero)
        }
        return found
    }

    /// How it ended, and what it said last.
    private func reason(_ name: String, _ id: ReplicaID, _ result: AttemptResult) -> String {
        var text =
            result.signal != 0 ? "killed by signal \(result.signal)" : "exit code \(result.exitCode)"
        if !result.message.isEmpty { text += ", \(result.message)" }
        var filter = StepLog.Filter()
        filter.tail = 2
        let said = log(name, id).lines(filter).map(\.text).filter { !$0.isEmpty }.joined(separator: " / ")
        return said.isEmpty ? text : text + ": " + String(said.suffix(600))
    }

    // MARK: Acting

    /// Starts a replica. One that runs or ran in its directory is left alone.
    package func start(_ name: String, _ id: ReplicaID, failures: Int, _ spec: DeploymentSpec) throws
        -> SupervisorClient.ChildHandle
    {
        let place = directory(name, id)
        try Disk.makeDirectories(place, mode: 0o700)
        let note: JSONValue = ["failures": .int(failures)]
        try Disk.replace(place + "/replica.json", with: Array(note.compactText.utf8), durable: false)
        let revision = directory(name, revision: id.revision)
        let environment = Self.variables.compactMap { name in
            getenv(name).map { (name: name, value: String(cString: $0)) }
        }
        var container = SupervisorSpec.Container(
            command: command(spec, revision, slot: id.slot, ready: place + "/ready"), environment: environment
        )
        container.workingDirectory = "/"
        var supervised = SupervisorSpec(containers: [container])
        supervised.sandbox = .plain
        supervised.grace = .seconds(Self.drainSeconds + 10)
        supervised.logLimitBytes = Self.logLimitBytes
        try supervised.write(to: place)
        return try SupervisorClient.spawn(supervisorPath: supervisorPath, attemptDirectory: place)
    }

    private func command(_ spec: DeploymentSpec, _ revision: String, slot: Int, ready: String) -> [String] {
        var words = [
            martletPath, "serve", revision + "/model", "--host", "127.0.0.1",
            "--port", String(Self.port(spec, slot: slot)), "--served-model-name", spec.name, "--quant",
            spec.quant,
            "--drain-timeout", String(Self.drainSeconds), "--ready-file", ready,
        ]
        let adapters = (Disk.list(revision + "/adapters") ?? []).sorted()
        for adapter in adapters { words += ["--lora-modules", "\(adapter)=\(revision)/adapters/\(adapter)"] }
        return words
    }

    /// The first free one of the ports that were named: two revisions need twice as many as there are
    /// replicas.
    private static func port(_ spec: DeploymentSpec, slot: Int) -> Int {
        guard spec.port > 0 else { return 0 }
        let ports = (0..<(2 * spec.replicas)).map { spec.port + ($0 + slot) % (2 * spec.replicas) }
        return ports.first(where: LoopbackPort.isFree) ?? 0
    }

    /// Lets a replica finish its requests and end.
    package func stop(_ name: String, _ id: ReplicaID) throws {
        _ = try SupervisorClient.cancel(attemptDirectory: directory(name, id), immediately: false)
    }

    package func remove(_ name: String, _ id: ReplicaID) { Disk.removeTree(directory(name, id)) }

    package func remove(_ name: String, revision: Int) {
        Disk.removeTree(directory(name, revision: revision))
    }

    package func remove(_ name: String) { Disk.removeTree(directory(name)) }
}
