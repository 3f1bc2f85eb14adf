// What deployments do, as metrics.

import Scheduling

extension DeploymentTable {
    /// Requests, failures and processes by deployment; nothing where nothing is deployed.
    package var families: [MetricFamily] {
        let names = names.sorted()
        guard !names.isEmpty else { return [] }
        func family(
            _ kind: MetricFamily.Kind, _ name: String, _ help: String, _ value: (String) -> Int
        ) -> MetricFamily {
            MetricFamily(
                kind, "martlet_deployment_" + name, help,
                names.map { .init([.init("deployment", $0)], Double(value($0))) })
        }
        return [
            family(.counter, "requests_total", "Requests that were answered or given up.") {
                counts(of: $0).requests
            },
            family(.counter, "failures_total", "Requests that no replica could answer.") {
                counts(of: $0).failures
            },
            family(.gauge, "requests_in_flight", "Requests that are being answered.") {
                counts(of: $0).inFlight
            },
            family(.gauge, "ready_replicas", "Processes that are ready, of all revisions.") { name in
                views(of: name).count(where: \.replica.isReady)
            },
        ]
    }
}
