// From tokens back to text, token by token: what the stages of a decoder hold back until they know more.

/// One stage of the `decoder` of tokenizer.json; agrees with `tokenizers.decoders`.
enum DecoderStage: Sendable {
    case byteLevel
    case replace(SplitPattern, with: [UInt8])
    case byteFallback
    case fuse
    case strip(UInt32, start: Int, stop: Int)
    /// - Parameter removesFirst: whether the replacements in the first token vanish rather than be blanks.
    case metaspace([UInt8], removesFirst: Bool)
    case wordSuffix([UInt8])
    /// Puts a blank between tokens: what happens without any decoder.
    case joinWithBlanks
}

/// Feeds tokens through stages. Every stage holds back as little as it can, so that text comes early; what
/// comes out at the end is, taken together, the text of all tokens decoded at once.
struct TextDecoder: Sendable {
    private let stages: [DecoderStage]
    private var states: [StageState]

    private struct StageState: Sendable {
        /// Whether all that comes is parts of one token, because a stage before joins them.
        var isFused = false
        var isFirst = true
        /// Bytes that wait for what comes.
        var held: [UInt8] = []
        /// How many characters are still to be stripped from the start.
        var stripsLeft = 0
    }

    init(stages: [DecoderStage]) {
        self.stages = stages
        var isFused = false
        states = stages.map { stage in
            var state = StageState(isFused: isFused)
            switch stage {
            case .byteLevel, .fuse: isFused = true
            case .strip(_, let start, _): state.stripsLeft = start
            default: break
            }
            return state
        }
    }

    /// Feeds the text of one token and appends what is certain of the result.
    mutating func append(_ token: [UInt8], to output: inout [UInt8]) {
        receive(token, at: 0, &output)
    }

    /// Feeds bytes behind a byte-level stage's reading of tokens.
    mutating func append(bytes: UTF8Text, to output: inout [UInt8]) {
        states[0].held.append(contentsOf: bytes)
        sendValidText(at: 0, isLast: false, &output)
    }

    /// Appends what was held back.
    mutating func finish(to output: inout [UInt8]) {
        for stage in stages.indices { finish(stage, &output) }
    }

    private mutating func receive(_ part: [UInt8], at stage: Int, _ output: inout [UInt8]) {
        guard stage < stages.count else {
            output += part
            return
        }
        let isFirst = states[stage].isFirst
        states[stage].isFirst = false
        let isFused = states[stage].isFused
        switch stages[stage] {
        case .byteLevel where isFused, .byteFallback where isFused: states[stage].held += part
        case .byteLevel:
            Self.appendBytes(of: part, to: &states[stage].held)
            sendValidText(at: stage, isLast: false, &output)
        case .replace(.literal(let literal), let content) where isFused:
            states[stage].held += part
            replaceHeld(literal, content, at: stage, &output)
        case .replace where isFused: states[stage].held += part
        case .replace(let pattern, let content):
            let replaced = part.withUnsafeBufferPointer { pattern.replacing($0, with: content) }
            receive(replaced ?? part, at: stage + 1, &output)
        case .byteFallback:
            if let byte = Self.byte(ofToken: part) {
                states[stage].held.append(byte)
            } else {
                sendBytes(at: stage, &output)
                receive(part, at: stage + 1, &output)
            }
        case .fuse: receive(part, at: stage + 1, &output)
        case .strip(let scalar, _, let stop) where isFused:
            stripFused(part, scalar, stop: stop, at: stage, &output)
        case .strip(let scalar, let start, let stop):
            receive(Self.stripped(part, scalar, start, stop), at: stage + 1, &output)
        case .metaspace(let replacement, let removesFirst):
            let removes = (isFirst || isFused) && removesFirst
            let pattern = SplitPattern.literal(replacement)
            let replaced = part.withUnsafeBufferPointer { pattern.replacing($0, with: removes ? [] : [0x20]) }
            receive(replaced ?? part, at: stage + 1, &output)
        case .wordSuffix(let suffix):
            if !isFirst, !isFused { sendWord(at: stage, suffix, isLast: false, &output) }
            states[stage].held += part
        case .joinWithBlanks: receive(isFirst ? part : [0x20] + part, at: stage + 1, &output)
        }
    }

