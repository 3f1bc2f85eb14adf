// Secrets that steps are given: the step sees them, and no file of the data directory does.

import Artifacts
import Glibc
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Executors

@Suite(
    "Local executor: secrets", .enabled(if: LocalWorkshop.hasSupervisor, LocalWorkshop.skipReason),
    .enabled(
        if: SecretMemory.isThere, "there is no file system in memory here, and steps with Secrets are refused"
    ),
    .timeLimit(.minutes(30)))
struct LocalExecutorSecretTests {
    private let workshop: LocalWorkshop
    private static let canary = "canary-7f3a91c2d4"
    private static let pem = "-----BEGIN KEY-----\nQUJDREVGR0hJSktM\nTU5PUFFSU1RVVldY\n-----END KEY-----\n"

    init() throws { workshop = try LocalWorkshop() }

    private static let values = LaunchValues(secrets: [
        "s": KeyedValues([
            "kind": "Secret", "metadata": ["name": "s"],
            "stringData": ["token": .string(canary), "key": .string(pem), "short": "no"],
        ])
    ])

    private func run(
        _ template: JSONValue, _ settings: (inout LocalExecutorSettings) -> Void = { _ in }
    ) async throws -> AttemptOutcome {
        let executor = try workshop.executor(settings)
        let launch = ExecutorConformance.launch("a", template: template)
        await executor.launch(launch, values: Self.values)
        let last = await ExecutorConformance.reports(executor, until: launch.key).last
        await executor.shutDown()
        guard case .finished(_, let outcome)? = last else { throw ExecutorConformance.Unfinished() }
        #expect(
            !Disk.exists(SecretMemory.directory(workshop.directory, launch.key)),
            "what was in memory is forgotten")
        return outcome
    }

    /// The files below the data directory that hold a text.
    private func files(with text: String) -> [String] {
        var found: [String] = []
        var pending = [workshop.directory]
        while let path = pending.popLast() {
            switch Disk.status(path)?.kind {
            case .directory: pending += (Disk.list(path) ?? []).map { "\(path)/\($0)" }
            case .file:
                let bytes = (try? Disk.read(path, limitBytes: 64 << 20)) ?? []
                if String(decoding: bytes, as: UTF8.self).contains(text) { found.append(path) }
            default: break
            }
        }
        return found
    }

    private static let environment: JSONValue = [
        ["name": "TOKEN", "valueFrom": ["secretKeyRef": ["name": "s", "key": "token"]]],
        ["name": "SHORT", "valueFrom": ["secretKeyRef": ["name": "s", "key": "short"]]],
    ]

    @Test(
        "A secret in the environment reaches the step, and neither log, result, parameters nor spec have it")
    func environment() async throws {
        let script = """
            test ${#TOKEN} = 17 || exit 3
            echo "got $TOKEN and $SHORT"; echo "err:$TOKEN:" >&2
            printf '%s' "$TOKEN" | cut -c1-9 | tr -d '\\n'; printf '%s\\n' "${TOKEN#canary-7f}"
            printf 'x%sy' "$TOKEN" > /tmp/p; exec cat /tmp/p
            """
        let template: JSONValue = [
            "name": "t", "container": ["command": ["sh", "-c", .string(script)], "env": Self.environment],
            "outputs": ["parameters": [["name": "p", "valueFrom": ["path": "/tmp/p"]]]],
        ]
        let outcome = try await run(template)
        #expect(outcome.phase == .succeeded, "\(outcome.message)")
        #expect(outcome.outputs.result == "got *** and no\n***\nx***y")
        #expect(outcome.outputs.parameter("p")?.value == "x***y")
        // What the step itself wrote into its own directory is its own doing.
        let found = files(with: Self.canary).filter { !$0.hasSuffix("/tmp/p") }
        #expect(found.isEmpty, "\(found)")
        let log = try #require(try? Disk.read("\(workshop.directory)/runs/uid/a/0/log", limitBytes: 1 << 20))
        #expect(String(decoding: log, as: UTF8.self).contains("err:***:"))
    }

    @Test("A secret as a volume lies in memory, and its lines are covered one by one")
    func volume() async throws {
        let template: JSONValue = [
            "name": "t",
            "volumes": [["name": "v", "secret": ["secretName": "s", "defaultMode": 0o400]]],
            "container": [
                "command": ["sh", "-c", "cat /keys/key; stat -c %a /keys/token; cat /keys/token"],
                "volumeMounts": [["name": "v", "mountPath": "/keys", "readOnly": true]],
            ],
        ]
        let outcome = try await run(template)
        #expect(outcome.phase == .succeeded, "\(outcome.message)")
        #expect(outcome.outputs.result == "***\n400\n***")
        for text in [Self.canary, "QUJDREVGR0hJSktM"] { #expect(files(with: text).isEmpty) }
    }

    @Test("A projected volume with a secret among its sources lies in memory as well")
    func projected() async throws {
        let template: JSONValue = [
            "name": "t",
            "volumes": [["name": "v", "projected": ["sources": [["secret": ["name": "s"]]]]]],
            "container": [
                "command": ["sh", "-c", "wc -c < /keys/token"],
                "volumeMounts": [["name": "v", "mountPath": "/keys"]],
            ],
        ]
        #expect(try await run(template).outputs.result == "17")
        #expect(files(with: Self.canary).isEmpty)
    }

    @Test("Without a sandbox secrets are in memory, too")
    func plain() async throws {
        let mount = workshop.directory + "/mounted-keys"
        let template: JSONValue = [
            "name": "t",
            "volumes": [["name": "v", "secret": ["secretName": "s"]]],
            "container": [
                "command": ["sh", "-c", .string("cat \(mount)/token; echo; echo $TOKEN")],
                "env": Self.environment,
                "volumeMounts": [["name": "v", "mountPath": .string(mount)]],
            ],
        ]
        let outcome = try await run(template) { $0.sandboxMode = .plain }
        #expect(outcome.outputs.result == "***\n***", "\(outcome.message)")
        #expect(files(with: Self.canary).isEmpty)
    }

    @Test("The header of a request that comes from a secret is on no disk")
    func request() async throws {
        let template: JSONValue = [
            "name": "t",
            "http": [
                "url": "http://127.0.0.1:1/", "timeoutSeconds": 2,
                "headers": [["name": "A", "valueFrom": ["secretKeyRef": ["name": "s", "key": "token"]]]],
            ],
        ]
        // Stands for the program that performs the request.
        let program = workshop.directory + "/program"
        let script = """
            #!/bin/sh
            grep -q canary-7f3a91c2d4 "$2" || exit 9
            printf 200 > /.martlet/response-status; cp "$2" /.martlet/response-body
            """
        try Disk.write(Array(script.utf8), to: program, mode: 0o755)
        let outcome = try await run(template) { $0.martletExecutablePath = program }
        #expect(outcome.phase == .succeeded, "\(outcome.message)")
        #expect(outcome.outputs.result?.contains("A: ***") == true, "the answer may repeat what was sent")
        unlink("\(workshop.directory)/runs/uid/a/0/root/.martlet/response-body")
        unlink(program)
        #expect(files(with: Self.canary).isEmpty)
    }

    @Test("What ended while nobody was there to see it is forgotten at the next start")
    func sweep() throws {
        let key = AttemptKey(workflowUID: "uid-\(getpid())", nodeID: "n", attempt: 0)
        let directory = try SecretMemory.make(workshop.directory, key)
        try Disk.write(Array("x".utf8), to: directory + "/spec")
        let attempt = AttemptPaths.attempt(workshop.directory, key: key)
        try Disk.makeDirectories(attempt)
        SecretMemory.sweep(dataDirectory: workshop.directory)
        #expect(Disk.exists(directory), "an attempt that may still run keeps what it was given")
        try Disk.write(Array("{}".utf8), to: attempt + "/outcome")
        SecretMemory.sweep(dataDirectory: workshop.directory)
        #expect(!Disk.exists(directory))
    }
}
