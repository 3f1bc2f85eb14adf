// The objects of a cluster as its API keeps them: versions, history, lists by pages, and who is told of changes.
// It refuses what a real one refuses, so that a client that breaks a rule fails its test.

import Synchronization
package import Text
import WorkflowLanguage

package final class FakeObjects: Sendable {
    package struct Change: Sendable {
        package var version: Int
        /// `ADDED`, `MODIFIED` or `DELETED`.
        package var kind: String
        package var place: ObjectPlace
        package var object: JSONValue
        /// How it was before, for watches whose selector it leaves.
        package var before: JSONValue?
    }

    /// Part of a list.
    package struct Page: Sendable {
        package var items: [JSONValue]
        package var version: Int
        /// Where the next part begins; nil for the last.
        package var next: String?
        package var remaining = 0
    }

    /// Judges what is to be written: verb, place, and the object as it is to be. It must not ask the store.
    package typealias Admission = @Sendable (String, ObjectPlace, JSONValue) -> Refusal?
    /// Acts on changes as a controller of the cluster does; may read and write, and must not wait.
    package typealias Controller = @Sendable (Change, FakeObjects) -> Void

    private struct Told {
        var queue: [Change] = []
        var isBusy = false
        var controllers: [Controller] = []
    }

    let state: Mutex<ObjectState>
    let now: @Sendable () -> Timestamp
    private let admission = Mutex<Admission?>(nil)
    private let listeners = Mutex<(next: Int, all: [Int: @Sendable () -> Void])>((0, [:]))
    private let told = Mutex(Told())
    /// Creates that were taken, by place: a pod that is made twice is a broken promise.
    let creates = Mutex<[ObjectPlace: Int]>([:])

    package init(historyLimit: Int = 20_000, now: @escaping @Sendable () -> Timestamp) {
        state = Mutex(ObjectState(historyLimit: historyLimit))
        self.now = now
    }

    package var createCounts: [ObjectPlace: Int] { creates.withLock { $0 } }
    package var version: Int { state.withLock { $0.version } }

    /// Lets watches from before now be too old, as a compaction does.
    package func forgetHistory() {
        state.withLock { state in
            state.changes = []
            state.forgotten = state.version
        }
    }

    /// Puts an admission webhook before all writes.
    package func setAdmission(_ judge: Admission?) { admission.withLock { $0 = judge } }

    /// From now on the controller is told of all changes, one after the other.
    package func attach(_ controller: @escaping Controller) {
        told.withLock { $0.controllers.append(controller) }
    }

    // MARK: Reading

    package func get(_ place: ObjectPlace) throws(Refusal) -> JSONValue {
        let key = place.withoutSubresource
        guard let object = state.withLock({ $0[key] }) else { throw Refusal.notFound(place) }
        return object
    }

    package func list(
        _ place: ObjectPlace, labels: LabelTerms, fields: FieldTerms = FieldTerms()
    ) -> (items: [JSONValue], version: Int) {
        let (found, version) = state.withLock { ($0.kinds[place.kind] ?? [:], $0.version) }
        return (Self.sorted(found, place, labels, fields).map(\.value), version)
    }

    /// All pages of a list show the cluster as it was at the first.
    /// - Throws: 410 when that is forgotten.
    package func page(
        _ place: ObjectPlace, labels: LabelTerms, fields: FieldTerms, limit: Int, from token: String
    ) throws(Refusal) -> Page {
        let parts = token.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        if !token.isEmpty && parts.count != 3 {
            throw Refusal(400, "BadRequest", "continue key is not valid")
        }
        let wanted = token.isEmpty ? nil : Int(parts[0])
        let found = state.withLock { state -> (objects: [ObjectPlace: JSONValue], version: Int)? in
            let version = wanted ?? state.version
            if version < state.forgotten { return nil }
            return (state.objects(of: place.kind, at: version), version)
        }
        guard let found else {
            throw Refusal(
                410, "Expired",
                "The provided continue parameter is too old to display a consistent list result")
        }
        var items = Self.sorted(found.objects, place, labels, fields)[...]
        if !token.isEmpty {
            items = items.drop { ($0.key.namespace, $0.key.name) <= (parts[1], parts[2]) }
        }
        let part = items.prefix(limit)
        var page = Page(items: part.map(\.value), version: found.version)
        if let last = part.last, part.count < items.count {
            page.next = "\(found.version)|\(last.key.namespace)|\(last.key.name)"
            page.remaining = items.count - part.count
        }
        return page
    }

    private static func sorted(
        _ objects: [ObjectPlace: JSONValue], _ place: ObjectPlace, _ labels: LabelTerms, _ fields: FieldTerms
    ) -> [(key: ObjectPlace, value: JSONValue)] {
        objects.filter { key, object in
            (place.namespace.isEmpty || key.namespace == place.namespace) && labels.match(object)
                && fields.match(object)
        }.sorted { ($0.key.namespace, $0.key.name) < ($1.key.namespace, $1.key.name) }
    }

    /// - Throws: 410 when the version is too old.
    package func changes(
        of place: ObjectPlace, after version: Int, labels: LabelTerms, fields: FieldTerms = FieldTerms()
    ) throws(Refusal) -> (events: [(kind: String, object: JSONValue)], version: Int) {
        let (recent, forgotten, current) = state.withLock { state in
            (state.changes(after: version), state.forgotten, state.version)
        }
        if version < forgotten {
            throw Refusal(410, "Expired", "too old resource version: \(version) (\(forgotten))")
        }
        func match(_ object: JSONValue) -> Bool { labels.match(object) && fields.match(object) }
        let events = recent.compactMap { change -> (kind: String, object: JSONValue)? in
            guard change.place.kind == place.kind,
                place.namespace.isEmpty || change.place.namespace == place.namespace
            else { return nil }
            let (is_, was) = (match(change.object), change.before.map(match) ?? false)
            switch (change.kind, is_, was) {
            case ("MODIFIED", true, false): return ("ADDED", change.object)
            case ("MODIFIED", false, true): return ("DELETED", change.object)
            case (_, true, _): return (change.kind, change.object)
            default: return nil
            }
        }
        return (events, current)
    }

    // MARK: Who is told

    /// - Parameter body: called after each change, on the thread of whoever made it; must be quick.
    /// - Returns: a number to end it with.
    package func addListener(_ body: @escaping @Sendable () -> Void) -> Int {
        listeners.withLock { listeners in
            listeners.next += 1
            listeners.all[listeners.next] = body
            return listeners.next
        }
    }

    package func removeListener(_ number: Int) {
        listeners.withLock { _ = $0.all.removeValue(forKey: number) }
    }

    /// Returns when the condition holds, which is asked for now and after each change, or when the task is
    /// cancelled.
    package func wait(until holds: @Sendable () -> Bool) async {
        let (signals, signal) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let number = addListener { signal.yield() }
        defer { removeListener(number) }
        if holds() { return }
        for await _ in signals { if holds() { return } }
    }

    /// Tells of what was written. Controllers act in the order of the changes, one at a time; what they write
    /// themselves is told after that.
    func announce(_ changes: [Change]) {
        for listener in listeners.withLock({ Array($0.all.values) }) { listener() }
        let isMine = told.withLock { told in
            guard !told.controllers.isEmpty else { return false }
            told.queue += changes
            if told.isBusy { return false }
            told.isBusy = true
            return true
        }
        guard isMine else { return }
        while let (change, controllers) = nextChange() {
            for controller in controllers { controller(change, self) }
        }
    }

    private func nextChange() -> (Change, [Controller])? {
        told.withLock { told in
            guard !told.queue.isEmpty else {
                told.isBusy = false
                return nil
            }
            return (told.queue.removeFirst(), told.controllers)
        }
    }

    func admit(_ verb: String, _ place: ObjectPlace, _ object: JSONValue) throws(Refusal) {
        let judge = admission.withLock { $0 }
        if let refusal = judge?(verb, place, object) { throw refusal }
    }
}
