// Random paths, queries, headers and bodies through all routes: refused or answered, but never a mistake of ours.

import TestSupport
import Testing
import Text

@testable import WebServer

@Suite("Random requests to the service")
struct ServiceFuzzTests {
    private static let pieces = [
        "..", ".", "%2e%2e", "%00", "%ff", "a", "default", "@latest", "", "%2F", "x-1", "{name}", "%", "ü",
        "%F0%9F%90%A6",
        "lint", "submit", "log", "0", "-1", "*",
    ]
    private static let names = [
        "listOptions.limit", "listOptions.labelSelector", "listOptions.fieldSelector", "listOptions.continue",
        "fields",
        "limit", "after", "namespace", "q", "phase", "label", "createdAfter", "from", "count",
        "logOptions.tailLines",
        "grep", "runs", "maxPoints", "since", "path", "name", "nameFilter", "listOptions.resourceVersion",
        "regex",
    ]
    private static let values = [
        "", "0", "-1", "9223372036854775808", "a=b,c!=d", "a in (b", "metadata.name=", "%00", "%ff", "[",
        "((((", "1e9",
        "2026-01-01T00:00:00Z", "null", "items.metadata.name", "-items", "a,b,c", "..", "%7B%7B", "true",
    ]

    private static func json(_ draw: inout SeededGenerator, depth: Int = 0) -> JSONValue {
        let keys = [
            "workflow", "metadata", "name", "spec", "namespace", "template", "cronWorkflow", "text",
            "parameters", "roles",
            "token", "submitOptions", "resourceKind", "templates", "entrypoint", "schedules", "memoized",
            "nodeFieldSelector",
        ]
        switch Int.random(in: 0..<(depth > 4 ? 6 : 9), using: &draw) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &draw))
        case 2: return .int(Int.random(in: -5...5, using: &draw))
        case 3: return .double([0.5, -1e300, 1e-300][Int.random(in: 0..<3, using: &draw)])
        case 4, 5: return .string(values[Int.random(in: 0..<values.count, using: &draw)])
        case 6:
            return .array(
                (0..<Int.random(in: 0..<4, using: &draw)).map { _ in json(&draw, depth: depth + 1) })
        default:
            var members: [String: JSONValue] = [:]
            for _ in 0..<Int.random(in: 0..<5, using: &draw) {
                members[keys[Int.random(in: 0..<keys.count, using: &draw)]] = json(&draw, depth: depth + 1)
            }
            return .object(members)
        }
    }

    private static func path(_ pattern: String, _ draw: inout SeededGenerator) -> String {
        var parts: [String] = []
        for segment in pattern.split(separator: "/") {
            let isParameter = segment.hasPrefix("{")
            let isChanged = Int.random(in: 0..<12, using: &draw) == 0
            parts.append(
                isParameter || isChanged
                    ? pieces[Int.random(in: 0..<pieces.count, using: &draw)] : String(segment))
        }
        var path = "/" + parts.joined(separator: "/")
        if Bool.random(using: &draw) {
            let items = (0..<Int.random(in: 0..<4, using: &draw)).map { _ in
                names[Int.random(in: 0..<names.count, using: &draw)] + "="
                    + values[Int.random(in: 0..<values.count, using: &draw)]
            }
            path += "?" + items.joined(separator: "&")
        }
        return path
    }

    @Test("No request makes the service fail", arguments: [1, 2, 3, 4] as [UInt64])
    func requests(seed: UInt64) async throws {
        var draw = SeededGenerator(seed: seed)
        let service = try ServiceHarness()
        try await service.running { try await Self.send(500, to: service, seed, &draw) }
    }

    private static func send(
        _ count: Int, to service: ServiceHarness, _ seed: UInt64, _ draw: inout SeededGenerator
    ) async throws {
        let routes = service.responder.router.routes
        let methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW"]
        for _ in 0..<count {
            let route = routes[Int.random(in: 0..<routes.count, using: &draw)]
            let isRight = Int.random(in: 0..<8, using: &draw) != 0
            let method = isRight ? route.method : methods[Int.random(in: 0..<methods.count, using: &draw)]
            let path = Self.path(route.pattern, &draw)
            var body: [UInt8]?
            if method != "GET" && Int.random(in: 0..<10, using: &draw) != 0 {
                body = Array(Self.json(&draw).compactText.utf8)
                if Int.random(in: 0..<6, using: &draw) == 0, !(body ?? []).isEmpty {
                    body?[0] = UInt8.random(in: 0...255, using: &draw)
                }
            }
            var headers: [String: String] = [:]
            if Int.random(in: 0..<4, using: &draw) == 0 {
                headers =
                    [
                        ["range": "bytes=5-"], ["range": "bytes=-0,9-"], ["last-event-id": "x"],
                        ["accept": "text/event-stream"],
                        ["if-none-match": "\""], ["cookie": ";;=;authorization=Bearer"],
                        ["content-length": "x"],
                    ][Int.random(in: 0..<7, using: &draw)]
            }
            let answer = try await service.call(
                method, path, body: body, headers: headers,
                leavesAtOnce: headers["accept"] != "text/event-stream", stopWhen: { _ in true })
            let isFine = answer.status < 500 || answer.status == 501
            #expect(
                isFine,
                "seed \(seed): \(method) \(path) \(String(decoding: body ?? [], as: UTF8.self)): \(answer.text)"
            )
        }
    }
}
