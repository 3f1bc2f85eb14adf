// The filters over texts.

extension TemplateEvaluator {
    /// Nil if the filter is none of these.
    func textFilter(
        _ name: String, _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue? {
        switch name {
        case "string", "upper", "lower", "capitalize", "title", "safe", "e", "escape", "forceescape",
            "wordcount",
            "striptags":
            _ = try arguments.bound(name, [])
            return try plainFilter(name, value.text(budget))
        case "trim":
            let characters = try arguments.bound(name, ["chars"])[0]
            return .string(try value.text(budget).stripped(.both, of: optionalText(characters, name)))
        case "replace":
            let values = try arguments.bound(name, ["old", "new", "count"], required: 2)
            let limit = values[2]?.isNone ?? true ? -1 : try integer(values[2], default: -1, of: name)
            let old = try (values[0] ?? .none).text(budget)
            let new = try (values[1] ?? .none).text(budget)
            return .string(
                try value.plainText(budget).replacing(old, with: new, limit: limit, budget: budget))
        case "join": return .string(try join(value, arguments))
        case "indent": return .string(try indent(value, arguments))
        case "center":
            let width = try integer(arguments.bound(name, ["width"])[0], default: 80, of: name)
            return .string(try value.text(budget).padded(to: width, with: " ", .center, budget))
        case "truncate": return .string(try truncate(value, arguments))
        case "urlencode": return .string(try urlEncode(value, arguments))
        case "xmlattr": return .string(try attributes(value, arguments))
        case "format":
            let format = try value.text(budget)
            guard arguments.named.isEmpty else {
                guard arguments.positional.isEmpty else {
                    throw .wrongArguments("can't handle positional and keyword arguments at the same time")
                }
                let entries: [TemplateDictionary.Entry] = arguments.named.map { (.string($0.name), $0.value) }
                let mapping = TemplateValue.dictionary(try TemplateDictionary(entries, budget: budget))
                return .string(try PrintfFormat.format(format, mapping, budget))
            }
            let tuple = TemplateValue.tuple(try TemplateList(arguments.positional, budget: budget))
            return .string(try PrintfFormat.format(format, tuple, budget))
        case "pprint":
            return .string(try PrettyPrinter.text(of: value, budget))
        default: return nil
        }
    }

    private func plainFilter(_ name: String, _ text: PythonString) throws(TemplateFailure) -> TemplateValue {
        try budget.charge(bytes: text.utf8.count)
        switch name {
        case "upper": return .string(text.uppercased)
        case "lower": return .string(text.lowercased)
        case "capitalize": return .string(text.capitalized)
        case "title": return .string(text.titledByWords)
        case "safe":
            var marked = text
            marked.isMarkup = true
            return .string(marked)
        case "e", "escape": return .string(text.escapedForHTML)
        case "forceescape":
            var plain = text
            plain.isMarkup = false
            return .string(plain.escapedForHTML)
        case "wordcount": return .int(text.wordCount)
        case "striptags": return .string(text.withoutTags)
        default: return .string(text)
        }
    }

    private func join(_ value: TemplateValue, _ arguments: CallArguments) throws(TemplateFailure)
        -> PythonString
    {
        let values = try arguments.bound("join", ["d", "attribute"])
        let separator = try (values[0] ?? .string("")).plainText(budget)
        let read = try getter(values[1])
        let cursor = try TemplateCursor(value, budget)
        var pieces: [PythonString] = []
        while let element = try cursor.next() { pieces.append(try read(element).plainText(budget)) }
        return try separator.joining(pieces, budget: budget)
    }

    private func indent(_ value: TemplateValue, _ arguments: CallArguments) throws(TemplateFailure)
        -> PythonString
    {
        let values = try arguments.bound("indent", ["width", "first", "blank"])
        let text = try requiredText(value, "indent")
        let indentation: PythonString
        if case .string(let given)? = values[0] {
            indentation = given
        } else {
            let width = try integer(values[0], default: 4, of: "indent")
            try budget.allow(textBytes: max(width, 0))
            indentation = PythonString(" ").repeated(width)
        }
        // The added line break keeps the last line, as in the reference, where it is empty.
        try budget.allow(elements: text.utf8.count { $0 == 0x0A || $0 == 0x0D })
        let lines = (text + "\n").lines(keepingBreaks: false)
        let indentsBlank = values[2]?.isTrue ?? false
        var result = PythonString()
        if values[1]?.isTrue ?? false { result.append(indentation) }
        for (index, line) in lines.enumerated() {
            if index > 0 {
                result.append("\n" as Unicode.Scalar)
                if indentsBlank || !line.isEmpty { result.append(indentation) }
            }
            result.append(line)
            try budget.allow(textBytes: result.utf8.count > TemplateLimits.textBytes ? .max : line.utf8.count)
        }
        return result
    }

    private func truncate(_ value: TemplateValue, _ arguments: CallArguments) throws(TemplateFailure)
        -> PythonString
    {
        let values = try arguments.bound("truncate", ["length", "killwords", "end", "leeway"])
        let text = try requiredText(value, "truncate")
        let length = try integer(values[0], default: 255, of: "truncate")
        let end =
            try values[2].map { (value) throws(TemplateFailure) in try requiredText(value, "truncate") }
            ?? "..."
        let leeway = values[3]?.isNone ?? true ? 5 : try integer(values[3], default: 5, of: "truncate")
        let count = end.count
        guard length >= count else { throw .wrongArguments("expected length >= \(count), got \(length)") }
        guard leeway >= 0 else { throw .wrongArguments("expected leeway >= 0, got \(leeway)") }
        guard text.count > length.addingClamped(leeway) else { return text }
        let cut = text.slice(0..<length - count)
        if values[1]?.isTrue ?? false { return cut + end }
        return (cut.splitFromRight(by: " ", limit: 1).first ?? cut) + end
    }

    private func urlEncode(
        _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> PythonString {
        _ = try arguments.bound("urlencode", [])
        if case .string(let text) = value { return text.percentEncoded(inQuery: false) }
        guard value.isIterable else { return try value.text(budget).percentEncoded(inQuery: false) }
        var pairs = value
        if case .dictionary(let dictionary) = value { pairs = .view(dictionary, .items) }
        var pieces: [PythonString] = []
        for pair in try pairs.elements(budget) {
            let parts = try pair.elements(budget)
            guard parts.count == 2 else { throw .wrongValue("urlencode wants pairs of a key and a value") }
            let key = try parts[0].text(budget).percentEncoded(inQuery: true)
            pieces.append(key + "=" + (try parts[1].text(budget).percentEncoded(inQuery: true)))
        }
        return try PythonString("&").joining(pieces, budget: budget)
    }

    private func attributes(
        _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> PythonString {
        let hasSpace = try arguments.bound("xmlattr", ["autospace"])[0]?.isTrue ?? true
        guard case .dictionary(let dictionary) = value else { throw .wrongValue("xmlattr wants a mapping") }
        var pieces: [PythonString] = []
        for (key, value) in dictionary.entries where !value.isNone && !value.isUndefined {
            let name = try requiredText(key, "xmlattr")
            guard !name.utf8.contains(where: { " \t\n\r\u{0B}\u{0C}/>=".utf8.contains($0) }) else {
                throw .wrongValue("Invalid character in attribute name: \(name.repr.swift)")
            }
            pieces.append(name.escapedForHTML + "=\"" + (try value.text(budget).escapedForHTML) + "\"")
        }
        let text = try PythonString(" ").joining(pieces, budget: budget)
        return hasSpace && !text.isEmpty ? " " + text : text
    }
}
