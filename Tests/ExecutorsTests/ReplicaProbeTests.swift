// What a replica's first completion must be, and where replicas are found.

import Foundation
import Scheduling
import Testing
import Text

@testable import Executors

@Suite("A replica that is looked at")
struct ReplicaProbeTests {
    private static func completion(_ logprobs: JSONValue, text: JSONValue = "a") -> JSONValue {
        ["choices": [["text": text, "logprobs": ["token_logprobs": logprobs]]]]
    }

    @Test(
        "A completion passes with a text and probabilities that are numbers",
        arguments: [
            (completion([-0.5, -1]), nil), (completion([]), "came back without any"),
            (completion([.null, -1]), "no numbers"), (completion([-1], text: .null), "no choice with a text"),
            (["choices": []], "no choice with a text"), (["error": "x"], "no choice with a text"),
        ] as [(JSONValue, String?)])
    func completions(json: JSONValue, problem: String?) {
        let found = ReplicaProbe.problem(inCompletion: json)
        #expect((found == nil) == (problem == nil))
        if let problem { #expect(found?.contains(problem) == true, "\(found ?? "")") }
    }

    @Test("Where nobody listens nobody is well, and the test says that there was no answer")
    func nobody() {
        // Port 1 has no server on any machine that tests run on.
        #expect(!ReplicaProbe.isWell(port: 1))
        #expect(ReplicaProbe.smokeTest(port: 1, model: "chat")?.hasPrefix("no answer") == true)
    }

    @Test("Replicas are found by their directories, whatever else lies there")
    func places() throws {
        let data = NSTemporaryDirectory() + "martlet-replicas-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: data) }
        let host = try ReplicaHost(
            dataDirectory: data, martletExecutablePath: "/bin/false", supervisorPath: "/bin/false")
        #expect(host.replicas(of: "chat").isEmpty)
        for name in ["2/replica-0-1", "2/replica-0-3", "10/replica-1-1", "2/model", "2/replica-x-1", "other"]
        {
            try FileManager.default.createDirectory(
                atPath: host.directory("chat") + "/" + name, withIntermediateDirectories: true)
        }
        let ids = [(2, 0, 1), (2, 0, 3), (10, 1, 1)].map {
            ReplicaID(revision: $0.0, slot: $0.1, attempt: $0.2)
        }
        #expect(host.replicas(of: "chat").map(\.id) == ids)
        #expect(host.replicas(of: "chat").allSatisfy { $0.process == .notStarted })
        #expect(host.revisions(of: "chat").sorted() == [2, 10])
        #expect(!host.directory("../x").contains("/../"))
    }
}
