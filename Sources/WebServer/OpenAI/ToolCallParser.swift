// Finds calls of tools in what a model writes, piece by piece as it is written: text outside of calls comes
// out as content, and no half of a tag ever does.
import Text

/// How a model writes its calls.
package enum ToolCallFormat: String, Sendable, Hashable, CaseIterable {
    /// `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`, as Hermes and Qwen.
    case hermes
    /// `{"name": ..., "parameters": {...}}` from the first character on, as Llama 3; `;` between several.
    case llama3JSON = "llama3_json"

    /// The format that a chat template speaks of, nil if it knows no tools.
    package static func detect(inTemplate source: String) -> ToolCallFormat? {
        if source.contains("<tool_call>") { return .hermes }
        if source.contains("<|python_tag|>") || source.contains("\"parameters\": ") { return .llama3JSON }
        return nil
    }

    /// What the format calls a call's arguments.
    var argumentsKey: String { self == .hermes ? "arguments" : "parameters" }

    /// What stands in front of a call; put behind the prompt when a call is forced.
    var callPrefix: String { self == .hermes ? "<tool_call>\n" : "" }
}

/// The machine that reads a model's text. Feed it everything, then call `finish` once.
struct ToolCallParser {
    enum Event: Equatable {
        case content(String)
        case callStarted(index: Int, name: String)
        /// The next piece of a call's arguments, JSON text.
        case arguments(index: Int, String)
    }

    private enum State {
        /// Outside of calls. Llama's calls must come first, so there it is final.
        case content
        /// Llama: nothing but blanks so far.
        case beginning
        case inCall
        /// Behind a call's object: its closing tag, or the sign that another one follows.
        case afterCall
        /// A call went wrong after its name was told: the rest of it is dropped.
        case skipping
    }

    private static let openTag = Array("<tool_call>".utf8)
    private static let closeTag = Array("</tool_call>".utf8)
    private static let pythonTag = Array("<|python_tag|>".utf8)

    private let format: ToolCallFormat
    /// Names that a call may have; empty allows all. JSON content of Llama is told from calls by them.
    private let names: Set<String>
    private var state: State
    private var pending: [UInt8] = []
    private var events: [Event] = []

    // The call that is being read.
    private var scanner = ToolCallScanner()
    /// Its text so far, in case that it turns out to be none.
    private var raw: [UInt8] = []
    private var isStarted = false
    private var arguments: [UInt8] = []
    /// Arguments that are no object are passed on when they are complete.
    private var holdsArguments = true
    private var hasArguments = false
    /// How many calls have begun.
    private(set) var callCount = 0
    /// How many of them came to their end.
    private(set) var completeCount = 0

    /// - Parameter isForced: whether the answer is one call and nothing else, its prefix being in the prompt.
    init(format: ToolCallFormat, names: Set<String> = [], isForced: Bool = false) {
        self.format = format
        self.names = names
        if isForced {
            state = .inCall
        } else {
            state = format == .hermes ? .content : .beginning
        }
    }

    mutating func feed(_ text: String) -> [Event] {
        pending.append(contentsOf: text.utf8)
        while step() {}
        return takeEvents()
    }

    /// Nothing comes any more: what was held back is told.
    mutating func finish() -> [Event] {
        switch state {
        case .content, .beginning:
            // Blanks between and behind calls are the format's, not the answer's.
            if callCount == 0 || pending.contains(where: { !Self.isSpace($0) }) { tell(content: pending) }
        case .inCall:
            if !isStarted { tell(content: prefixOfCall + raw) }
            flushArguments()
        case .afterCall, .skipping: break
        }
        pending = []
        return takeEvents()
    }

    private mutating func takeEvents() -> [Event] {
        defer { events = [] }
        return events
    }

    /// Does one thing with the pending bytes; false if more are needed.
    private mutating func step() -> Bool {
        switch state {
        case .content: return format == .hermes ? findCall() : passOn()
        case .beginning: return begin()
        case .inCall: return readCall()
        case .afterCall: return format == .hermes ? closeCall() : beginNext()
        case .skipping: return skip()
        }
    }

    // MARK: Between calls

    private mutating func passOn() -> Bool {
        tell(content: pending)
        pending = []
        return false
    }

