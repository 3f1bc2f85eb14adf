// Reads the small parts of tokenizer.json: normalizer, pre-tokenizer, post-processor, decoder.

import Text

struct ComponentReader {
    /// How many steps a sequence may have, those of sequences inside it included.
    private static let maximumSteps = 64
    /// Longer texts to replace, to put in front and the like are refused, in bytes.
    private static let maximumTextLength = 1024
    /// How many times longer all replacements together may make a text.
    private static let maximumGrowth = 1024

    let file: String

    func normalizer(_ value: JSONValue) throws(TokenizerError) -> Normalizer? {
        let steps = try flattened(value, "normalizer", "normalizers")
        var normalizers: [Normalizer] = []
        var growth = 1
        for step in steps {
            normalizers.append(try oneNormalizer(step))
            growth *= normalizers.last?.growth ?? 1
            guard growth <= Self.maximumGrowth else { throw tooMuchGrowth("normalizer") }
        }
        return normalizers.count > 1 ? .sequence(normalizers) : normalizers.first
    }

    private func oneNormalizer(_ step: Step) throws(TokenizerError) -> Normalizer {
        switch step.type {
        case "NFC": return .unicode(.nfc)
        case "NFD": return .unicode(.nfd)
        case "NFKC": return .unicode(.nfkc)
        case "NFKD": return .unicode(.nfkd)
        case "Lowercase": return .lowercase
        case "StripAccents": return .stripAccents
        case "Strip":
            return .strip(
                left: try flag(step, "strip_left", default: true),
                right: try flag(step, "strip_right", default: true))
        case "Prepend": return .prepend(try text(step, "prepend"))
        case "Replace": return .replace(try pattern(step), with: try text(step, "content"))
        case "ByteLevel": return .byteLevel
        default: throw unsupported(step)
        }
    }

    func preTokenizer(_ value: JSONValue) throws(TokenizerError) -> [PreTokenizerStage] {
        var stages: [PreTokenizerStage] = []
        for step in try flattened(value, "pre_tokenizer", "pretokenizers") {
            stages += try onePreTokenizer(step)
        }
        return stages
    }

    private func onePreTokenizer(_ step: Step) throws(TokenizerError) -> [PreTokenizerStage] {
        switch step.type {
        case "ByteLevel":
            let usesPattern = try flag(step, "use_regex", default: true)
            return [
                .byteLevel(
                    addsPrefixSpace: try flag(step, "add_prefix_space", default: true),
                    pattern: usesPattern ? .scanner(.gpt2) : nil, mapsBytes: true)
            ]
        case "Split":
            return [
                .split(
                    try pattern(step), try behavior(step, default: nil),
                    isInverted: try flag(step, "invert", default: false))
            ]
        case "Metaspace": return [try metaspace(step)]
        case "Whitespace":
            return [
                .split(
                    try expression(step) { () throws(PatternError) in try .wordsAndOthers() }, .removed,
                    isInverted: true)
            ]
        case "WhitespaceSplit": return [.characters(.whitespace, .removed, isInverted: false)]
        case "BertPreTokenizer":
            return [
                .characters(.whitespace, .removed, isInverted: false),
                .characters(.punctuation, .isolated, isInverted: false),
            ]
        case "Digits":
            let individual = try flag(step, "individual_digits", default: false)
            return [.characters(.digit, individual ? .isolated : .contiguous, isInverted: false)]
        case "Punctuation":
            return [.characters(.punctuation, try behavior(step, default: .isolated), isInverted: false)]
        case "CharDelimiterSplit":
            return [.split(.literal(try text(step, "delimiter")), .removed, isInverted: false)]
        default: throw unsupported(step)
        }
    }

    private func metaspace(_ step: Step) throws(TokenizerError) -> PreTokenizerStage {
        let (replacement, scheme) = try metaspaceFields(step)
        return .metaspace(
            replacement: replacement, scheme, splits: try flag(step, "split", default: true))
    }

    private func metaspaceFields(
        _ step: Step
    ) throws(TokenizerError) -> ([UInt8], PreTokenizerStage.PrependScheme) {
        let replacement = try text(step, "replacement")
        guard String(decoding: replacement, as: UTF8.self).unicodeScalars.count == 1 else {
            throw failure("\(step.field).replacement", "not a single character")
        }
        if let name = step.value["prepend_scheme"], !name.isNull {
            guard let scheme = name.stringValue.flatMap(PreTokenizerStage.PrependScheme.init(rawValue:))
            else {
                throw failure("\(step.field).prepend_scheme", "neither always, first nor never")
            }
            return (replacement, scheme)
        }
        // Files from before the scheme say only whether a blank is put in front.
        return (replacement, try flag(step, "add_prefix_space", default: true) ? .always : .never)
    }

