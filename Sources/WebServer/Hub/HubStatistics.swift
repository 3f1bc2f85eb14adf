// What was asked for and sent, path by path: tests of downloaders count with it.
import Synchronization
import Text

final class HubStatistics: Sendable {
    private struct Counts {
        var requests = 0
        var heads = 0
        var bytes = 0
        var statuses: [Int: Int] = [:]
    }

    private struct State {
        var total = Counts()
        var paths: [String: Counts] = [:]
        var redirects = 0
        var redirectTokens = 0
    }

    /// Beyond so many paths only the total is counted.
    private static let pathLimit = 200_000

    private let state = Mutex(State())

    /// - Parameter path: `models/owner/name/path` for contents, else the address' path.
    func answered(_ path: String, isHead: Bool, status: Int) {
        update(path) { counts in
            counts.requests += 1
            if isHead { counts.heads += 1 }
            counts.statuses[status, default: 0] += 1
        }
    }

    /// Bytes of a body that the operating system took.
    func sent(_ bytes: Int, of path: String) { update(path) { $0.bytes += bytes } }

    /// A request at the second port.
    func redirected(withToken hasToken: Bool) {
        state.withLock { state in
            state.redirects += 1
            if hasToken { state.redirectTokens += 1 }
        }
    }

    private func update(_ path: String, _ change: (inout Counts) -> Void) {
        state.withLock { state in
            change(&state.total)
            if state.paths.count < Self.pathLimit || state.paths[path] != nil {
                change(&state.paths[path, default: Counts()])
            }
        }
    }

    var json: OrderedJSON {
        let state = state.withLock { $0 }
        let paths = state.paths.sorted { $0.key.precedesBytewise($1.key) }
        return .object([
            .init("requests", .int(state.total.requests)), .init("bytes", .int(state.total.bytes)),
            .init("redirect_requests", .int(state.redirects)),
            .init("redirect_requests_with_token", .int(state.redirectTokens)),
            .init("paths", .object(paths.map { .init($0.key, Self.json($0.value)) })),
        ])
    }

    private static func json(_ counts: Counts) -> OrderedJSON {
        let statuses = counts.statuses.sorted { $0.key < $1.key }
        return .object([
            .init("requests", .int(counts.requests)), .init("heads", .int(counts.heads)),
            .init("bytes", .int(counts.bytes)),
            .init("statuses", .object(statuses.map { .init("\($0.key)", .int($0.value)) })),
        ])
    }
}
