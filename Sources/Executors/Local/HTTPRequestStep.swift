// The request of an http template: a process of its own, so that it goes on when the engine does not.

import Artifacts
import Glibc
import Text
import WorkflowLanguage

/// What `internal-http FILE` does.
package enum HTTPRequestStep {
    /// Longest answer; a longer one fails the step.
    static let bodyLimitBytes = 1 << 20

    /// The request with secrets looked up; it is written to a file that only its owner may read.
    static func specification(_ request: JSONValue, values: LaunchValues, directory: String) throws
        -> JSONValue
    {
        let fields = Fields(request)
        var headers: [JSONValue] = []
        for header in fields.list("headers").map({ Fields($0) }) {
            var value = header.text("value") ?? ""
            if let reference = header.object("valueFrom")?.object("secretKeyRef") {
                value = try values.text(ValueFrom.KeySelector(reference), isSecret: true) ?? ""
            }
            headers.append(.string("\(header.text("name") ?? ""): \(value)"))
        }
        var members: [String: JSONValue] = [
            "url": .string(fields.text("url") ?? ""), "method": .string(fields.text("method") ?? "GET"),
            "headers": .array(headers), "directory": .string(directory),
            "timeoutSeconds": .int(fields.int("timeoutSeconds") ?? 30),
            "insecureSkipVerify": .bool(fields.bool("insecureSkipVerify") ?? false),
        ]
        if let body = fields.text("body") {
            members["body"] = .string(body)
        } else if let bytes = fields.object("bodyFrom")?.text("bytes") {
            members["body"] = .string(bytes)
        }
        return .object(members)
    }

    /// Performs the request that the file describes and writes `response-status`, `response-headers` and
    /// `response-body` beside it.
    /// - Returns: the exit status: 0 for any answer, 1 for none, 2 for a file that cannot be read.
    package static func run(specPath: String) -> Int32 {
        let fields: Fields
        do {
            fields = Fields(try JSONValue(parsingUTF8: try Disk.read(specPath, limitBytes: 64 << 20)))
        } catch {
            say("\(specPath): \(error)")
            return 2
        }
        let directory = fields.string("directory") ?? Disk.parent(of: specPath)
        var exchange = HTTPExchange(url: fields.string("url") ?? "")
        exchange.method = fields.string("method") ?? "GET"
        exchange.headers = fields.strings("headers")
        if let body = fields.string("body") { exchange.body = .bytes(Array(body.utf8)) }
        exchange.timeout = .seconds(fields.int("timeoutSeconds") ?? 30)
        exchange.acceptsAnyCertificate = fields.bool("insecureSkipVerify") ?? false
        exchange.outputLimitBytes = bodyLimitBytes
        do {
            let body = try create("\(directory)/response-body")
            defer { close(body) }
            let headers = try create("\(directory)/response-headers")
            defer { close(headers) }
            let reply = try exchange.perform(output: body, headerOutput: headers)
            try Disk.write(Array(String(reply.status).utf8), to: "\(directory)/response-status")
            return 0
        } catch {
            say("\(error)")
            return 1
        }
    }

    private static func create(_ path: String) throws(ArtifactError) -> Int32 {
        let file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw ArtifactError(errno: errno, path: path, while: "create") }
        return file
    }

    private static func say(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        _ = write(2, bytes, bytes.count)
    }
}

/// The answer that a request got, as the step left it in files.
struct HTTPAnswer {
    var status: Int
    /// Lines as they came, the status line first.
    var headers: String
    var body: String

    /// Nil when there was no complete answer.
    init?(directory: String) {
        func text(_ name: String) -> String? {
            let limit = HTTPRequestStep.bodyLimitBytes
            return (try? Disk.read("\(directory)/\(name)", limitBytes: limit)).map {
                String(decoding: $0, as: UTF8.self)
            }
        }
        guard let status = text("response-status").flatMap({ Int($0) }), let body = text("response-body")
        else {
            return nil
        }
        self.status = status
        self.body = body
        headers = text("response-headers") ?? ""
    }

    private var statusText: String {
        let line = headers.prefix { $0 != "\r\n" && $0 != "\n" && $0 != "\r" }
        return line.split(separator: " ", maxSplits: 1).last.map(String.init) ?? String(status)
    }

    /// Names as Go writes them (`Content-Type`), each with its list of values.
    private var headerValues: [String: ExpressionValue] {
        var values: [String: [ExpressionValue]] = [:]
        for line in headers.split(whereSeparator: \.isNewline).dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = line[..<colon].split(separator: "-", omittingEmptySubsequences: false).map { part in
                part.prefix(1).uppercased() + part.dropFirst().lowercased()
            }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            values[name.joined(separator: "-"), default: []].append(.string(String(value)))
        }
        return values.mapValues { .array($0) }
    }

    /// Whether the answer is what the template wants: the condition's value, or a status of 200 to 299
    /// without one.
    /// - Returns: nil for success, else why not.
    func problem(request: JSONValue, now: Timestamp) -> String? {
        let fields = Fields(request)
        guard let condition = fields.string("successCondition"), !condition.isEmpty else {
            return (200..<300).contains(status) ? nil : "received non-2xx response code: \(status)"
        }
        let response: [String: ExpressionValue] = [
            "status": .string(statusText), "statusCode": .int(status), "body": .string(body),
            "headers": .object(headerValues),
        ]
        let sent: [String: ExpressionValue] = [
            "method": .string(fields.text("method") ?? "GET"), "url": .string(fields.text("url") ?? ""),
            "body": .string(fields.text("body") ?? ""),
        ]
        var context = ExpressionContext(now: now, seed: 0)
        let environment = ExpressionEnvironment(variables: [
            "response": .object(response), "request": .object(sent),
        ])
        do {
            let value = try Expression(condition).evaluate(environment, &context)
            if value == .bool(true) { return nil }
            return "successCondition '\(condition)' evaluated \(value.text) with status \(status)"
        } catch {
            return "successCondition '\(condition)': \(error.message)"
        }
    }
}
