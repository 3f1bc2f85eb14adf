// Which route a path finds, and what it refuses.

import Testing
import Text

@testable import WebServer

@Suite("The service's router")
struct ServiceRouterTests {
    private static func route(_ method: String, _ pattern: String, _ operation: String) -> ServiceRoute {
        ServiceRoute(method, pattern, operation, .signedIn) { _ in HTTPReply() }
    }

    private static let router = ServiceRouter(
        [
            route("GET", "/api/v1/workflows/{namespace}", "list"),
            route("POST", "/api/v1/workflows/{namespace}", "create"),
            route("GET", "/api/v1/workflows/{namespace}/{name}", "get"),
            route("POST", "/api/v1/workflows/{namespace}/lint", "lint"),
            route("PUT", "/api/v1/workflows/{namespace}/{name}/retry", "retry"),
            route("GET", "/api/v1/info", "info"),
            route("GET", "/files/{uid}/{path...}", "files"),
            route("GET", "/files/{uid}", "file"),
        ], fallback: route("GET", "/{path...}", "page"))

    @Test(
        "A path finds its route and its parameters",
        arguments: [
            ("GET", "/api/v1/workflows/default", "list", ["namespace": "default"]),
            ("GET", "/api/v1/workflows/", "list", ["namespace": ""]),
            ("GET", "/api/v1/workflows", "list", ["namespace": ""]),
            ("HEAD", "/api/v1/info/", "info", [:]),
            ("GET", "/api/v1/workflows/ns/%40latest", "get", ["namespace": "ns", "name": "@latest"]),
            ("GET", "/api/v1/workflows/ns/lint", "get", ["namespace": "ns", "name": "lint"]),
            ("POST", "/api/v1/workflows/ns/lint", "lint", ["namespace": "ns"]),
            ("GET", "/api/v1/workflows/ns/a.b..c", "get", ["namespace": "ns", "name": "a.b..c"]),
            ("GET", "/files/u/a/b%20c/d", "files", ["uid": "u", "path": "a/b c/d"]),
            ("GET", "/files/u/a/", "files", ["uid": "u", "path": "a/"]),
            ("GET", "/files/u/", "files", ["uid": "u", "path": ""]),
            ("GET", "/files/u", "file", ["uid": "u"]),
            ("GET", "/runs/abc", "page", [:]), ("GET", "/api/v2", "page", [:]),
        ] as [(String, String, String, [String: String])])
    func finding(method: String, path: String, operation: String, parameters: [String: String]) throws {
        let match = try Self.router.match(method: method, path: path)
        #expect(match.route.operation == operation)
        #expect(match.parameters == parameters)
    }

    @Test(
        "What is no path of the service is refused",
        arguments: [
            ("POST", "/nothing", 404), ("DELETE", "/api/v1/info", 405),
            ("PATCH", "/api/v1/workflows/a/b", 405),
            ("GET", "/api/v1/workflows/ns/..", 400), ("GET", "/api/v1/workflows/ns/%2e%2E", 400),
            ("GET", "/api/v1/workflows/ns/%2e", 400), ("GET", "/api/v1/workflows/%2Fetc/x", 400),
            ("GET", "/api/v1/workflows/ns/a%00b", 400), ("GET", "/api/v1/workflows/ns/a%0Ab", 400),
            ("GET", "/api/v1/workflows/ns/%ff", 400), ("GET", "/api/v1/workflows/ns/%4", 400),
            ("GET", "/api/v1/workflows/ns/%zz", 400), ("GET", "/api/v1/workflows//x", 400),
            ("GET", "/files/u/a/../b", 400), ("GET", "/files/u/a%2f..%2fb", 400),
            ("GET", "/files/u/a//b", 400),
            ("GET", "no/slash", 400),
            ("GET", "/api/v1/workflows/ns/" + String(repeating: "a", count: 1_025), 400),
            ("GET", "/" + String(repeating: "a/", count: 65), 400),
            ("GET", "/" + String(repeating: "a", count: 9_000), 414),
        ])
    func refusing(method: String, path: String, status: Int) {
        let error = #expect(throws: ServiceError.self) { try Self.router.match(method: method, path: path) }
        #expect(error?.status == status)
    }

    @Test("A wrong method is told which are right")
    func allowing() throws {
        let error = #expect(throws: ServiceError.self) {
            try Self.router.match(method: "PATCH", path: "/api/v1/workflows/ns/lint")
        }
        #expect(error?.headers.first?.value == "GET, HEAD, OPTIONS, POST")
        #expect(try Self.router.allowed(path: "/api/v1/info") == "GET, HEAD, OPTIONS")
    }
}
