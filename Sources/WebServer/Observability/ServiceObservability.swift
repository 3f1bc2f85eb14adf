// What a server counts, gathered in one value for those who put its parts together.

package import Controller

/// The counters of a server and where further numbers come from.
package struct ServiceObservability: Sendable {
    package let service: ServiceMetrics
    package let controller: ControllerMetrics
    package let custom: CustomMetrics
    /// Numbers of the executor: slots, processors, memory, GPUs.
    package var executor: (@Sendable () async -> [MetricFamily])?
    /// Why nothing can be saved at the moment; nil when all is well.
    package var storageProblem: (@Sendable () async -> String?)?
    /// Whether `/metrics` needs no token.
    package var isOpen = false

    package init() {
        service = ServiceMetrics()
        controller = ControllerMetrics()
        custom = CustomMetrics()
    }

    /// For the controller's settings.
    /// - Parameter notifications: nil where nobody is told of runs that end.
    package func observers(notifications: NotificationSettings?) -> ControllerObservers {
        ControllerObservers(metrics: controller, custom: custom, notifications: notifications)
    }
}