    private mutating func finish(_ stage: Int, _ output: inout [UInt8]) {
        let isFused = states[stage].isFused
        switch stages[stage] {
        case .byteLevel:
            if isFused {
                let text = states[stage].held
                states[stage].held = []
                Self.appendBytes(of: text, to: &states[stage].held)
            }
            sendValidText(at: stage, isLast: true, &output)
        case .byteFallback where isFused:
            let text = states[stage].held
            states[stage].held = []
            if let byte = Self.byte(ofToken: text) {
                states[stage].held = [byte]
                sendBytes(at: stage, &output)
            } else {
                receive(text, at: stage + 1, &output)
            }
        case .byteFallback: sendBytes(at: stage, &output)
        case .replace(.literal, _):
            sendHeld(at: stage, &output)
        case .replace(let pattern, let content):
            let text = states[stage].held
            states[stage].held = text.withUnsafeBufferPointer { pattern.replacing($0, with: content) } ?? text
            sendHeld(at: stage, &output)
        case .wordSuffix(let suffix):
            if !states[stage].isFirst { sendWord(at: stage, suffix, isLast: true, &output) }
        // What a strip stage holds back at the end is what it strips.
        case .strip, .fuse, .metaspace, .joinWithBlanks: break
        }
    }

    private mutating func sendHeld(at stage: Int, _ output: inout [UInt8]) {
        let held = states[stage].held
        states[stage].held = []
        if !held.isEmpty { receive(held, at: stage + 1, &output) }
    }
}

extension TextDecoder {
    /// The bytes that a byte-level token stands for; one with other characters stands for itself.
    static func appendBytes(of token: [UInt8], to bytes: inout [UInt8]) {
        token.withUnsafeBufferPointer { token in
            if !ByteAlphabet.appendBytes(of: token, to: &bytes) { bytes.append(contentsOf: token) }
        }
    }

    /// The byte of a token like "<0x0A>". A plus sign is read as Rust reads it.
    static func byte(ofToken token: [UInt8]) -> UInt8? {
        guard token.count == 6, token.starts(with: Array("<0x".utf8)), token[5] == UInt8(ascii: ">") else {
            return nil
        }
        let digits = String(decoding: token[3..<5], as: UTF8.self)
        if digits.utf8.first == UInt8(ascii: "-") { return nil }
        return UInt8(digits, radix: 16)
    }

    static func stripped(_ token: [UInt8], _ scalar: UInt32, _ start: Int, _ stop: Int) -> [UInt8] {
        let scalars = String(decoding: token, as: UTF8.self).unicodeScalars.map(\.value)
        let first = min(scalars.prefix { $0 == scalar }.count, start)
        let last = min(scalars.reversed().prefix { $0 == scalar }.count, stop)
        var result: [UInt8] = []
        if first < scalars.count - last {
            for value in scalars[first..<(scalars.count - last)] { result.append(scalar: value) }
        }
        return result
    }

    /// Sends what is whole of the bytes held; bytes that are no UTF-8 become U+FFFD, one for each part that
    /// could begin a character, as Rust's `from_utf8_lossy` does.
    private mutating func sendValidText(at stage: Int, isLast: Bool, _ output: inout [UInt8]) {
        let isEnd = stage + 1 == stages.count
        var text: [UInt8] = []
        let used = states[stage].held.withUnsafeBufferPointer { bytes in
            if isEnd { return LossyUTF8.append(bytes, to: &output, isLast: isLast) }
            return LossyUTF8.append(bytes, to: &text, isLast: isLast)
        }
        if used == states[stage].held.count {
            states[stage].held.removeAll(keepingCapacity: true)
        } else {
            states[stage].held.removeFirst(used)
        }
        if !text.isEmpty { receive(text, at: stage + 1, &output) }
    }

    /// A row of byte tokens is their text, or as many U+FFFD as there are bytes if any is wrong.
    private mutating func sendBytes(at stage: Int, _ output: inout [UInt8]) {
        let bytes = states[stage].held
        guard !bytes.isEmpty else { return }
        states[stage].held = []
        if String(validating: bytes, as: UTF8.self) != nil {
            receive(bytes, at: stage + 1, &output)
        } else {
            for _ in bytes { receive([0xEF, 0xBF, 0xBD], at: stage + 1, &output) }
        }
    }

    private mutating func sendWord(at stage: Int, _ suffix: [UInt8], isLast: Bool, _ output: inout [UInt8]) {
        let word = states[stage].held
        states[stage].held = []
        let pattern = SplitPattern.literal(suffix)
        let replaced = word.withUnsafeBufferPointer { pattern.replacing($0, with: isLast ? [] : [0x20]) }
        receive(replaced ?? word, at: stage + 1, &output)
    }

