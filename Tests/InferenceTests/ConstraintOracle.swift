// What constraints are tested against: a plain validator of JSON Schema, vocabularies drawn by chance, and
// walks that take any allowed token.

import Inference
import TestSupport
import Testing
import Text

/// Validates by reading the schema anew at every value, keyword by keyword. Formats are checked elsewhere.
struct SchemaOracle {
    let root: OrderedJSON

    func isValid(_ value: OrderedJSON) -> Bool { isValid(value, root) }

    private func isValid(_ value: OrderedJSON, _ schema: OrderedJSON) -> Bool {
        if let flag = schema.boolValue { return flag }
        guard let members = schema.objectValue else { return false }
        return members.allSatisfy { holds($0.key, $0.value, value, schema) }
    }

    private func holds(_ keyword: String, _ rule: OrderedJSON, _ value: OrderedJSON, _ schema: OrderedJSON)
        -> Bool
    {
        switch keyword {
        case "type":
            let names = rule.arrayValue?.compactMap(\.stringValue) ?? [rule.stringValue ?? ""]
            let isNull = value == .null && schema["nullable"]?.boolValue == true
            return isNull || names.contains { hasType(value, $0) }
        case "const": return same(value, rule)
        case "enum": return rule.arrayValue?.contains { same(value, $0) } == true
        case "$ref": return isValid(value, resolve(rule.stringValue ?? ""))
        case "allOf": return rule.arrayValue?.allSatisfy { isValid(value, $0) } == true
        case "anyOf": return rule.arrayValue?.contains { isValid(value, $0) } == true
        case "oneOf": return rule.arrayValue?.count { isValid(value, $0) } == 1
        default:
            if value.objectValue != nil { return holdsForObject(keyword, rule, value, schema) }
            if let items = value.arrayValue { return holdsForArray(keyword, rule, items, schema) }
            if let text = value.stringValue { return holdsForString(keyword, rule, text) }
            if let number = value.doubleValue { return holdsForNumber(keyword, rule, number) }
            return true
        }
    }

    private func holdsForObject(
        _ keyword: String, _ rule: OrderedJSON, _ value: OrderedJSON, _ schema: OrderedJSON
    ) -> Bool {
        let members = value.objectValue ?? []
        let patterns = schema["patternProperties"]?.objectValue ?? []
        switch keyword {
        case "properties":
            return rule.objectValue?.allSatisfy { property in
                value[property.key].map { isValid($0, property.value) } ?? true
            } == true
        case "patternProperties":
            return members.allSatisfy { member in
                patterns.allSatisfy { !matches($0.key, member.key) || isValid(member.value, $0.value) }
            }
        case "additionalProperties":
            return members.allSatisfy { member in
                schema["properties"]?[member.key] != nil
                    || patterns.contains { matches($0.key, member.key) } || isValid(member.value, rule)
            }
        case "required": return rule.arrayValue?.allSatisfy { value[$0.stringValue ?? ""] != nil } == true
        case "propertyNames": return members.allSatisfy { isValid(.string($0.key), rule) }
        case "minProperties": return members.count >= rule.intValue ?? 0
        case "maxProperties": return members.count <= rule.intValue ?? 0
        default: return true
        }
    }

    private func holdsForArray(
        _ keyword: String, _ rule: OrderedJSON, _ items: [OrderedJSON], _ schema: OrderedJSON
    ) -> Bool {
        let prefix = schema["prefixItems"]?.arrayValue ?? []
        switch keyword {
        case "prefixItems": return zip(items, prefix).allSatisfy { isValid($0, $1) }
        case "items": return items.dropFirst(prefix.count).allSatisfy { isValid($0, rule) }
        case "minItems": return items.count >= rule.intValue ?? 0
        case "maxItems": return items.count <= rule.intValue ?? 0
        case "uniqueItems":
            return rule.boolValue == false
                || items.indices.allSatisfy { index in
                    !items[..<index].contains { same($0, items[index]) }
                }
        default: return true
        }
    }

    private func holdsForString(_ keyword: String, _ rule: OrderedJSON, _ text: String) -> Bool {
        switch keyword {
        case "minLength": text.unicodeScalars.count >= rule.intValue ?? 0
        case "maxLength": text.unicodeScalars.count <= rule.intValue ?? 0
        case "pattern": matches(rule.stringValue ?? "", text)
        default: true
        }
    }

    private func holdsForNumber(_ keyword: String, _ rule: OrderedJSON, _ number: Double) -> Bool {
        let bound = rule.doubleValue ?? 0
        switch keyword {
        case "minimum": return number >= bound
        case "maximum": return number <= bound
        case "exclusiveMinimum": return rule.boolValue != nil || number > bound
        case "exclusiveMaximum": return rule.boolValue != nil || number < bound
        case "multipleOf": return number.truncatingRemainder(dividingBy: bound) == 0
        default: return true
        }
    }

    private func hasType(_ value: OrderedJSON, _ name: String) -> Bool {
        switch (value, name) {
        case (.null, "null"), (.bool, "boolean"), (.int, "integer"), (.int, "number"), (.double, "number"),
            (.string, "string"), (.array, "array"), (.object, "object"):
            true
        case (.double(let number), "integer"): number == number.rounded()
        default: false
        }
    }

