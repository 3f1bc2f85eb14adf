// Every route, every role, every namespace: who is let in, by a table that was written by hand.

import Testing
import Text

@testable import WebServer

@Suite("Who may use which route")
struct RouteTableTests {
    /// Who is asking, by their roles; nil for nobody.
    private static let askers: [(name: String, roles: [String: Role]?)] = [
        ("nobody", nil), ("without roles", ["elsewhere": .viewer]), ("viewer", ["mine": .viewer]),
        ("editor", ["mine": .editor]), ("admin", ["mine": .admin]), ("foreign admin", ["other": .admin]),
        ("both", ["mine": .viewer, "other": .admin]), ("viewer of all", ["*": .viewer]),
        ("editor of all", ["*": .editor]), ("admin of all", ["*": .admin]),
    ]

    /// The service with its own routes, each of which only says that it was reached.
    private static func service() throws -> ServiceHarness {
        let real = try ServiceHarness()
        let routes = real.responder.router.routes.filter { !$0.operation.hasPrefix("Page_") }
        let stubs = routes.map { route in
            var stub = route
            stub.answer = { request in
                if case .run(let role) = route.access {
                    // The run is in `mine`, as a route finds out by the uid.
                    try request.require(role, in: "mine")
                }
                return HTTPReply()
            }
            return stub
        }
        return try ServiceHarness(
            configure: { $0.authentication = .token }, groups: { _ in [Stubs(routes: stubs)] })
    }

    private struct Stubs: RouteGroup { var routes: [ServiceRoute] }

    /// What a line of the table promises to someone.
    private static func expectation(
        _ access: String, isWrite: Bool, _ roles: [String: Role]?, namespace: String
    ) -> Int {
        if access == "open" { return 200 }
        guard let roles else { return 401 }
        if access == "signedIn" { return 200 }
        let words = access.split(separator: " ").map(String.init)
        guard let role = Role(rawValue: words[1]) else { return 0 }
        func has(_ role: Role, _ namespace: String) -> Bool {
            [roles[namespace], roles["*"]].contains { $0.map { $0 >= role } ?? false }
        }
        switch words[0] {
        case "namespace":
            if namespace.isEmpty { return isWrite ? 400 : 200 }
            return has(role, namespace) ? 200 : has(.viewer, namespace) ? 403 : 404
        case "run":
            // Who has the role nowhere is refused before the run is looked for.
            guard roles.values.contains(where: { $0 >= role }) else { return 403 }
            return has(role, "mine") ? 200 : has(.viewer, "mine") ? 403 : 404
        case "cluster": return roles["*"].map { $0 >= role } == true ? 200 : 403
        default: return 0
        }
    }

    @Test("Each route has a line in the table, and each line a route")
    func tableIsComplete() throws {
        let routes = try Self.service().responder.router.routes.map(RouteTable.line(of:)).sorted()
        let lines = RouteTable.lines.sorted()
        let (extra, missing) = (routes.filter { !lines.contains($0) }, lines.filter { !routes.contains($0) })
        #expect(
            extra.isEmpty, "not in the table, or there with other rights:\n\(extra.joined(separator: "\n"))")
        #expect(missing.isEmpty, "in the table only:\n\(missing.joined(separator: "\n"))")
    }

    @Test("Each role is let in where the table says so, and nowhere else")
    func everyRoute() async throws {
        let service = try Self.service()
        var tokens: [String: String] = [:]
        for (name, roles) in Self.askers {
            if let roles { tokens[name] = try await service.token(roles, name: name) }
        }
        for line in RouteTable.lines {
            let parts = line.split(separator: "|").map { String($0).trimmedOfBlanks }
            let (method, pattern, access, isWrite) = (parts[0], parts[1], parts[2], parts[3] == "writes")
            let namespaces =
                pattern.hasSuffix("/{namespace}")
                ? ["mine", "other", "nowhere", ""] : ["mine", "other", "nowhere"]
            for namespace in pattern.contains("{namespace}") ? namespaces : ["-"] {
                var path = pattern.replacing("{namespace}", with: namespace)
                while let start = path.firstIndex(of: "{"), let end = path.firstIndex(of: "}") {
                    path.replaceSubrange(start...end, with: "x")
                }
                for (name, roles) in Self.askers {
                    let answer = try await service.call(
                        method, path, body: method == "GET" ? nil : Array("{}".utf8), token: tokens[name])
                    let wanted = Self.expectation(access, isWrite: isWrite, roles, namespace: namespace)
                    #expect(answer.status == wanted, "\(method) \(path) by \(name)")
                }
            }
        }
    }

    @Test("Without tokens everyone on loopback is let in everywhere")
    func loopback() async throws {
        for route in try ServiceHarness().responder.router.routes {
            #expect(throws: Never.self) {
                try AccessControl.check(.local, route, namespace: "any")
            }
        }
    }
}
