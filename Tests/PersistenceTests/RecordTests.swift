// Artifacts and metrics of runs.

import Testing
import Text

@testable import Persistence

@Suite struct RecordTests {
    let directory: TemporaryDirectory
    let store: Store

    init() async throws {
        directory = try TemporaryDirectory()
        store = try directory.open()
        try await store.insertWorkflow(.sample("a"))
        try await store.insertWorkflow(.sample("b"))
    }

    func artifact(_ name: String, sha256: String? = nil) -> ArtifactRow {
        ArtifactRow(
            nodeID: "n", name: name, location: .object(["key": .string("runs/\(name)")]), bytes: 1 << 40,
            sha256: sha256, createdAt: Timestamp(seconds: 1))
    }

    @Test("Artifacts come back, and a deleted one keeps its row") func artifacts() async throws {
        try await store.saveArtifacts("uid-ml-a", [artifact("model", sha256: "ab"), artifact("logs")])
        try await store.saveArtifacts("uid-ml-b", [artifact("model", sha256: "ab")])
        #expect(try await store.artifacts("uid-ml-a") == [artifact("logs"), artifact("model", sha256: "ab")])
        #expect(try await store.artifactReferences(sha256: "ab") == 2)
        try await store.markArtifactDeleted("uid-ml-a", nodeID: "n", name: "model", at: Timestamp(seconds: 9))
        try await store.markArtifactDeleted(
            "uid-ml-a", nodeID: "n", name: "model", at: Timestamp(seconds: 10))
        #expect(try await store.artifacts("uid-ml-a").last?.deletedAt == Timestamp(seconds: 9))
        #expect(try await store.artifactReferences(sha256: "ab") == 1)
        try await store.deleteWorkflow("uid-ml-b")
        #expect(try await store.artifactReferences(sha256: "ab") == 0)
        let error = await storeError { try await store.saveArtifacts("nobody", [artifact("x")]) }
        #expect(error == .notFound(kind: "workflow", name: "nobody"))
    }

    func point(_ name: String, _ step: Double, _ value: Double, node: String = "n", attempt: Int = 0)
        -> MetricPoint
    {
        MetricPoint(
            nodeID: node, attempt: attempt, name: name, step: step, value: value, at: Timestamp(seconds: 1))
    }

    @Test("Points come back by curve and step, and a point told twice is one point") func metrics()
        async throws
    {
        let points = (0..<500).map { point("loss", Double($0), 1 / Double($0 + 1)) }
        try await store.saveMetrics("uid-ml-a", points.shuffled())
        try await store.saveMetrics("uid-ml-a", [point("loss", 7, 1 / 8)])
        try await store.saveMetrics("uid-ml-a", [point("lr", 0.5, 3), point("loss", 0, 9, attempt: 1)])
        #expect(try await store.metrics("uid-ml-a", MetricQuery(attempt: 0, name: "loss")) == points)
        #expect(
            try await store.metrics("uid-ml-a", MetricQuery(name: "loss", steps: 10...12))
                == Array(points[10...12]))
        #expect(
            try await store.metrics("uid-ml-a", MetricQuery(name: "loss", limit: 3)) == Array(points[0..<3]))
        #expect(try await store.metrics("uid-ml-b").isEmpty)
        #expect(
            try await store.metricSeries("uid-ml-a") == [
                MetricSeries(nodeID: "n", attempt: 0, name: "loss"),
                MetricSeries(nodeID: "n", attempt: 1, name: "loss"),
                MetricSeries(nodeID: "n", attempt: 0, name: "lr"),
            ])
        try await store.deleteMetrics("uid-ml-a")
        #expect(try await store.metrics("uid-ml-a").isEmpty)
    }

    @Test("A diverged loss is kept as it is", arguments: [Double.nan, .infinity, -.infinity, 0, -0.0, 1e308])
    func strangeValues(value: Double) async throws {
        try await store.saveMetrics("uid-ml-a", [point("loss", 1, value)])
        let stored = try #require(try await store.metrics("uid-ml-a").first).value
        #expect(stored == value || (stored.isNaN && value.isNaN))
    }

    @Test("A step that is not a number is refused, and its batch with it") func badStep() async throws {
        let error = await storeError {
            try await store.saveMetrics("uid-ml-a", [point("loss", 1, 1), point("loss", .nan, 1)])
        }
        #expect(error == .invalid(detail: "metric \"loss\" has a step that is not a number"))
        #expect(try await store.metrics("uid-ml-a").isEmpty)
    }
}
