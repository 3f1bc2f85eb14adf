// Whether the service is alive, and whether it can do its work: for supervisors, load balancers and Kubernetes.

import Synchronization
import Text

/// Something that must work for the service to be of use.
package struct ReadinessCheck: Sendable {
    /// Such as `database`.
    package var name: String
    /// Why it does not work; nil when it does.
    package var problem: @Sendable () async -> String?

    package init(_ name: String, problem: @escaping @Sendable () async -> String?) {
        self.name = name
        self.problem = problem
    }
}

/// Asks the checks, one after another, when somebody wants to know. What is asked may hang, so those who wait for
/// answers do not wait for the checks themselves.
final class ReadinessWatch: Sendable {
    /// A look that takes longer has failed.
    static let limit = Duration.seconds(5)

    private struct State {
        var nextKey = 0
        var waiters: [Int: AsyncStream<[String: String]>.Continuation] = [:]
        /// The check that is being asked.
        var current: String?
    }

    private let checks: [ReadinessCheck]
    private let surroundings: ServerSurroundings
    private let state = Mutex(State())
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    init(checks: [ReadinessCheck], surroundings: ServerSurroundings) {
        self.checks = checks
        self.surroundings = surroundings
        (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// Looks whenever asked, until cancelled.
    func run() async {
        for await _ in wakes {
            let waiters = state.withLock { state in
                defer { state.waiters = [:] }
                return Array(state.waiters.values)
            }
            if waiters.isEmpty { continue }
            var problems: [String: String] = [:]
            for check in checks {
                state.withLock { $0.current = check.name }
                problems[check.name] = await check.problem()
            }
            state.withLock { $0.current = nil }
            for waiter in waiters { waiter.yield(problems) }
        }
    }

    /// What does not work, by the check's name.
    func problems() async -> [String: String] {
        let (answers, answer) = AsyncStream<[String: String]>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let key = state.withLock { state in
            state.nextKey += 1
            state.waiters[state.nextKey] = answer
            return state.nextKey
        }
        defer { state.withLock { _ = $0.waiters.removeValue(forKey: key) } }
        wake.yield()
        let surroundings = surroundings
        return await withTaskGroup(of: [String: String]?.self) { group in
            group.addTask {
                for await problems in answers { return problems }
                return nil
            }
            group.addTask {
                try? await surroundings.sleep(Self.limit)
                return nil
            }
            defer { group.cancelAll() }
            if let problems = await group.next() ?? nil { return problems }
            let name = state.withLock { $0.current } ?? "service"
            return [name: "gave no answer within \(Int(Self.limit.inSeconds)) seconds"]
        }
    }
}

struct HealthRoutes: RouteGroup {
    let readiness: ReadinessWatch

    var routes: [ServiceRoute] {
        [
            ServiceRoute(
                "GET", "/healthz", "HealthService_Alive", .open, summary: "Whether the process answers."
            ) { _ in .json(.object(["status": "ok"])) },
            ServiceRoute(
                "GET", "/readyz", "HealthService_Ready", .open,
                summary: "Whether database, controller and disk work; 503 with the reasons if not.",
                answer: ready),
        ]
    }

    private func ready(_ request: ServiceRequest) async -> HTTPReply {
        let problems = await readiness.problems()
        guard !problems.isEmpty else { return .json(.object(["status": "ok"])) }
        return .json(
            .object(["status": "not ready", "problems": .object(problems.mapValues { .string($0) })]),
            status: 503, headers: [("Retry-After", "5")])
    }
}