    private mutating func findCall() -> Bool {
        if let start = Self.index(of: Self.openTag, in: pending) {
            tell(content: Self.withoutTrailingSpace(pending[..<start]))
            pending.removeFirst(start + Self.openTag.count)
            return enterCall()
        }
        // Blanks in front of a tag belong to the tag, so they wait with it.
        var safe = pending.count - Self.overlap(of: pending, with: Self.openTag)
        safe = Self.withoutTrailingSpace(pending[..<safe]).endIndex
        tell(content: pending[..<safe])
        pending.removeFirst(safe)
        return false
    }

    /// Llama: the first character that is no blank decides.
    private mutating func begin() -> Bool {
        let rest = pending.drop(while: Self.isSpace)
        if rest.isEmpty { return false }
        if rest.starts(with: Self.pythonTag) {
            pending = Array(rest.dropFirst(Self.pythonTag.count))
            return !pending.isEmpty
        }
        if Self.pythonTag.starts(with: rest) { return false }
        if rest.first == UInt8(ascii: "{") {
            pending = Array(rest)
            return enterCall()
        }
        state = .content
        return true
    }

    private mutating func beginNext() -> Bool {
        let rest = pending.drop { Self.isSpace($0) || $0 == UInt8(ascii: ";") || $0 == UInt8(ascii: ",") }
        if rest.isEmpty { return false }
        pending = Array(rest)
        if rest.first == UInt8(ascii: "{") { return enterCall() }
        state = .content
        return true
    }

    private mutating func closeCall() -> Bool {
        let rest = pending.drop(while: Self.isSpace)
        if Self.closeTag.starts(with: rest), rest.count < Self.closeTag.count { return false }
        if rest.starts(with: Self.closeTag) { pending = Array(rest.dropFirst(Self.closeTag.count)) }
        state = .content
        return true
    }

    private mutating func skip() -> Bool {
        guard format == .hermes, let start = Self.index(of: Self.closeTag, in: pending) else {
            let kept = format == .hermes ? Self.overlap(of: pending, with: Self.closeTag) : 0
            pending.removeFirst(pending.count - kept)
            return false
        }
        pending.removeFirst(start + Self.closeTag.count)
        state = .content
        return true
    }

    // MARK: Inside a call

    private mutating func enterCall() -> Bool {
        state = .inCall
        scanner = ToolCallScanner()
        raw = []
        isStarted = false
        arguments = []
        holdsArguments = true
        hasArguments = false
        return true
    }

    private var prefixOfCall: [UInt8] { format == .hermes ? Self.openTag : [] }

    private mutating func readCall() -> Bool {
        for (offset, byte) in pending.enumerated() {
            if !isStarted { raw.append(byte) }
            switch scanner.consume(byte) {
            case .nothing: continue
            case .name(let name):
                guard !isStarted, names.isEmpty || names.contains(name) else {
                    return abandonCall(from: offset + 1)
                }
                isStarted = true
                events.append(.callStarted(index: callCount, name: name))
                callCount += 1
            case .argument(let byte):
                // An object may be passed on as it comes; a string holds the object as text.
                if !hasArguments { holdsArguments = byte != UInt8(ascii: "{") }
                hasArguments = true
                arguments.append(byte)
            case .ended:
                guard isStarted else { return abandonCall(from: offset + 1) }
                completeArguments()
                completeCount += 1
                pending.removeFirst(offset + 1)
                state = .afterCall
                return true
            case .failed:
                return abandonCall(from: offset + 1)
            }
        }
        pending = []
        flushArguments()
        return false
    }

    private mutating func flushArguments() {
        guard isStarted, !holdsArguments, !arguments.isEmpty else { return }
        events.append(.arguments(index: callCount - 1, String(decoding: arguments, as: UTF8.self)))
        arguments = []
    }

    private mutating func completeArguments() {
        if holdsArguments {
            let value = try? OrderedJSON(parsingUTF8: arguments)
            switch value {
            case .string(let text)?: arguments = Array(text.utf8)
            case nil, .null?: arguments = Array("{}".utf8)
            default: break
            }
            holdsArguments = false
        }
        flushArguments()
    }

    /// It was no call, or a broken one. What was not told as a call yet is content after all.
    private mutating func abandonCall(from offset: Int) -> Bool {
        pending.removeFirst(offset)
        if isStarted {
            flushArguments()
            state = .skipping
        } else {
            tell(content: prefixOfCall + raw)
            state = .content
        }
        return true
    }

    private mutating func tell(content bytes: some Collection<UInt8>) {
        if bytes.isEmpty { return }
        events.append(.content(String(decoding: bytes, as: UTF8.self)))
    }
}