    /// Replaces in a text that comes in parts: the end may be the beginning of a match.
    private mutating func replaceHeld(
        _ literal: [UInt8], _ content: [UInt8], at stage: Int, _ output: inout [UInt8]
    ) {
        guard !literal.isEmpty else { return sendHeld(at: stage, &output) }
        let text = states[stage].held
        var result: [UInt8] = []
        var copied = 0
        text.withUnsafeBufferPointer { text in
            SplitPattern.literal(literal).forEachMatch(in: text) { match in
                result += text.part(copied..<match.lowerBound)
                result += content
                copied = match.upperBound
            }
        }
        var kept = min(literal.count - 1, text.count - copied)
        while kept > 0, !text.suffix(kept).elementsEqual(literal.prefix(kept)) { kept -= 1 }
        result += text[copied..<(text.count - kept)]
        states[stage].held = Array(text.suffix(kept))
        if !result.isEmpty { receive(result, at: stage + 1, &output) }
    }

    private mutating func stripFused(
        _ part: [UInt8], _ scalar: UInt32, stop: Int, at stage: Int, _ output: inout [UInt8]
    ) {
        var content: [UInt8] = []
        content.append(scalar: scalar)
        var part = part[...]
        while states[stage].stripsLeft > 0, !part.isEmpty {
            if part.starts(with: content) {
                part = part.dropFirst(content.count)
                states[stage].stripsLeft -= 1
            } else {
                states[stage].stripsLeft = 0
            }
        }
        var text = states[stage].held + part
        var kept = 0
        while kept < stop, text.count >= content.count, text.suffix(content.count).elementsEqual(content) {
            text.removeLast(content.count)
            kept += 1
        }
        states[stage].held = (0..<kept).flatMap { _ in content }
        if !text.isEmpty { receive(text, at: stage + 1, &output) }
    }
}

extension DecoderStage {
    /// What a token adds to a text that has begun and goes on.
    static func bytesInMiddle(of token: [UInt8], stages: [DecoderStage]) -> [UInt8] {
        var bytes = token
        for stage in stages {
            switch stage {
            case .byteLevel:
                var decoded: [UInt8] = []
                TextDecoder.appendBytes(of: bytes, to: &decoded)
                return decoded
            case .replace(let pattern, let content):
                bytes = bytes.withUnsafeBufferPointer { pattern.replacing($0, with: content) } ?? bytes
            case .byteFallback:
                if let byte = TextDecoder.byte(ofToken: bytes) { return [byte] }
            case .strip(let scalar, let start, let stop):
                bytes = TextDecoder.stripped(bytes, scalar, start, stop)
            case .metaspace(let replacement, _), .wordSuffix(let replacement):
                let pattern = SplitPattern.literal(replacement)
                bytes = bytes.withUnsafeBufferPointer { pattern.replacing($0, with: [0x20]) } ?? bytes
            case .joinWithBlanks: bytes = [0x20] + bytes
            // What comes behind works on the text as a whole.
            case .fuse: return bytes
            }
        }
        return bytes
    }
}

/// UTF-8 that may be broken or cut off.
enum LossyUTF8 {
    /// Appends the text of bytes, U+FFFD for each part that is wrong.
    /// - Parameter isLast: whether a character that is cut off at the end is wrong, too.
    /// - Returns: how many bytes were used; the others begin a character.
    static func append(_ bytes: UTF8Text, to text: inout [UInt8], isLast: Bool) -> Int {
        var index = 0
        while index < bytes.count {
            if bytes[index] < 0x80 {
                text.append(bytes[index])
                index += 1
                continue
            }
            let (length, isWhole) = measure(bytes, index)
            if isWhole {
                text.append(contentsOf: bytes.part(index..<(index + length)))
            } else {
                if !isLast, index + length == bytes.count, canBegin(bytes, index) { return index }
                text += [0xEF, 0xBF, 0xBD]
            }
            index += length
        }
        return index
    }

    private static func canBegin(_ bytes: UTF8Text, _ index: Int) -> Bool {
        (0xC2...0xF4).contains(bytes[index])
    }

    /// How many bytes from `index` on are a character, or the longest beginning of one; at least 1.
    private static func measure(_ bytes: UTF8Text, _ index: Int) -> (length: Int, isWhole: Bool) {
        let first = bytes[index]
        let count: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch first {
        case 0xC2...0xDF: count = 2
        case 0xE0: (count, second) = (3, 0xA0...0xBF)
        case 0xED: (count, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: count = 3
        case 0xF0: (count, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: count = 4
        case 0xF4: (count, second) = (4, 0x80...0x8F)
        default: return (1, false)
        }
        for offset in 1..<count {
            let allowed = offset == 1 ? second : 0x80...0xBF
            guard index + offset < bytes.count, allowed.contains(bytes[index + offset]) else {
                return (offset, false)
            }
        }
        return (count, true)
    }
}
