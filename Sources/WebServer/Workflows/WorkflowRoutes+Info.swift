// What clients ask of the server itself: what it shows, its version, and who they are.

import Persistence
import Text

extension WorkflowRoutes {
    var infoRoutes: [ServiceRoute] {
        [
            ServiceRoute("GET", "/api/v1/info", "InfoService_GetInfo", .signedIn) { _ in
                .json([
                    "managedNamespace": "", "links": [], "columns": [], "navColor": "",
                    "modals": ["feedback": false, "firstTimeUser": false, "newVersion": false],
                ])
            },
            ServiceRoute("GET", "/api/v1/version", "InfoService_GetVersion", .signedIn) { _ in
                .json(versionAnswer)
            },
            ServiceRoute("GET", "/api/v1/userinfo", "InfoService_GetUserInfo", .signedIn) { request in
                .json(Self.user(request.principal))
            },
            // Nothing is collected: the event is read and dropped.
            ServiceRoute(
                "POST", "/api/v1/tracking/event", "InfoService_CollectEvent", .signedIn, isWrite: false,
                bodyLimitBytes: 64 << 10
            ) { request in
                _ = try await request.json()
                return .json([:])
            },
        ] + absentRoutes
    }

    /// All eight members, which clients demand.
    private var versionAnswer: JSONValue {
        #if arch(arm64)
        let machine = "arm64"
        #else
        let machine = "amd64"
        #endif
        return .object([
            "version": .string(context.version), "buildDate": "1970-01-01T00:00:00Z", "gitCommit": "unknown",
            "gitTag": .string(context.version), "gitTreeState": "clean", "goVersion": "none",
            "compiler": "swiftc",
            "platform": .string("linux/\(machine)"),
        ])
    }

    private static func user(_ principal: Principal) -> JSONValue {
        .object([
            "issuer": "martlet", "subject": .string(principal.name), "name": .string(principal.name),
            "groups": .array(
                principal.roles.sorted { $0.key < $1.key }.map { .string("\($0.key):\($0.value.rawValue)") }),
            "email": "", "emailVerified": false, "serviceAccountName": "", "serviceAccountNamespace": "",
        ])
    }

    // MARK: What there is not

    /// Argo Events is another program; Argo's server passes requests on to it.
    private var absentRoutes: [ServiceRoute] {
        let objects = [
            ("event-sources", "EventSourceService", "EventSource"), ("sensors", "SensorService", "Sensor"),
        ]
        return objects.flatMap { path, service, noun -> [ServiceRoute] in
            let base = "/api/v1/\(path)/{namespace}"
            let stream = "/api/v1/stream/\(path)/{namespace}"
            let plural = noun + "s"
            let table: [(method: String, pattern: String, verb: String)] = [
                ("GET", base, "List\(plural)"), ("POST", base, "Create\(noun)"),
                ("GET", base + "/{name}", "Get\(noun)"), ("PUT", base + "/{name}", "Update\(noun)"),
                ("DELETE", base + "/{name}", "Delete\(noun)"), ("GET", stream, "Watch\(plural)"),
                ("GET", stream + "/logs", "\(plural)Logs"),
            ]
            return table.map { row in
                ServiceRoute(
                    row.method, row.pattern, "\(service)_\(row.verb)",
                    .namespaced(row.method == "GET" ? .viewer : .editor)
                ) { _ in
                    throw ServiceError.unimplemented(
                        "there is no Argo Events here, and so no \(path): a POST to /api/v1/events/NAMESPACE with a "
                            + "WorkflowEventBinding begins runs on events")
                }
            }
        }
    }
}
