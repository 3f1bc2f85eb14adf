// All parts of the service, in one place: a part is a line here and a folder beside this one.

import Controller
import Persistence
import Scheduling

enum ServiceRoutes {
    /// The groups of routes around what they stand on.
    static func all(
        _ context: ServiceContext, access: AccessControl, readiness: ReadinessWatch,
        observability: ServiceObservability = ServiceObservability()
    ) -> [any RouteGroup] {
        [
            HealthRoutes(readiness: readiness),
            AccessRoutes(access: access, now: context.now),
            WorkflowRoutes(context: context),
            MartletRoutes(context),
            DeploymentProxyRoutes(
                proxy: DeploymentProxy(
                    table: context.operations.controller?.settings.deployments?.table ?? DeploymentTable(),
                    surroundings: context.surroundings),
                lookUp: { [store = context.store] in try await store.deployment($0)?.namespace },
                doors: ClusterDeploymentOperations(
                    context.operations.controller?.settings.clusterDeployments
                ).map { ClusterDoors($0, now: context.surroundings.now) }),
            ModelHubRoutes(context),
            MetricsRoutes(
                context: context, sources: MetricsSources(observability), isOpen: observability.isOpen),
        ]
    }

    /// The router of all groups, with the page for addresses that only the browser knows.
    static func router(_ groups: [any RouteGroup], page: PageRoutes) -> ServiceRouter {
        ServiceRouter(groups.flatMap(\.routes) + page.routes, fallback: page.fallback)
    }
}
