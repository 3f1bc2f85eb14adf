// The rights of every route, written by hand: a route whose own value says something else fails the test.

@testable import WebServer

enum RouteTable {
    /// `METHOD | path | rights | reads or writes`; rights are open, signedIn, or of a role in a namespace, of a run or of
    /// everything.
    static let lines = """
        GET | /healthz | open | reads
        """.split(separator: "\n").map(String.init)

    static func line(of route: ServiceRoute) -> String {
        let access =
            switch route.access {
            case .open: "open"
            case .signedIn: "signedIn"
            case .namespaced(let role): "namespace \(role.rawValue)"
            case .run(let role): "run \(role.rawValue)"
            case .cluster(let role): "cluster \(role.rawValue)"
            }
        return "\(route.method) | \(route.pattern) | \(access) | \(route.isWrite ? "writes" : "reads")"
    }
}
