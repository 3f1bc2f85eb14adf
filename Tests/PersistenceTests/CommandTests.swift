// Commands between processes: two stores of one directory stand for two processes.

import Testing
import Text

@testable import Persistence

@Suite struct CommandTests {
    let directory: TemporaryDirectory
    let driver: Store
    let client: Store

    init() async throws {
        directory = try TemporaryDirectory()
        driver = try directory.open()
        client = try directory.open()
        try await driver.insertWorkflow(.sample("a"))
        try await driver.insertWorkflow(.sample("b"))
    }

    @Test("A command reaches the driver, and its end reaches the client") func exchange() async throws {
        let before = try await driver.dataVersion()
        let payload: JSONValue = .object(["node": "w.one", "value": "a\"b"])
        let id = try await client.enqueueCommand("uid-ml-a", verb: "stop", payload: payload)
        #expect(try await driver.dataVersion() != before)
        #expect(
            try await driver.takeCommands("uid-ml-a")
                == [Command(id: id, workflowUID: "uid-ml-a", verb: "stop", payload: payload)])
        #expect(try await client.commandResult(id) == CommandResult(done: false, error: nil))
        try await driver.finishCommand(id)
        #expect(try await client.commandResult(id) == CommandResult(done: true, error: nil))
        #expect(try await driver.takeCommands("uid-ml-a").isEmpty)
    }

    @Test("Commands come in their order, to their run, again until they are finished") func order()
        async throws
    {
        var ids: [Int64] = []
        for (uid, verb) in [("uid-ml-a", "suspend"), ("uid-ml-b", "stop"), ("uid-ml-a", "resume")] {
            ids.append(try await client.enqueueCommand(uid, verb: verb, payload: .null))
        }
        #expect(try await driver.takeCommands("uid-ml-a").map(\.verb) == ["suspend", "resume"])
        #expect(try await driver.takeCommands("uid-ml-a").map(\.id) == [ids[0], ids[2]])
        #expect(try await driver.takeCommands(nil).map(\.id) == ids)
        try await driver.finishCommand(ids[0], error: "it has ended")
        #expect(try await client.commandResult(ids[0]) == CommandResult(done: true, error: "it has ended"))
        // The first answer stays.
        try await driver.finishCommand(ids[0], error: nil)
        #expect(try await client.commandResult(ids[0])?.error == "it has ended")
        #expect(try await driver.takeCommands("uid-ml-a").map(\.id) == [ids[2]])
        #expect(try await client.commandResult(ids[2] + 1) == nil)
    }

    @Test("A command is finished together with what it brought about, or not at all") func transaction()
        async throws
    {
        let id = try await client.enqueueCommand("uid-ml-a", verb: "stop", payload: .null)
        let change = WorkflowChange(
            uid: "uid-ml-a", header: HeaderUpdate(phase: "Failed"), finishedCommands: [.init(id: id)])
        let error = await storeError { try await driver.apply([change, WorkflowChange(uid: "nobody")]) }
        #expect(error != nil)
        #expect(try await client.commandResult(id)?.done == false)
        try await driver.apply([change])
        #expect(try await client.commandResult(id)?.done == true)
        #expect(try await client.workflow(uid: "uid-ml-a")?.phase == "Failed")
    }

    @Test("A command for a run that is not there is refused") func unknownRun() async throws {
        let error = await storeError {
            _ = try await client.enqueueCommand("nobody", verb: "stop", payload: .null)
        }
        #expect(error == .notFound(kind: "workflow", name: "nobody"))
    }

    @Test("The answer to a delete outlives the run") func deletion() async throws {
        let id = try await client.enqueueCommand("uid-ml-a", verb: "delete", payload: .null)
        try await driver.deleteWorkflow("uid-ml-a")
        try await driver.finishCommand(id)
        #expect(try await client.commandResult(id)?.done == true)
    }

    @Test("A run that nobody drives takes commands up to a limit and no more") func limit() async throws {
        for _ in 0..<Store.waitingCommandLimit {
            _ = try await client.enqueueCommand("uid-ml-a", verb: "stop", payload: .null)
        }
        let error = await storeError {
            _ = try await client.enqueueCommand("uid-ml-a", verb: "stop", payload: .null)
        }
        #expect(error?.message.contains("martlet run --resume") == true)
        _ = try await client.enqueueCommand("uid-ml-b", verb: "stop", payload: .null)
        #expect(try await driver.takeCommands("uid-ml-b").count == 1)
    }
}