    private func same(_ left: OrderedJSON, _ right: OrderedJSON) -> Bool {
        if let one = left.objectValue, let two = right.objectValue {
            return one.count == two.count
                && one.allSatisfy { member in right[member.key].map { same(member.value, $0) } == true }
        }
        if let one = left.arrayValue, let two = right.arrayValue {
            return one.count == two.count && zip(one, two).allSatisfy(same)
        }
        if let one = left.doubleValue, let two = right.doubleValue { return one == two }
        return left == right
    }

    private func matches(_ pattern: String, _ text: String) -> Bool {
        (try? RegularExpression(pattern))?.matches(text) == true
    }

    private func resolve(_ target: String) -> OrderedJSON {
        target.split(separator: "/").dropFirst().reduce(root) { $0[String($1)] ?? .bool(false) }
    }
}

/// A vocabulary with every byte, longer pieces, and what a real one has beside text.
struct DrawnVocabulary: CustomTestStringConvertible {
    var tokens: [[UInt8]]
    let endOfSequence: Set<Int32> = [0, 3]
    let vocabulary: ConstraintVocabulary

    /// Pieces that stand across the borders of what a grammar distinguishes.
    private static let pieces = [
        "_s\"", "n_", "end",
        "{\"", "\":", "\": \"", "\",\"", "\", \"", "\"}", "\"]", "}]", "]}", "},{", "}, {\"", "[[", "[]",
        "{}",
        "true", "false", "null", "tru", "nul", "12", "-1", "0.5", "e1", ".0", " ", "  ", "\n", "\\n", "\\\"",
        "\\u00", "abc", "name", "id", "a", "b\":", "é", "日本", "😀", "\u{301}", "kind", "type", "value", "x",
        "1.",
        "2024-", "-01", "T1", "10", "100", ", ", ": ", "\"a\"", "\"b\": ", "ab", "aa", "}}", "]]", "\"\"",
        ",",
    ]

    var testDescription: String { "a vocabulary of \(tokens.count) tokens" }

    init(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        // The end, a special token, an unused one, and another end that has bytes.
        var tokens: [[UInt8]] = [[], [], [], Array("</s>".utf8)]
        tokens += (UInt8(0)...255).map { [$0] }
        tokens += Self.pieces.map { Array($0.utf8) }
        for _ in 0..<150 {
            let first = tokens[4...].randomElement(using: &generator) ?? []
            let second = tokens[260...].randomElement(using: &generator) ?? []
            tokens.append(first + second)
        }
        self.tokens = tokens
        vocabulary = ConstraintVocabulary(tokenBytes: tokens, endOfSequence: endOfSequence)
    }
}

/// The tokens of a mask.
func allowedTokens(_ constraint: CompiledConstraint, _ state: ConstraintState, size: Int) -> [Int32] {
    // More words than the vocabulary has, and none of them empty, as a sampler might pass them.
    var words = [UInt32](repeating: .max, count: (size + 31) / 32 + 2)
    words.withUnsafeMutableBufferPointer { constraint.mask(state, into: $0) }
    return (0..<Int32(words.count * 32)).filter { words[Int($0 >> 5)] >> UInt32($0 & 31) & 1 != 0 }
}

/// Takes allowed tokens by chance, and after a while those that come to an end.
/// - Returns: the text up to the end of the sequence; nil if there was none in good time, or if nothing was
///   allowed.
func drawnText(
    _ constraint: CompiledConstraint, _ drawn: DrawnVocabulary, seed: UInt64, patience: Int = 40
) -> [UInt8]? {
    var generator = SeededGenerator(seed: seed)
    var state = constraint.start()
    var text: [UInt8] = []
    for step in 0..<3000 {
        let allowed = allowedTokens(constraint, state, size: drawn.tokens.count)
        var candidates = allowed
        if step > patience {
            // A quote ends a string, or has before it what the string's pattern wants; a bracket may be text.
            // A token that may be the last is the best of all.
            let way = Int.random(in: 0..<4, using: &generator)
            let closing = allowed.filter { token in
                let bytes = drawn.tokens[Int(token)]
                switch way {
                case 0: return bytes.contains(UInt8(ascii: "\""))
                case 1: return bytes.first.map { "\"}]".utf8.contains($0) } == true
                case 2:
                    var trial = state
                    return constraint.advance(&trial, token) && constraint.mayEnd(trial)
                default: return false
                }
            }
            if !closing.isEmpty { candidates = closing }
            if let end = allowed.first(where: drawn.endOfSequence.contains) { candidates = [end] }
        }
        guard let token = candidates.randomElement(using: &generator) else {
            Issue.record("nothing is allowed after \(String(decoding: text, as: UTF8.self))")
            return nil
        }
        guard constraint.advance(&state, token) else {
            Issue.record("token \(token) is in the mask but is refused")
            return nil
        }
        if drawn.endOfSequence.contains(token) { return text }
        text += drawn.tokens[Int(token)]
    }
    Issue.record("no end after \(String(decoding: text.suffix(200), as: UTF8.self))")
    return nil
}

/// Whether a text, byte by byte, is complete in the constraint.
func accepts(_ constraint: CompiledConstraint, _ text: String) -> Bool {
    // In drawn vocabularies a byte's token comes four behind its value.
    var state = constraint.start()
    for byte in text.utf8 { guard constraint.advance(&state, Int32(byte) + 4) else { return false } }
    return constraint.mayEnd(state)
}