    func decoder(_ value: JSONValue) throws(TokenizerError) -> [DecoderStage] {
        var stages: [DecoderStage] = []
        var growth = 1
        for step in try flattened(value, "decoder", "decoders") {
            switch step.type {
            case "ByteLevel": stages.append(.byteLevel)
            case "Replace":
                let (pattern, content) = (try pattern(step), try text(step, "content"))
                growth *= pattern.growth(replacedBy: content)
                guard growth <= Self.maximumGrowth else { throw tooMuchGrowth("decoder") }
                stages.append(.replace(pattern, with: content))
            case "ByteFallback": stages.append(.byteFallback)
            case "Fuse": stages.append(.fuse)
            case "Strip":
                let content = String(decoding: try text(step, "content"), as: UTF8.self)
                guard let scalar = content.unicodeScalars.first, content.unicodeScalars.count == 1 else {
                    throw failure("\(step.field).content", "not a single character")
                }
                stages.append(
                    .strip(scalar.value, start: try count(step, "start"), stop: try count(step, "stop")))
            case "Metaspace":
                let (replacement, scheme) = try metaspaceFields(step)
                stages.append(.metaspace(replacement, removesFirst: scheme != .never))
            case "BPEDecoder": stages.append(.wordSuffix(try text(step, "suffix")))
            default: throw unsupported(step)
            }
        }
        return stages
    }

    func postProcessor(_ value: JSONValue) throws(TokenizerError) -> PostProcessor {
        var result = PostProcessor()
        for step in try flattened(value, "post_processor", "processors") {
            switch step.type {
            case "ByteLevel": break
            case "TemplateProcessing": result = result.followed(by: try template(step))
            case "BertProcessing", "RobertaProcessing":
                result = result.followed(
                    by: PostProcessor(
                        prefix: [try pairID(step, "cls")], suffix: [try pairID(step, "sep")]))
            default: throw unsupported(step)
            }
        }
        return result
    }

    private func template(_ step: Step) throws(TokenizerError) -> PostProcessor {
        var result = PostProcessor()
        var isBehindText = false
        guard let pieces = step.value["single"]?.arrayValue else {
            throw failure("\(step.field).single", "not a list")
        }
        for (index, piece) in pieces.enumerated() {
            let field = "\(step.field).single[\(index)]"
            if piece["Sequence"]?["id"]?.stringValue == "A", !isBehindText {
                isBehindText = true
                continue
            }
            guard let name = piece["SpecialToken"]?["id"]?.stringValue else {
                throw failure(field, "neither a special token nor the text, which must be there once")
            }
            guard let ids = step.value["special_tokens"]?[name]?["ids"]?.arrayValue else {
                throw failure(field, "\"\(name)\" is not among special_tokens")
            }
            for id in ids {
                let id = try tokenID(id, "\(step.field).special_tokens[\"\(name)\"].ids")
                if isBehindText { result.suffix.append(id) } else { result.prefix.append(id) }
            }
        }
        guard isBehindText else { throw failure("\(step.field).single", "the text is missing") }
        return result
    }

    /// The id in `["[CLS]", 101]`.
    private func pairID(_ step: Step, _ key: String) throws(TokenizerError) -> Int32 {
        guard let pair = step.value[key]?.arrayValue, pair.count == 2 else {
            throw failure("\(step.field).\(key)", "not a pair of token and id")
        }
        return try tokenID(pair[1], "\(step.field).\(key)")
    }

    private func tokenID(_ value: JSONValue, _ field: String) throws(TokenizerError) -> Int32 {
        guard let id = value.intValue, (0...Vocabulary.maximumID).contains(id) else {
            throw failure(field, "not an id in 0...\(Vocabulary.maximumID)")
        }
        return Int32(id)
    }
}

extension ComponentReader {
    /// One step of a sequence, or a component that stands alone.
    struct Step {
        var value: JSONValue
        var type: String
        var field: String
    }

    /// The steps of a component, those of sequences inside sequences in a row.
    private func flattened(
        _ value: JSONValue, _ field: String, _ listKey: String
    ) throws(TokenizerError) -> [Step] {
        if value.isNull { return [] }
        guard let type = value["type"]?.stringValue else { throw failure("\(field).type", "missing") }
        guard type == "Sequence" else { return [Step(value: value, type: type, field: field)] }
        guard let list = value[listKey]?.arrayValue else {
            throw failure("\(field).\(listKey)", "not a list")
        }
        var steps: [Step] = []
        for (index, item) in list.enumerated() {
            steps += try flattened(item, "\(field).\(listKey)[\(index)]", listKey)
            guard steps.count <= Self.maximumSteps else {
                throw failure(field, "more than \(Self.maximumSteps) steps")
            }
        }
        return steps
    }

