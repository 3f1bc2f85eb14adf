// The pieces of JSON's syntax: strings with their escapes, and what stands between values.

extension AutomatonBuilder {
    /// A colon or comma and at most one space. More whitespace is not allowed anywhere: small models that may
    /// write it tend not to stop.
    mutating func addSeparator(_ sign: UInt8, from source: Int32) throws(ConstraintError) -> Int32 {
        let behind = try addBytes([sign], from: source)
        let end = try addState()
        addEpsilon(from: behind, to: end)
        addEdge(from: behind, UInt8(ascii: " "), UInt8(ascii: " "), to: end)
        return end
    }

    /// A JSON string whose content, unescaped, an automaton accepts. Only what needs an escape gets one.
    mutating func addString(
        _ content: ByteAutomaton, from source: Int32
    ) throws(ConstraintError) -> Int32 {
        let quote = UInt8(ascii: "\"")
        let opened = try addBytes([quote], from: source)
        let closing = try addState()
        let first = try addCopiedStates(of: content, from: opened, end: closing)
        for (index, state) in content.states.enumerated() {
            let from = first + Int32(index)
            for edge in state.edges { addPlain(edge, from: from, to: first + edge.target) }
            for byte in JSONEscapes.escaped {
                guard let target = state.target(of: byte), let escape = JSONEscapes.escape(of: byte) else {
                    continue
                }
                let last = try addBytes(escape.dropLast(), from: from)
                addEdge(from: last, escape[escape.count - 1], escape[escape.count - 1], to: first + target)
            }
        }
        return try addBytes([quote], from: closing)
    }

    /// The part of an edge that needs no escape.
    private mutating func addPlain(_ edge: ByteEdge, from source: Int32, to target: Int32) {
        for plain in [UInt8(0x20)...0x21, 0x23...0x5B, 0x5D...0xFF] {
            let low = max(edge.low, plain.lowerBound)
            let high = min(edge.high, plain.upperBound)
            if low <= high { addEdge(from: source, low, high, to: target) }
        }
    }
}

extension ByteAutomaton {
    /// Any JSON string: valid UTF-8, all of JSON's escapes, surrogates in pairs only.
    /// - Parameter bounds: the index of the limits on its number of characters.
    static func anyString(bounds: Int32) -> ByteAutomaton {
        let (start, inside, end, escape) = (0, 1, 2, 3)
        // One, two and three continuation bytes to come, and those after E0, ED, F0 and F4, which are fewer.
        let (one, two, three, afterE0, afterED, afterF0, afterF4) = (4, 5, 6, 7, 8, 9, 10)
        // The digits of \uXXXX; of a high surrogate; of the low one behind it.
        let (unicode, second, third, fourth) = (11, 12, 13, 14)
        let (afterD, highThird, highFourth, lowBackslash, lowU) = (15, 16, 17, 18, 19)
        let (lowFirst, lowSecond) = (20, 21)
        var states = Array(repeating: State(), count: 22)
        func add(_ source: Int, _ low: UInt8, _ high: UInt8, _ target: Int) {
            states[source].edges.append(ByteEdge(low: low, high: high, target: Int32(target)))
        }
        func addDigits(_ source: Int, _ target: Int, _ digits: String = "0123456789ABCDEFabcdef") {
            for byte in digits.utf8 { states[source].append(low: byte, high: byte, target: Int32(target)) }
        }
        states[end].isFinal = true
        states[inside].bounds = bounds
        addDigits(start, inside, "\"")
        add(inside, 0x20, 0x21, inside)
        add(inside, 0x22, 0x22, end)
        add(inside, 0x23, 0x5B, inside)
        add(inside, 0x5C, 0x5C, escape)
        add(inside, 0x5D, 0x7F, inside)
        for (low, high, target) in [
            (UInt8(0xC2), UInt8(0xDF), one), (0xE0, 0xE0, afterE0), (0xE1, 0xEC, two), (0xED, 0xED, afterED),
            (0xEE, 0xEF, two), (0xF0, 0xF0, afterF0), (0xF1, 0xF3, three), (0xF4, 0xF4, afterF4),
        ] { add(inside, low, high, target) }
        for (source, low, high, target) in [
            (one, UInt8(0x80), UInt8(0xBF), inside), (two, 0x80, 0xBF, one), (three, 0x80, 0xBF, two),
            (afterE0, 0xA0, 0xBF, one), (afterED, 0x80, 0x9F, one), (afterF0, 0x90, 0xBF, two),
            (afterF4, 0x80, 0x8F, two),
        ] { add(source, low, high, target) }
        addDigits(escape, inside, "\"/\\bfnrt")
        addDigits(escape, unicode, "u")
        addDigits(unicode, second, "0123456789ABC")
        addDigits(unicode, afterD, "D")
        addDigits(unicode, second, "EFabc")
        addDigits(unicode, afterD, "d")
        addDigits(unicode, second, "ef")
        addDigits(second, third)
        addDigits(afterD, third, "01234567")
        addDigits(afterD, highThird, "89ABab")
        addDigits(third, fourth)
        addDigits(fourth, inside)
        addDigits(highThird, highFourth)
        addDigits(highFourth, lowBackslash)
        addDigits(lowBackslash, lowU, "\\")
        addDigits(lowU, lowFirst, "u")
        addDigits(lowFirst, lowSecond, "Dd")
        addDigits(lowSecond, third, "CDEFcdef")
        for index in states.indices { states[index].edges.sort { $0.low < $1.low } }
        return ByteAutomaton(states: states)
    }
}
