// All parts of the service, in one place: a part is a line here and a folder beside this one.

enum ServiceRoutes {
    /// The groups of routes around what they stand on.
    static func all(
        _ context: ServiceContext, access: AccessControl, readiness: ReadinessWatch, metrics: MetricsSources,
        opensMetrics: Bool
    ) -> [any RouteGroup] {
        [
            HealthRoutes(readiness: readiness),
            AccessRoutes(access: access, now: context.now),
            WorkflowRoutes(context: context),
            MartletRoutes(context),
            MetricsRoutes(context: context, sources: metrics, isOpen: opensMetrics),
        ]
    }

    /// The router of all groups, with the page for addresses that only the browser knows.
    static func router(_ groups: [any RouteGroup], page: PageRoutes) -> ServiceRouter {
        ServiceRouter(groups.flatMap(\.routes) + page.routes, fallback: page.fallback)
    }
}
