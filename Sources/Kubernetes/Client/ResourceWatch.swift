// A list that stays true: listed once, then watched, watched again from where it stood when the connection
// ends, and listed anew when that place is too old.

package import Text

/// What a list's keeper is told.
package enum ListChange: Sendable {
    /// All there is; what is not in it has gone.
    case all([JSONValue])
    case changed(JSONValue)
    case deleted(JSONValue)
}

/// One list of one kind of objects.
package struct ResourceWatch: Sendable {
    private static let firstPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(30)

    package let client: KubernetesClient
    package let path: String
    package let labelSelector: String
    /// Told of what goes wrong, and with nil when it goes well again.
    package let onTrouble: @Sendable (KubernetesError?) -> Void

    package init(
        client: KubernetesClient, path: String, labelSelector: String,
        onTrouble: @escaping @Sendable (KubernetesError?) -> Void
    ) {
        self.client = client
        self.path = path
        self.labelSelector = labelSelector
        self.onTrouble = onTrouble
    }

    /// Goes on until the task is cancelled.
    package func run(_ tell: @Sendable (ListChange) async -> Void) async {
        var version: String?
        var pause = Self.firstPause
        while !Task.isCancelled {
            do {
                if version == nil {
                    let (items, current) = try await client.list(path, labelSelector: labelSelector)
                    await tell(.all(items))
                    version = current
                    onTrouble(nil)
                }
                try await watch(from: &version, pause: &pause, tell)
            } catch is CancellationError {
                return
            } catch let error as KubernetesError where error.isExpired {
                version = nil
            } catch {
                onTrouble(error as? KubernetesError ?? KubernetesError(status: 0, message: "\(error)"))
            }
            // A watch that ended in order is begun again soon; one that fails again and again, ever later.
            guard (try? await Task.sleep(for: pause)) != nil else { return }
            pause = min(pause * 2, Self.longestPause)
        }
    }

    private func watch(
        from version: inout String?, pause: inout Duration, _ tell: @Sendable (ListChange) async -> Void
    ) async throws {
        var place = version ?? ""
        var wasHeard = false
        defer {
            version = place
            if wasHeard { pause = Self.firstPause }
        }
        try await client.watch(path, labelSelector: labelSelector, from: place) { event in
            wasHeard = true
            switch event.kind {
            case .added, .modified: await tell(.changed(event.object))
            case .deleted: await tell(.deleted(event.object))
            case .bookmark, .error: break
            }
            // Only what was told is behind us.
            if let version = event.resourceVersion { place = version }
        }
        onTrouble(nil)
    }
}
