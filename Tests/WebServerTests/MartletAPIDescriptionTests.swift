// The document of the own API against its routes: neither says what the other does not.

import Scheduling
import Testing
import Text

@testable import WebServer

@Suite("The document of Martlet's own API")
struct MartletAPIDescriptionTests {
    @Test("Every own route is described, and every description has a route")
    func complete() throws {
        let fixture = try MartletAPIFixture()
        let routes = MartletRoutes(fixture.service.context).routes
        #expect(Set(routes.map(\.operation)) == Set(APIOperations.byID.keys))
        #expect(routes.allSatisfy { $0.summary?.isEmpty == false })
        for route in routes {
            let takesBody = APIOperations.byID[route.operation]?.body != nil
            let hasBody = route.method == "POST" || route.method == "PUT"
            #expect(takesBody == hasBody, "\(route.operation)")
        }
    }

    @Test("The document holds each route under its path, and every shape that it names")
    func document() async throws {
        let fixture = try MartletAPIFixture()
        let answer = try await fixture.service.get("/openapi.json")
        #expect(answer.status == 200)
        let routes = MartletRoutes(fixture.service.context).routes
        for route in routes {
            let operation = answer.json["paths"]?[route.pattern]?[route.method.lowercased()]
            #expect(operation?["operationId"]?.stringValue == route.operation)
        }
        let known = Set((answer.json["components"]?["schemas"]?.objectValue ?? [:]).keys)
        let named = Self.references(answer.json)
        #expect(named.isSubset(of: known))
        #expect(named.contains("RunSummary"))
    }

    private static func references(_ json: JSONValue) -> Set<String> {
        switch json {
        case .array(let elements): return elements.reduce(into: []) { $0.formUnion(references($1)) }
        case .object(let members):
            if let text = members["$ref"]?.stringValue {
                return [String(text.dropFirst("#/components/schemas/".count))]
            }
            return members.values.reduce(into: []) { $0.formUnion(references($1)) }
        default: return []
        }
    }

    @Test(
        "A value that does not fit its shape is refused in words that say where",
        arguments: [
            (APISchema.integer(1...5), JSONValue.int(6), "`x` must be from 1 to 5"),
            (.integer(), "a", "`x` must be an integer, not a string"),
            (.text(maxLength: 2), "abc", "`x` is longer than 2 characters"),
            (.choice(["a", "b"]), "c", "`x` must be one of a, b, not a string"),
            (.list(.flag), [true, 1], "`x[1]` must be true or false, not a number"),
            (.map(.text()), ["k": 1], "`x.k` must be a string, not a number"),
            (.request([APIMember("a", .flag)]), [:], "`x.a` is missing"),
            (.request([]), ["b": 1], "`x.b` is not known here; there are "),
            (.moment, "yesterday", "`x` must be a moment such as 2026-01-31T12:00:00Z, not a string"),
            (.optional(.flag), nil, nil), (.answer([]), ["more": 1], nil),
            (.named("Parameter"), ["name": "a", "value": nil, "description": nil], nil),
            (
                .extended("Parameter", [APIMember("b", .flag)]),
                ["name": "a", "value": nil, "description": nil], "`x.b` is missing"
            ),
        ] as [(APISchema, JSONValue, String?)])
    func shapes(schema: APISchema, value: JSONValue, problem: String?) {
        #expect(schema.problem(in: value, at: "x") == problem)
    }

    @Test(
        "Bad input is refused with 400 and a sentence",
        arguments: [
            "/runs?limit=0", "/runs?limit=501", "/runs?limit=x", "/runs?limit=1.5", "/runs?phase=Done",
            "/runs?phase=Failed,Done", "/runs?after=1", "/runs?after=x.y", "/runs?label=a%20in",
            "/runs?parameter=x", "/runs?parameter=%3Dx", "/runs?createdAfter=yesterday",
            "/runs/counts?phase=x",
            "/runs/uid-a/events?after=-1", "/runs/uid-a/nodes/a/log/lines?count=2001",
            "/runs/uid-a/nodes/a/log/lines?count=0", "/runs/uid-a/nodes/a/log/search?q=(&regex=true",
            "/runs/uid-a/nodes/a/log/search?regex=yes", "/runs/uid-a/log?from=abc",
            "/runs/uid-a/metrics?maxPoints=1", "/compare", "/compare?runs=a", "/compare?runs=a,a",
            "/stream?since=-1", "/stream?since=x", "/stream?log=a",
            "/runs/uid-a/nodes/a/artifacts/x/preview?direction=both", "/pipelines/default/p?cluster=2",
        ])
    func badInput(path: String) async throws {
        let fixture = try MartletAPIFixture()
        try await fixture.add("a", nodes: [MartletAPIFixture.node("a", of: "a")])
        let answer = try await fixture.service.get(MartletRoutes.prefix + path)
        #expect(answer.status == 400, "\(answer.text)")
        #expect((answer.json["message"]?.stringValue ?? "").count > 10)
        #expect(answer.json["code"]?.intValue == 3)
    }

    @Test(
        "What is not there is not found",
        arguments: [
            "/runs/none", "/runs/none/manifest", "/runs/none/events", "/runs/none/state",
            "/runs/none/artifacts",
            "/runs/none/metrics", "/runs/none/log", "/runs/none/nodes/a", "/runs/none/nodes/a/log",
            "/runs/uid-a/nodes/none", "/runs/uid-a/nodes/none/log", "/runs/uid-a/nodes/none/log/lines",
            "/runs/uid-a/nodes/none/log/search", "/runs/uid-a/nodes/none/log/raw",
            "/runs/uid-a/nodes/a/log?attempt=7", "/runs/uid-a/nodes/a/artifacts/none/preview",
            "/runs/uid-a/nodes/dag/log", "/compare?runs=uid-a,none", "/stream?run=none",
            "/stream?run=uid-a&log=none", "/pipelines/default/none", "/schedules/default/none",
        ])
    func notFound(path: String) async throws {
        let fixture = try MartletAPIFixture()
        try await fixture.add(
            "a",
            nodes: [
                MartletAPIFixture.node("a", of: "a"),
                MartletAPIFixture.node("dag", of: "a", .dag, sequence: 2),
            ])
        let answer = try await fixture.service.get(MartletRoutes.prefix + path)
        #expect(answer.status == 404, "\(answer.text)")
        #expect(answer.json["code"]?.intValue == 5)
    }

    @Test(
        "Bodies that do not fit are refused",
        arguments: [
            ("POST", "/lint", [:]), ("POST", "/lint", ["text": 1]),
            ("POST", "/lint", ["text": "", "more": 1]),
            ("POST", "/submit", ["parameters": []]), ("POST", "/submit", ["text": "kind: Nothing"]),
            ("POST", "/submit", ["text": "a: [", "pipeline": "x"]),
            ("POST", "/definitions", ["text": "kind: Workflow"]),
            ("POST", "/schedules/default/c/backfill", ["start": "x", "end": "y"]),
            ("POST", "/schedules/default/c/run", ["more": 1]),
            ("PUT", "/secrets/default/s", ["values": ["a": 1]]),
            ("PUT", "/secrets/default/S_", ["values": [:]]),
            ("PUT", "/secrets/default/s", ["values": ["": "x"]]),
        ] as [(String, String, JSONValue)])
    func badBodies(method: String, path: String, body: JSONValue) async throws {
        let fixture = try MartletAPIFixture()
        let answer = try await fixture.service.send(method, MartletRoutes.prefix + path, body)
        #expect(answer.status == 400, "\(answer.text)")
    }
}
