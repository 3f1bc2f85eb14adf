// Going through values one by one, their lengths, and slices.

/// Reads the elements of a value in turn. For a generator this uses it up.
final class TemplateCursor {
    private enum Source {
        case elements([TemplateValue])
        case scalars([Unicode.Scalar])
        case range(TemplateRange, count: Int)
        case iterator(TemplateIterator)
        case loop(LoopState)
    }

    private let source: Source
    private var position = 0
    private let budget: TemplateBudget

    /// - Throws: if the value has no elements, as Python's `iter` does.
    init(_ value: TemplateValue, _ budget: TemplateBudget) throws(TemplateFailure) {
        self.budget = budget
        switch value {
        case .undefined: source = .elements([])
        case .string(let text): source = .scalars(text.scalars)
        case .list(let list), .tuple(let list): source = .elements(list.elements)
        case .dictionary(let dictionary): source = .elements(try dictionary.elements(.keys, budget))
        case .view(let dictionary, let view): source = .elements(try dictionary.elements(view, budget))
        case .range(let range): source = .range(range, count: range.count)
        case .iterator(let iterator): source = .iterator(iterator)
        case .loop(let loop): source = .loop(loop)
        default: throw .wrongValue("'\(value.typeName)' object is not iterable")
        }
    }

    /// The number of elements, where it is known without reading them.
    var knownCount: Int? {
        switch source {
        case .elements(let elements): elements.count
        case .scalars(let scalars): scalars.count
        case .range(_, let count): count
        case .iterator, .loop: nil
        }
    }

    func next() throws(TemplateFailure) -> TemplateValue? {
        try budget.charge()
        position += 1
        switch source {
        case .elements(let elements): return position <= elements.count ? elements[position - 1] : nil
        case .scalars(let scalars):
            return position <= scalars.count ? .string(PythonString([scalars[position - 1]])) : nil
        case .range(let range, let count): return position <= count ? .int(range.element(position - 1)) : nil
        case .iterator(let iterator): return try iterator.next()
        case .loop(let loop):
            guard try loop.advance() else { return nil }
            return .tuple(try TemplateList([loop.current, .loop(loop)], budget: budget))
        }
    }

    func rest() throws(TemplateFailure) -> [TemplateValue] {
        var elements: [TemplateValue] = []
        while let element = try next() {
            elements.append(element)
            guard elements.count <= TemplateLimits.elements else {
                try budget.allow(elements: elements.count)
                break
            }
        }
        return elements
    }
}

extension TemplateValue {
    var isIterable: Bool {
        switch self {
        case .undefined, .string, .list, .tuple, .dictionary, .view, .range, .iterator, .loop: true
        default: false
        }
    }

    /// All elements. For a generator this uses it up.
    func elements(_ budget: TemplateBudget) throws(TemplateFailure) -> [TemplateValue] {
        switch self {
        case .list(let list), .tuple(let list):
            try budget.charge(list.elements.count)
            return list.elements
        default: return try TemplateCursor(self, budget).rest()
        }
    }

    /// `len`; nil for values that have none, such as generators and numbers.
    var length: Int? {
        switch self {
        case .undefined: 0
        case .string(let text): text.count
        case .list(let list), .tuple(let list): list.elements.count
        case .dictionary(let dictionary), .view(let dictionary, _): dictionary.entries.count
        case .range(let range): range.count
        default: nil
        }
    }

    /// `self[start:stop:step]`. Parts that are missing are nil.
    func slice(
        _ start: TemplateValue?, _ stop: TemplateValue?, _ step: TemplateValue?, _ budget: TemplateBudget
    ) throws(TemplateFailure) -> TemplateValue {
        switch self {
        case .string(let text):
            let range = try Self.range(text.count, start, stop, step)
            try budget.charge(bytes: text.utf8.count)
            if range.step == 1 {
                var piece = text.slice(range.start..<range.start + range.count)
                piece.isMarkup = text.isMarkup
                return .string(piece)
            }
            let scalars = text.scalars
            return .string(PythonString((0..<range.count).lazy.map { scalars[range.element($0)] }))
        case .list(let list):
            return .list(try TemplateList(try Self.slice(list.elements, start, stop, step), budget: budget))
        case .tuple(let list):
            return .tuple(try TemplateList(try Self.slice(list.elements, start, stop, step), budget: budget))
        case .range(let range):
            let part = try Self.range(range.count, start, stop, step)
            let (newStep, overflow) = range.step.multipliedReportingOverflow(by: part.step)
            guard !overflow else { throw .wrongValue("the step of a range is too large") }
            let first = range.element(part.start)
            return .range(
                TemplateRange(start: first, stop: first &+ part.count &* newStep, step: newStep))
        case .undefined(let missing): throw missing.failure
        case .dictionary: throw .wrongValue("unhashable type: 'slice'")
        default: throw .wrongValue("'\(typeName)' object is not subscriptable")
        }
    }

    private static func slice(
        _ elements: [TemplateValue], _ start: TemplateValue?, _ stop: TemplateValue?, _ step: TemplateValue?
    ) throws(TemplateFailure) -> [TemplateValue] {
        let range = try range(elements.count, start, stop, step)
        if range.step == 1 { return Array(elements[range.start..<range.start + range.count]) }
        return (0..<range.count).map { elements[range.element($0)] }
    }

    /// The indexes that a slice means in a sequence of so many elements.
    static func range(
        _ count: Int, _ start: TemplateValue?, _ stop: TemplateValue?, _ step: TemplateValue?
    ) throws(TemplateFailure) -> TemplateRange {
        func index(_ value: TemplateValue?) throws(TemplateFailure) -> Int? {
            guard let value else { return nil }
            if case .none = value { return nil }
            guard let index = value.index else {
                throw .wrongValue("slice indices must be integers or None or have an __index__ method")
            }
            return index
        }
        let stride = try index(step) ?? 1
        guard stride != 0 else { throw .wrongValue("slice step cannot be zero") }
        let lowest = stride > 0 ? 0 : -1
        let highest = stride > 0 ? count : count - 1
        func place(_ index: Int) -> Int {
            min(max(index < 0 ? index.addingClamped(count) : index, lowest), highest)
        }
        let first = try index(start).map(place) ?? (stride > 0 ? 0 : count - 1)
        let last = try index(stop).map(place) ?? (stride > 0 ? count : -1)
        // Beyond the count all steps are alike, and smaller ones cannot overflow.
        let step = stride > 0 ? min(stride, count + 1) : max(stride, -count - 1)
        let range = TemplateRange(start: first, stop: last, step: step)
        return range.count > 0 ? range : TemplateRange(start: max(first, 0), stop: max(first, 0), step: step)
    }
}
