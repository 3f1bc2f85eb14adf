// A list that stays true: listed once, then watched, watched again from where it stood when the connection
// breaks, and listed anew when that place is too old, or when a watch has had its time.

package import Text

/// What a list's keeper is told.
package enum ListChange: Sendable {
    /// Some of what there is; all of it comes before `all`.
    case part([JSONValue])
    /// The names of all there is; what is not among them has gone.
    case all(Set<String>)
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
        var seen = SeenVersions()
        var pause = Self.firstPause
        while !Task.isCancelled {
            do {
                if version == nil {
                    version = try await list(&seen, tell)
                    onTrouble(nil)
                }
                try await watch(from: &version, &seen, pause: &pause, tell)
            } catch is CancellationError {
                return
            } catch let error as KubernetesError where error.isExpired {
                version = nil
            } catch let error as KubernetesError where error.reason == KubernetesError.silence {
                // A connection that somebody on the way has forgotten.
                version = nil
            } catch {
                pause = max(pause, min((error as? KubernetesError)?.retryAfter ?? .zero, Self.longestPause))
                onTrouble(error as? KubernetesError ?? KubernetesError(status: 0, message: "\(error)"))
            }
            // A watch that ended in order is begun again soon; one that fails again and again, ever later.
            guard (try? await Task.sleep(for: pause)) != nil else { return }
            pause = min(pause * 2, Self.longestPause)
        }
    }

    private func list(
        _ seen: inout SeenVersions, _ tell: @Sendable (ListChange) async -> Void
    ) async throws -> String {
        var names: Set<String> = []
        var fresh = SeenVersions()
        let version = try await client.pages(path, labelSelector: labelSelector) { items, isFirst in
            if isFirst { names = [] }
            for item in items {
                if let name = item["metadata"]?["name"]?.stringValue { names.insert(name) }
                _ = fresh.isNew(item)
            }
            await tell(.part(items))
        }
        seen = fresh
        await tell(.all(names))
        return version
    }

    private func watch(
        from version: inout String?, _ seen: inout SeenVersions, pause: inout Duration,
        _ tell: @Sendable (ListChange) async -> Void
    ) async throws {
        var place = version ?? ""
        var wasHeard = false
        var news = seen
        defer {
            version = place.isEmpty ? nil : place
            seen = news
            if wasHeard { pause = Self.firstPause }
        }
        let start = ContinuousClock.now
        try await client.watch(path, labelSelector: labelSelector, from: place) { event in
            wasHeard = true
            switch event.kind {
            case .added, .modified: if news.isNew(event.object) { await tell(.changed(event.object)) }
            case .deleted:
                news.forget(event.object)
                await tell(.deleted(event.object))
            case .bookmark:
                // They come when nothing else does.
                if client.calls.isRestDue(after: FreedMemory.requestsBetween) {
                    try await BlockingCall.run { FreedMemory.giveBack() }
                }
            case .error: break
            }
            // Only what was told is behind us.
            if let version = event.resourceVersion { place = version }
        }
        onTrouble(nil)
        // Some minutes have passed, after which one list costs little and mends whatever a watch has missed.
        if ContinuousClock.now - start > .seconds(KubernetesClient.watchSeconds / 2) { place = "" }
    }
}

/// The newest version told of each object: events that come twice, or after a newer one, say nothing.
struct SeenVersions: Sendable {
    private var versions: [String: UInt64] = [:]

    /// Versions that are no numbers cannot be compared, and count as new.
    mutating func isNew(_ object: JSONValue) -> Bool {
        guard let uid = object["metadata"]?["uid"]?.stringValue,
            let version = object["metadata"]?["resourceVersion"]?.stringValue.flatMap({ UInt64($0) })
        else { return true }
        if let known = versions[uid], version <= known { return false }
        versions[uid] = version
        return true
    }

    mutating func forget(_ object: JSONValue) {
        if let uid = object["metadata"]?["uid"]?.stringValue { versions[uid] = nil }
    }
}
