// Members of objects and elements of lists, as expressions reach them.

import Text

extension ExpressionValue {
    /// The value as an object's key. Objects have text keys only; other scalars are found by their text.
    var keyText: String? {
        switch self {
        case .string(let text): text
        case .int, .bool, .double, .none: SprigText.display(self)
        case .array, .object, .time, .duration: nil
        }
    }

    /// The value as an index: integers, and floats without their fraction.
    var indexValue: Int? {
        switch self {
        case .int(let number): number
        case .double(let number): Int(exactly: number.rounded(.towardZero))
        default: nil
        }
    }

    /// What `.name` gives: nil for an absent key.
    func member(_ name: String) throws(ExpressionError) -> ExpressionValue {
        switch self {
        case .object(let members): return members[name] ?? .none
        case .none: throw ExpressionError("cannot get .\(name) of nil; use ?. where a value may be absent")
        case .time, .duration:
            throw ExpressionError("\(name) is a method of \(kindName): write .\(name)()")
        default: throw ExpressionError("cannot get .\(name) of \(kindName)")
        }
    }

    /// What `[index]` gives: nil for an absent key; negative indexes count from the end.
    func element(_ index: ExpressionValue) throws(ExpressionError) -> ExpressionValue {
        switch self {
        case .object(let members):
            guard let key = index.keyText else {
                throw ExpressionError("cannot use \(index.kindName) as a key")
            }
            return members[key] ?? .none
        case .array(let elements):
            return elements[try Self.position(index, count: elements.count)]
        case .string(let text):
            // Go's strings are bytes.
            let position = try Self.position(index, count: text.utf8.count)
            return .int(Int(text.utf8[text.utf8.index(text.utf8.startIndex, offsetBy: position)]))
        case .none:
            throw ExpressionError(
                "cannot get [\(index.keyText ?? index.kindName)] of nil; use ?.[ ] where it may be absent"
            )
        default: throw ExpressionError("cannot get an element of \(kindName)")
        }
    }

    private static func position(_ index: ExpressionValue, count: Int) throws(ExpressionError) -> Int {
        guard let number = index.indexValue else {
            throw ExpressionError("an index must be an integer, not \(index.kindName)")
        }
        let position = number < 0 ? number &+ count : number
        guard position >= 0, position < count else {
            throw ExpressionError("index out of range: \(number) (the length is \(count))")
        }
        return position
    }
}
