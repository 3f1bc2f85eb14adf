// Mirrors: the same question to one server after another until one answers, and of several failures the one
// that tells most.

/// Servers that hold the same repositories, tried in their order.
struct EndpointOrder: Sendable {
    let endpoints: [HubSettings.Endpoint]

    /// The first answer.
    /// - Parameter ask: gets the endpoint and how often a broken connection is to be tried again: less often
    ///   while there are others to ask.
    func first<Answer>(
        _ ask: (_ endpoint: HubSettings.Endpoint, _ retries: Int?) throws -> Answer
    ) throws -> (Answer, HubSettings.Endpoint) {
        var failures: [(HubSettings.Endpoint, DownloadError)] = []
        for endpoint in endpoints {
            do {
                return (try ask(endpoint, endpoints.count > 1 ? 2 : nil), endpoint)
            } catch let error as DownloadError {
                if error.kind == .cancelled { throw error }
                failures.append((endpoint, error))
            }
        }
        throw Self.summary(failures)
    }

    /// The failure that tells most, with what the others said.
    static func summary(_ failures: [(endpoint: HubSettings.Endpoint, error: DownloadError)]) -> DownloadError
    {
        guard
            let chosen = failures.indices.min(by: {
                (rank(failures[$0].error.kind), $0) < (rank(failures[$1].error.kind), $1)
            })
        else {
            return DownloadError(
                .badRequest, path: "", problem: "no endpoint is given",
                remedy: "set HF_ENDPOINT, or leave it out for the usual one")
        }
        var error = failures[chosen].error
        guard failures.count > 1 else { return error }
        let others = failures.indices.filter { $0 != chosen }.map {
            "\(failures[$0].endpoint.url): \(failures[$0].error.problem)"
        }
        error.problem += " (\(failures[chosen].endpoint.url); also asked: \(others.joined(separator: "; ")))"
        return error
    }

    /// Lower tells more: what a person can act on comes before what may pass.
    private static func rank(_ kind: DownloadError.Kind) -> Int {
        switch kind {
        case .gated: 0
        case .unauthorized: 1
        case .revisionNotFound: 2
        case .forbidden: 3
        case .repositoryNotFound, .notFound: 4
        case .rateLimited: 5
        default: 6
        }
    }
}
