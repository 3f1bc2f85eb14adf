// Follows the JSON object of one tool call byte by byte, so that its arguments can be passed on while they
// are still being generated.
import Text

/// Reads `{"name": ..., "arguments": {...}}`, in any order and with any other members.
struct ToolCallScanner {
    enum Event: Equatable {
        case nothing
        /// The call's name is known.
        case name(String)
        /// The next byte of the arguments' JSON text.
        case argument(UInt8)
        /// The object is complete.
        case ended
        /// This is no object, or not JSON.
        case failed
    }

    private enum State {
        case start, key, inKey, colon, beforeValue, inString, inContainer, inScalar, next, over
    }

    private static let argumentKeys: Set = ["arguments", "parameters"]
    /// A name longer than this is no name.
    private static let maxKeyBytes = 4_096

    private var state = State.start
    private var isEscaped = false
    private var isInsideString = false
    private var depth = 0
    private var key: [UInt8] = []
    private var text: [UInt8] = []
    private var isArguments = false
    private var isName = false

    /// The key that was read last, also when its value was of no interest.
    var lastKey: String { String(decoding: key.dropFirst().dropLast(), as: UTF8.self) }

    mutating func consume(_ byte: UInt8) -> Event {
        let isSpace = byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
        switch state {
        case .start:
            if isSpace { return .nothing }
            return byte == UInt8(ascii: "{") ? move(to: .key) : fail()
        case .key:
            if isSpace { return .nothing }
            if byte == UInt8(ascii: "}") { return end() }
            guard byte == UInt8(ascii: "\"") else { return fail() }
            key = [byte]
            return move(to: .inKey)
        case .inKey:
            key.append(byte)
            guard key.count <= Self.maxKeyBytes else { return fail() }
            return closesString(byte) ? move(to: .colon) : .nothing
        case .colon:
            if isSpace { return .nothing }
            return byte == UInt8(ascii: ":") ? move(to: .beforeValue) : fail()
        case .beforeValue:
            return isSpace ? .nothing : beginValue(byte)
        case .inString:
            return closesString(byte) ? endValue(with: byte) : keep(byte)
        case .inContainer:
            return container(byte)
        case .inScalar:
            if isSpace || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") { return endScalar(byte) }
            return keep(byte)
        case .next:
            if isSpace { return .nothing }
            if byte == UInt8(ascii: "}") { return end() }
            return byte == UInt8(ascii: ",") ? move(to: .key) : fail()
        case .over:
            return .failed
        }
    }

    private mutating func beginValue(_ byte: UInt8) -> Event {
        let name = lastKey
        isName = name == "name"
        isArguments = Self.argumentKeys.contains(name)
        text = []
        isEscaped = false
        switch byte {
        case UInt8(ascii: "\""): state = .inString
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            state = .inContainer
            depth = 1
            isInsideString = false
        case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: ":"): return fail()
        default: state = .inScalar
        }
        return keep(byte)
    }

    private mutating func container(_ byte: UInt8) -> Event {
        if isInsideString {
            if closesString(byte) { isInsideString = false }
            return keep(byte)
        }
        switch byte {
        case UInt8(ascii: "\""):
            isInsideString = true
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            depth -= 1
            if depth == 0 { return endValue(with: byte) }
        default: break
        }
        return keep(byte)
    }

    /// Whether a byte inside of a string is its closing quote.
    private mutating func closesString(_ byte: UInt8) -> Bool {
        if isEscaped {
            isEscaped = false
            return false
        }
        isEscaped = byte == UInt8(ascii: "\\")
        return byte == UInt8(ascii: "\"")
    }

    private mutating func keep(_ byte: UInt8) -> Event {
        if isArguments { return .argument(byte) }
        if isName {
            text.append(byte)
            if text.count > Self.maxKeyBytes { return fail() }
        }
        return .nothing
    }

    /// The value's last byte; that of arguments is passed on like the others.
    private mutating func endValue(with byte: UInt8) -> Event {
        state = .next
        if isName {
            text.append(byte)
            guard let name = try? OrderedJSON(parsingUTF8: text).stringValue else { return fail() }
            return .name(name)
        }
        return isArguments ? .argument(byte) : .nothing
    }

    /// A number or word ends in front of a byte that already belongs to the object.
    private mutating func endScalar(_ byte: UInt8) -> Event {
        if isName { return fail() }
        state = .next
        return consume(byte)
    }

    private mutating func move(to state: State) -> Event {
        self.state = state
        isEscaped = false
        return .nothing
    }

    private mutating func end() -> Event {
        state = .over
        return .ended
    }

    private mutating func fail() -> Event {
        state = .over
        return .failed
    }
}
