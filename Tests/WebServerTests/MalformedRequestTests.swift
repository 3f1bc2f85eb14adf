// What is no request of HTTP at all: answered like other mistakes, in JSON, and never with silence.

import Testing
import Text

@testable import WebServer

@Suite("What is no request", .timeLimit(.minutes(1)))
struct MalformedRequestTests {
    @Test(
        "What cannot be read is refused in the shape of other errors, and the connection closed",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "a", count: 20_000) + "\r\n\r\n", 431),
            ("GET /" + String(repeating: "a", count: 20_000) + " HTTP/1.1\r\nHost: a\r\n\r\n", 431),
            ("hello there\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nA B: c\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", 400),
        ])
    func refused(request: String, status: Int) async throws {
        try await RunningServer.with(try FakeService(saying: "a")) { port in
            let client = try RawClient(port: port)
            try await client.send(request)
            let answer = RawClient.parse(try await client.receiveAll())
            #expect(answer.status == status)
            let error = try JSONValue(parsing: answer.body)["error"]
            #expect(error?["code"] == .int(status))
            #expect(error?["message"]?.stringValue?.isEmpty == false)
        }
    }
}
