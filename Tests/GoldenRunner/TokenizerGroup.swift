// Texts to token ids and back, against the `tokenizers` library.

import Models
import Text

extension GoldenGroup {
    /// A tokenizer beside `cases.json`: texts, random ids and single ids, all exact.
    static let tokenizer = GoldenGroup(name: "tokenizer") { folder in
        folder.has("cases.json") && folder.has("tokenizer.json")
    } run: { folder, report in
        let cases = try folder.json("cases.json")
        let check = TokenizerCheck(tokenizer: try Tokenizer(directory: folder.path))
        for (number, item) in (cases["encode"]?.arrayValue ?? []).enumerated() {
            let label =
                "\(item["i"]?.intValue ?? number) "
                + (item["text"]?.stringValue ?? "").prefix(40).debugDescription
            report.attempt("texts", label) { try check.encoding(item) }
        }
        for (number, item) in (cases["decode_random_ids"]?.arrayValue ?? []).enumerated() {
            report.attempt("random ids", "\(number)") { try check.decoding(item) }
        }
        for (id, item) in (cases["decode_single_id"]?.arrayValue ?? []).enumerated() {
            report.attempt("single ids", "\(id)") { try check.decoding(Int32(id), item) }
        }
    }
}

private struct TokenizerCheck {
    let tokenizer: Tokenizer

    /// - Returns: what is wrong with the ids of a text, or with the text of its ids.
    func encoding(_ item: OrderedJSON) throws -> String? {
        let text = try item.requiredText("text")
        for (key, special) in [("ids", false), ("ids_with_special", true)] {
            guard let reference = try item[key]?.tokenIDs() else { continue }
            if let problem = firstDifference(tokenizer.encode(text, addSpecialTokens: special), reference) {
                return "\(key): \(problem)"
            }
        }
        return try decoding(item)
    }

    /// - Returns: what is wrong with the text of a list of ids.
    func decoding(_ item: OrderedJSON) throws -> String? {
        let ids = try item.required("ids").tokenIDs()
        for (key, skips) in [("decoded", false), ("decoded_skip_special", true)] {
            guard item[key] != nil else { continue }
            if let problem = decoding(ids, try item.requiredText(key), skipSpecialTokens: skips) {
                return "\(key) of \(ids.prefix(40)): \(problem)"
            }
        }
        return nil
    }

    /// One id alone: its text, special tokens included.
    func decoding(_ id: Int32, _ item: OrderedJSON) throws -> String? {
        guard let reference = item.stringValue else {
            throw GoldenError("the text of id \(id) is not a string")
        }
        return decoding([id], reference, skipSpecialTokens: false)
    }

    /// At once and token by token.
    private func decoding(_ ids: [Int32], _ reference: String, skipSpecialTokens: Bool) -> String? {
        if let problem = firstDifference(
            tokenizer.decode(ids, skipSpecialTokens: skipSpecialTokens), reference)
        {
            return problem
        }
        var stream = StreamDecoder(tokenizer, skipSpecialTokens: skipSpecialTokens)
        var text = ""
        for id in ids { text += stream.append(id) }
        text += stream.finish()
        return firstDifference(text, reference).map { "token by token: \($0)" }
    }
}
