// The names that a part of a template sees, and the objects that keep some of them.

/// Names with their values; those of the scopes around are seen through it.
final class TemplateScope {
    private var names: [Int] = []
    private var values: [TemplateValue] = []
    private let parent: TemplateScope?

    init(parent: TemplateScope?) { self.parent = parent }

    func value(of name: TemplateName) -> TemplateValue? {
        var scope: TemplateScope? = self
        while let current = scope {
            if let place = current.names.lastIndex(of: name.index) { return current.values[place] }
            scope = current.parent
        }
        return nil
    }

    /// Sets the name in this scope, whether or not one around has it too.
    func set(_ name: TemplateName, _ value: TemplateValue) {
        if let place = names.lastIndex(of: name.index) {
            values[place] = value
        } else {
            names.append(name.index)
            values.append(value)
        }
    }

    /// Lets go of all values: a macro refers to the scope that refers to it.
    func clear() {
        names = []
        values = []
    }
}

/// A macro with the scope in which it was defined.
final class TemplateClosure {
    let macro: TemplateMacro
    let scope: TemplateScope

    init(_ macro: TemplateMacro, _ scope: TemplateScope) {
        self.macro = macro
        self.scope = scope
    }
}

/// The variable `loop`: where a loop is, and a look at the elements beside the current one.
final class LoopState {
    private let cursor: TemplateCursor
    private let budget: TemplateBudget
    let iterableDepth: Int
    /// How many loops are around that called this one through `loop(...)`.
    let recursionDepth: Int
    /// For loops that call themselves.
    let recursion: (loop: TemplateLoop, scope: TemplateScope)?
    private(set) var index = 0
    private(set) var current = TemplateValue.none
    private(set) var previous: TemplateValue?
    /// Elements read ahead of the current one, for `last`, `nextitem` and `length`.
    private var ahead: ArraySlice<TemplateValue> = []
    private var isExhausted = false
    private var changedValues: [TemplateValue]?

    init(
        _ cursor: TemplateCursor, iterableDepth: Int, recursion: (loop: TemplateLoop, scope: TemplateScope)?,
        recursionDepth: Int, _ budget: TemplateBudget
    ) {
        self.cursor = cursor
        self.iterableDepth = iterableDepth
        self.recursion = recursion
        self.recursionDepth = recursionDepth
        self.budget = budget
    }

    var depth: Int { iterableDepth + 1 }

    /// Goes to the next element.
    /// - Returns: false at the end.
    func advance() throws(TemplateFailure) -> Bool {
        guard try peek() != nil, let value = ahead.popFirst() else { return false }
        previous = index > 0 ? current : nil
        current = value
        index += 1
        return true
    }

    func peek() throws(TemplateFailure) -> TemplateValue? {
        if let next = ahead.first { return next }
        guard !isExhausted, let next = try cursor.next() else {
            isExhausted = true
            return nil
        }
        ahead.append(next)
        return next
    }

    /// The number of elements. Reads a generator to its end.
    func length() throws(TemplateFailure) -> Int {
        if let count = cursor.knownCount { return count }
        if !isExhausted {
            ahead += try cursor.rest()
            isExhausted = true
        }
        return index + ahead.count
    }

    /// Whether the values differ from those of the last call.
    func changed(_ values: [TemplateValue]) throws(TemplateFailure) -> Bool {
        if let old = changedValues, old.count == values.count {
            var isSame = true
            for (old, new) in zip(old, values) where isSame { isSame = try old.isEqual(to: new, budget) }
            if isSame { return false }
        }
        changedValues = values
        return true
    }

    /// Lets go of all values.
    func clear() {
        changedValues = nil
        current = .none
        previous = nil
        ahead = []
    }
}
