// Selectors of runs, and what a change of a run is to who watches.

import Persistence
import Testing
import Text

@testable import WebServer

@Suite("Selections of runs")
struct WorkflowsSelectionTests {
    private static func request(_ query: String, roles: [String: Role] = ["*": .admin]) -> ServiceRequest {
        ServiceRequest(
            call: HTTPCall(
                method: "GET", path: "/", query: query, headers: [:], readBody: { _ in [] },
                connection: ConnectionWatch()),
            parameters: [:], query: URLQuery(query), principal: Principal(name: "test", roles: roles),
            id: "1",
            bodyLimitBytes: 0)
    }

    @Test(
        "A selector says which runs are meant",
        arguments: [
            ("", true),
            ("listOptions.labelSelector=team%3Dnlp", true), ("listOptions.labelSelector=team!%3Dnlp", false),
            ("listOptions.labelSelector=team%20in%20(cv,nlp)", true),
            ("listOptions.labelSelector=!team", false),
            ("listOptions.labelSelector=workflows.argoproj.io/phase%3DFailed", true),
            ("listOptions.labelSelector=workflows.argoproj.io/phase%20in%20(Running,Succeeded)", false),
            ("listOptions.labelSelector=workflows.argoproj.io/completed%3Dtrue", true),
            ("listOptions.labelSelector=workflows.argoproj.io/completed!%3Dtrue", false),
            ("listOptions.fieldSelector=metadata.name%3Dtrain-1", true),
            ("listOptions.fieldSelector=metadata.name%3Dtrain", false),
            ("listOptions.fieldSelector=metadata.name%3Dtrain&nameFilter=Prefix", true),
            ("listOptions.fieldSelector=metadata.name%3Dain-&nameFilter=Contains", true),
            ("listOptions.fieldSelector=metadata.name!%3Dtrain-1", false),
            ("listOptions.fieldSelector=metadata.namespace%3Dother", false),
            ("listOptions.fieldSelector=status.phase%3D%3DFailed", true),
            ("listOptions.fieldSelector=status.phase!%3DFailed", false),
        ])
    func selecting(query: String, isMeant: Bool) throws {
        let selection = try RunSelection(Self.request(query), namespace: "default")
        let run = WorkflowSummary(
            uid: "u", namespace: "default", name: "train-1", phase: "Failed",
            createdAt: Timestamp(seconds: 10),
            labels: ["team": "nlp"])
        #expect((!selection.isEmpty && selection.covers(run)) == isMeant)
    }

    @Test(
        "A selector that nobody can follow is refused",
        arguments: [
            "listOptions.fieldSelector=spec.nodeName%3Dx", "listOptions.fieldSelector=metadata.name",
            "listOptions.fieldSelector=metadata.name%3Dx&nameFilter=Like", "createdAfter=yesterday",
            "listOptions.labelSelector=a%20b%20c",
        ])
    func refused(query: String) {
        #expect(throws: (any Error).self) { try RunSelection(Self.request(query), namespace: "default") }
    }

    @Test("Who may see one namespace is shown no other")
    func visibility() throws {
        let selection = try RunSelection(Self.request("", roles: ["a": .viewer]), namespace: "")
        #expect(selection.query.namespace == "a")
        #expect(!selection.covers(namespace: "b", name: "x", uid: "u", labels: [:]))
        let none = try RunSelection(Self.request("", roles: [:]), namespace: "")
        #expect(none.isEmpty)
    }

    // MARK: Watches

    private static func change(
        _ revision: Int64, _ uid: String, phase: String = "Running", isDeleted: Bool = false
    ) -> RunChange {
        RunChange(
            revision: revision, uid: uid, namespace: "default", name: uid, phase: phase, isDeleted: isDeleted)
    }

    private static func watch(_ query: String = "") throws -> RunWatch {
        RunWatch(
            selection: try RunSelection(request(query), namespace: "default"), mask: FieldMask(nil),
            detail: .whole, startedAt: Timestamp(seconds: 0))
    }

    @Test("A run is told of as unseen, then as modified, then as deleted")
    func life() throws {
        var watch = try Self.watch()
        #expect(watch.meaning(of: Self.change(1, "a")) == .unseen)
        #expect(watch.meaning(of: Self.change(2, "a")) == .told(.modified))
        #expect(watch.meaning(of: Self.change(3, "a", isDeleted: true)) == .told(.deleted))
        #expect(watch.meaning(of: Self.change(4, "b", isDeleted: true)) == .told(.deleted))
    }

    @Test("A run that leaves the selection is deleted to its watcher, and added when it comes back")
    func leaving() throws {
        var watch = try Self.watch("listOptions.labelSelector=workflows.argoproj.io/phase%3DRunning")
        #expect(watch.meaning(of: Self.change(1, "a")) == .unseen)
        #expect(watch.meaning(of: Self.change(2, "a", phase: "Failed")) == .told(.deleted))
        #expect(watch.meaning(of: Self.change(3, "a", phase: "Failed")) == nil)
        #expect(watch.meaning(of: Self.change(4, "a")) == .told(.added))
        #expect(watch.meaning(of: Self.change(5, "a", isDeleted: true)) == .told(.deleted))
    }

    @Test("What the beginning of a watch has told is not told again")
    func backlog() throws {
        var watch = try Self.watch()
        watch.note(backlog: Self.change(5, "a"), after: 3)
        watch.note(backlog: Self.change(2, "b"), after: 3)
        #expect(watch.meaning(of: Self.change(4, "a")) == nil)
        #expect(watch.meaning(of: Self.change(5, "a")) == nil)
        #expect(watch.meaning(of: Self.change(6, "b")) == .told(.modified))
        #expect(watch.meaning(of: Self.change(7, "a")) == .told(.modified))
    }
}
