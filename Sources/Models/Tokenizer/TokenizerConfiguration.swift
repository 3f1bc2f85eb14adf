// Reads tokenizer_config.json: the tokens with a role, tokens that tokenizer.json lacks, chat templates.

import Text

/// What stands beside tokenizer.json; agrees with `TokenizersBackend` of transformers 5.
struct TokenizerConfiguration: Sendable {
    /// What `clean_up_tokenization_spaces` replaces. transformers does it for byte-pair encodings only where
    /// the configuration insists, because it spoils their text.
    static let cleanUp: [DecoderStage] = [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
        (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ].reduce(into: [DecoderStage.fuse]) { stages, pair in
        stages.append(.replace(.literal(Array(pair.0.utf8)), with: Array(pair.1.utf8)))
    }

    private(set) var bosToken: String?
    private(set) var eosToken: String?
    private(set) var padToken: String?
    private(set) var unkToken: String?
    var chatTemplates: [String: String] = [:]
    private(set) var cleansUpSpaces = false
    private(set) var splitsSpecialTokens = false
    /// In the order of their ids.
    private var listedTokens: [AddedToken] = []
    /// The tokens with a role and the additional special ones.
    private var namedTokens: [AddedToken] = []
    private var namedContents: Set<[UInt8]> = []
    /// nil: the file says nothing about either.
    private var addsBosAndEos: (bos: Bool, eos: Bool)?

    init() {}

    init(_ bytes: [UInt8], file: String) throws(TokenizerError) {
        let value = try Self.parse(bytes, file: file)
        let components = ComponentReader(file: file)
        try readRoles(value, components)
        try readListedTokens(value["added_tokens_decoder"] ?? .null, components)
        for key in ["additional_special_tokens", "extra_special_tokens"] {
            for (index, item) in (value[key]?.arrayValue ?? []).enumerated() {
                let token = try Self.token(item, "\(key)[\(index)]", components)
                if let token { addNamed(token) }
            }
        }
        let (bos, eos) = (value["add_bos_token"], value["add_eos_token"])
        if bos != nil || eos != nil {
            addsBosAndEos = (bos?.boolValue ?? false, eos?.boolValue ?? false)
        }
        let insists = value["clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"]
        cleansUpSpaces =
            value["clean_up_tokenization_spaces"]?.boolValue == true && insists?.boolValue == true
        splitsSpecialTokens = value["split_special_tokens"]?.boolValue ?? false
        chatTemplates = try Self.templates(value["chat_template"] ?? .null, file: file)
    }

    /// Takes the roles that tokenizer_config.json does not give from special_tokens_map.json.
    mutating func addRoles(_ bytes: [UInt8], file: String) throws(TokenizerError) {
        try readRoles(try Self.parse(bytes, file: file), ComponentReader(file: file))
    }

    private mutating func readRoles(
        _ value: JSONValue, _ components: ComponentReader
    ) throws(TokenizerError) {
        let roles: [(key: String, path: WritableKeyPath<Self, String?>)] = [
            ("bos_token", \.bosToken), ("eos_token", \.eosToken), ("pad_token", \.padToken),
            ("unk_token", \.unkToken),
        ]
        for (key, path) in roles where self[keyPath: path] == nil {
            guard let token = try Self.token(value[key] ?? .null, key, components) else { continue }
            self[keyPath: path] = String(decoding: token.content, as: UTF8.self)
            addNamed(token)
        }
        for key in ["sep_token", "cls_token", "mask_token"] {
            if let token = try Self.token(value[key] ?? .null, key, components) { addNamed(token) }
        }
    }

    private mutating func addNamed(_ token: AddedToken) {
        var token = token
        token.isSpecial = true
        if namedContents.insert(token.content).inserted { namedTokens.append(token) }
    }

    /// A token as a string or as an object with flags; nil for null.
    private static func token(
        _ value: JSONValue, _ field: String, _ components: ComponentReader
    ) throws(TokenizerError) -> AddedToken? {
        if value.isNull { return nil }
        if let text = value.stringValue {
            return AddedToken(content: Array(text.utf8), isSpecial: true)
        }
        return try components.addedToken(value, field)
    }

    private mutating func readListedTokens(
        _ value: JSONValue, _ components: ComponentReader
    ) throws(TokenizerError) {
        var byID: [(id: Int, token: AddedToken)] = []
        for (key, item) in value.objectValue ?? [:] {
            guard let id = Int(key), (0...Vocabulary.maximumID).contains(id) else {
                throw TokenizerError(
                    file: components.file, field: "added_tokens_decoder[\"\(key)\"]",
                    problem: "not an id in 0...\(Vocabulary.maximumID)", remedy: TokenizerFile.remedy)
            }
            byID.append((id, try components.addedToken(item, "added_tokens_decoder[\"\(key)\"]")))
        }
        listedTokens = byID.sorted { $0.id < $1.id }.map(\.token)
    }

    /// The tokens that are to be added to those of tokenizer.json.
    func addedTokens(beside known: [AddedToken]) -> [AddedToken] {
        var added: [AddedToken] = []
        let flagged = Set(known)
        for token in listedTokens where !flagged.contains(token) {
            var token = token
            token.isSpecial = token.isSpecial || namedContents.contains(token.content)
            added.append(token)
        }
        let present = Set((known + added).map(\.content))
        return added + namedTokens.filter { !present.contains($0.content) }
    }

    /// What replaces the post-processor of tokenizer.json; nil if nothing does.
    func postProcessor(_ id: ([UInt8]) -> Int32?) -> PostProcessor? {
        guard let (bos, eos) = addsBosAndEos else { return nil }
        var result = PostProcessor()
        if bos, let token = bosToken, let id = id(Array(token.utf8)) { result.prefix = [id] }
        if eos, let token = eosToken, let id = id(Array(token.utf8)) { result.suffix = [id] }
        return result
    }

    /// A template as a string, or several as a list of objects with name and template.
    static func templates(_ value: JSONValue, file: String) throws(TokenizerError) -> [String: String] {
        if value.isNull { return [:] }
        if let template = value.stringValue { return ["default": template] }
        var templates: [String: String] = [:]
        guard let list = value.arrayValue else {
            throw TokenizerError(
                file: file, field: "chat_template", problem: "neither a string nor a list",
                remedy: "write the template as a string")
        }
        for (index, item) in list.enumerated() {
            guard let name = item["name"]?.stringValue, let template = item["template"]?.stringValue else {
                throw TokenizerError(
                    file: file, field: "chat_template[\(index)]", problem: "lacks name or template",
                    remedy: "write it as {\"name\": ..., \"template\": ...}")
            }
            templates[name] = template
        }
        return templates
    }

    static func parse(_ bytes: [UInt8], file: String) throws(TokenizerError) -> JSONValue {
        do {
            let value = try JSONValue(parsingUTF8: bytes)
            guard value.objectValue != nil else {
                throw TokenizerError(
                    file: file, problem: "not an object", remedy: "fetch the file again")
            }
            return value
        } catch let error as TokenizerError {
            throw error
        } catch {
            throw TokenizerError(
                file: file, problem: "\(error)", remedy: "the file is damaged; fetch it again")
        }
    }
}