    private func flag(_ step: Step, _ key: String, default value: Bool) throws(TokenizerError) -> Bool {
        guard let found = step.value[key], !found.isNull else { return value }
        guard let flag = found.boolValue else {
            throw failure("\(step.field).\(key)", "neither true nor false")
        }
        return flag
    }

    private func count(_ step: Step, _ key: String) throws(TokenizerError) -> Int {
        guard let number = step.value[key]?.intValue, (0...1_000).contains(number) else {
            throw failure("\(step.field).\(key)", "not a small number")
        }
        return number
    }

    private func text(_ step: Step, _ key: String) throws(TokenizerError) -> [UInt8] {
        guard let text = step.value[key]?.stringValue, text.utf8.count <= Self.maximumTextLength else {
            throw failure(
                "\(step.field).\(key)", "not a string of at most \(Self.maximumTextLength) bytes")
        }
        return Array(text.utf8)
    }

    private func tooMuchGrowth(_ field: String) -> TokenizerError {
        failure(field, "makes texts more than \(Self.maximumGrowth) times longer")
    }

    private func behavior(_ step: Step, default value: SplitBehavior?) throws(TokenizerError) -> SplitBehavior
    {
        if let value, step.value["behavior"] == nil { return value }
        guard let behavior = step.value["behavior"]?.stringValue.flatMap(SplitBehavior.init(rawValue:)) else {
            throw failure("\(step.field).behavior", "unknown")
        }
        return behavior
    }

    private func pattern(_ step: Step) throws(TokenizerError) -> SplitPattern {
        if let literal = step.value["pattern"]?["String"]?.stringValue {
            guard literal.utf8.count <= Self.maximumTextLength else {
                throw failure("\(step.field).pattern", "longer than \(Self.maximumTextLength) bytes")
            }
            return .literal(Array(literal.utf8))
        }
        guard let text = step.value["pattern"]?["Regex"]?.stringValue else {
            throw failure("\(step.field).pattern", "neither a String nor a Regex")
        }
        if let scanner = SplitScanner(pattern: text) { return .scanner(scanner) }
        return try expression(step) { () throws(PatternError) in try BacktrackingExpression(text) }
    }

    private func expression(
        _ step: Step, _ make: () throws(PatternError) -> BacktrackingExpression
    ) throws(TokenizerError) -> SplitPattern {
        do {
            return .expression(try make())
        } catch {
            throw TokenizerError(
                file: file, field: "\(step.field).pattern",
                problem: "\(error.message) (at character \(error.offset + 1))",
                remedy: "write the pattern without it, or use another tokenizer")
        }
    }

    func addedTokens(_ value: JSONValue) throws(TokenizerError) -> [AddedToken] {
        if value.isNull { return [] }
        guard let list = value.arrayValue else { throw failure("added_tokens", "not a list") }
        var tokens: [AddedToken] = []
        for (index, item) in list.enumerated() {
            tokens.append(try addedToken(item, "added_tokens[\(index)]"))
        }
        return tokens
    }

    /// A token with its flags, as tokenizer.json and tokenizer_config.json have it.
    func addedToken(_ value: JSONValue, _ field: String) throws(TokenizerError) -> AddedToken {
        guard let content = value["content"]?.stringValue else {
            throw failure("\(field).content", "not a string")
        }
        guard content.utf8.count <= AddedTokens.maximumLength else {
            throw failure("\(field).content", "longer than \(AddedTokens.maximumLength) bytes")
        }
        let step = Step(value: value, type: "", field: field)
        var token = AddedToken(content: Array(content.utf8))
        token.isSpecial = try flag(step, "special", default: false)
        token.isSingleWord = try flag(step, "single_word", default: false)
        token.stripsLeft = try flag(step, "lstrip", default: false)
        token.stripsRight = try flag(step, "rstrip", default: false)
        token.isNormalized = try flag(step, "normalized", default: !token.isSpecial)
        return token
    }

    private func unsupported(_ step: Step) -> TokenizerError {
        TokenizerError(
            file: file, field: step.field, problem: "the type \(step.type) is not supported",
            remedy: "use a tokenizer that does without it")
    }

    private func failure(_ field: String, _ problem: String) -> TokenizerError {
        TokenizerError(file: file, field: field, problem: problem, remedy: TokenizerFile.remedy)
    }
}
