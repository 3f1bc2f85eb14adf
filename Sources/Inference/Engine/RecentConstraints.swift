// The constraints that were used last, so that a client which sends the same schema each time pays for it once.

/// At most 32 compiled constraints; the one that was not used for longest goes first.
struct RecentConstraints {
    static let limit = 32
    private var entries: [(specification: ConstraintSpecification, constraint: CompiledConstraint)] = []

    subscript(specification: ConstraintSpecification) -> CompiledConstraint? {
        mutating get {
            guard let index = entries.firstIndex(where: { $0.specification == specification }) else {
                return nil
            }
            let entry = entries.remove(at: index)
            entries.append(entry)
            return entry.constraint
        }
        set {
            entries.removeAll { $0.specification == specification }
            guard let newValue else { return }
            if entries.count == Self.limit { entries.removeFirst() }
            entries.append((specification, newValue))
        }
    }
}
