// The methods of texts, as Python's `str` has them.

extension TemplateEvaluator {
    func callMethod(
        _ name: String, of text: PythonString, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue {
        if let result = try simpleMethod(name, of: text, arguments) { return result }
        switch name {
        case "strip", "lstrip", "rstrip":
            let characters = try arguments.bound(name, ["chars"])[0]
            let side: PythonString.Side = name == "strip" ? .both : name == "lstrip" ? .left : .right
            return .string(text.stripped(side, of: try optionalText(characters, name)))
        case "split", "rsplit": return try split(name, text, arguments)
        case "splitlines":
            let keeps = try arguments.bound(name, ["keepends"])[0]?.isTrue ?? false
            return try textList(text.lines(keepingBreaks: keeps))
        case "startswith", "endswith", "find", "rfind", "index", "rindex", "count":
            return try search(name, text, arguments)
        case "replace":
            let values = try arguments.bound(name, ["old", "new", "count"], required: 2)
            let limit = try integer(values[2], default: -1, of: name)
            let (old, new) = try (requiredText(values[0], name), requiredText(values[1], name))
            return .string(try text.replacing(old, with: new, limit: limit, budget: budget))
        case "removeprefix", "removesuffix":
            let part = try requiredText(
                arguments.bound(name, [name == "removeprefix" ? "prefix" : "suffix"])[0], name)
            let length = part.utf8.count
            if name == "removeprefix" {
                return .string(text.hasPrefix(part) ? text.between(length, text.utf8.count) : text)
            }
            return .string(text.hasSuffix(part) ? text.between(0, text.utf8.count - length) : text)
        case "partition", "rpartition": return try partition(name, text, arguments)
        case "join":
            let elements = try (arguments.bound(name, ["iterable"], required: 1)[0] ?? .none).elements(budget)
            var pieces: [PythonString] = []
            for (index, element) in elements.enumerated() {
                guard case .string(let piece) = element else {
                    throw .wrongValue(
                        "sequence item \(index): expected str instance, \(element.typeName) found")
                }
                pieces.append(piece)
            }
            return .string(try text.joining(pieces, budget: budget))
        case "center", "ljust", "rjust", "zfill": return try pad(name, text, arguments)
        case "expandtabs":
            let size = try integer(arguments.bound(name, ["tabsize"])[0], default: 8, of: name)
            return .string(try expandTabs(text, size))
        case "format": return .string(try BraceFormat.format(text, arguments, self))
        case "format_map":
            guard case .dictionary(let dictionary)? = try arguments.bound(name, ["mapping"], required: 1)[0]
            else {
                throw .wrongArguments("format_map() wants a mapping")
            }
            var named = CallArguments()
            for case (.string(let name), let value) in dictionary.entries {
                named.named.append((name, value))
            }
            return .string(try BraceFormat.format(text, named, self))
        default: throw .unsupported("the method '\(name)' of texts is not supported")
        }
    }

    /// Methods without arguments; nil if this is none.
    private func simpleMethod(
        _ name: String, of text: PythonString, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue? {
        let result: TemplateValue
        switch name {
        case "upper": result = .string(text.uppercased)
        case "lower": result = .string(text.lowercased)
        case "casefold": result = .string(text.caseFolded)
        case "title": result = .string(text.titled)
        case "capitalize": result = .string(text.capitalized)
        case "swapcase": result = .string(text.swappedCase)
        case "islower": result = .bool(text.isLower)
        case "isupper": result = .bool(text.isUpper)
        case "istitle": result = .bool(text.isTitle)
        case "isspace": result = .bool(text.hasOnly(PythonString.isSpace))
        case "isalpha": result = .bool(text.hasOnly(PythonString.isAlphabetic))
        case "isalnum": result = .bool(text.hasOnly(PythonString.isAlphanumeric))
        case "isdigit": result = .bool(text.hasOnly(PythonString.isDigit))
        case "isdecimal": result = .bool(text.hasOnly(PythonString.isDecimal))
        case "isnumeric": result = .bool(text.hasOnly(PythonString.isNumeric))
        case "isascii": result = .bool(text.utf8.allSatisfy { $0 < 0x80 })
        case "isprintable": result = .bool(text.isEmpty || text.hasOnly(PythonString.isPrintable))
        case "isidentifier": result = .bool(text.isIdentifier)
        default: return nil
        }
        _ = try arguments.bound(name, [])
        return result
    }

    func requiredText(_ value: TemplateValue?, _ function: String) throws(TemplateFailure) -> PythonString {
        switch value {
        case .string(let text)?: return text
        case .undefined(let missing)?: throw missing.failure
        case let value:
            throw .wrongValue("\(function) wants a str, not \(value?.typeName ?? "nothing")")
        }
    }

    func optionalText(
        _ value: TemplateValue?, _ function: String
    ) throws(TemplateFailure) -> PythonString? {
        if value == nil { return nil }
        if case TemplateValue.none? = value { return nil }
        return try requiredText(value, function)
    }

    private func split(
        _ name: String, _ text: PythonString, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue {
        let values = try arguments.bound(name, ["sep", "maxsplit"])
        let limit = try integer(values[1], default: -1, of: name)
        let fromRight = name == "rsplit"
        guard let separator = try optionalText(values[0], name) else {
            return try textList(fromRight ? text.wordsFromRight(limit: limit) : text.words(limit: limit))
        }
        guard !separator.isEmpty else { throw .wrongValue("empty separator") }
        return try textList(
            fromRight
                ? text.splitFromRight(by: separator, limit: limit) : text.split(by: separator, limit: limit))
    }

    private func partition(
        _ name: String, _ text: PythonString, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue {
        let separator = try requiredText(arguments.bound(name, ["sep"], required: 1)[0], name)
        guard !separator.isEmpty else { throw .wrongValue("empty separator") }
        let fromRight = name == "rpartition"
        let offset = fromRight ? text.lastOffset(of: separator) : text.offset(of: separator)
        let parts: [PythonString]
        if let offset {
            parts = [
                text.between(0, offset), separator,
                text.between(offset + separator.utf8.count, text.utf8.count),
            ]
        } else {
            parts = fromRight ? ["", "", text] : [text, "", ""]
        }
        return .tuple(try TemplateList(parts.map { .string($0) }, budget: budget))
    }

    /// What looks for other texts, within an optional range.
    private func search(
        _ name: String, _ text: PythonString, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue {
        let values = try arguments.bound(name, ["sub", "start", "end"], required: 1)
        let count = text.count
        let range = try TemplateValue.range(count, values[1], values[2], nil)
        // A start behind the end finds nothing, not even the empty text.
        let start = values[1]?.index ?? 0
        let isBeyond =
            start > count
            || (values[2]?.index).map { end in
                (end < 0 ? max(end.addingClamped(count), 0) : end)
                    < (start < 0 ? max(start.addingClamped(count), 0) : start)
            } ?? false
        let part = range.count == count ? text : text.slice(range.start..<range.start + range.count)
        if name == "startswith" || name == "endswith" {
            var options: [TemplateValue] = [values[0] ?? .none]
            if case .tuple(let list)? = values[0] { options = list.elements }
            for option in options {
                let wanted = try requiredText(option, name)
                if !isBeyond, name == "startswith" ? part.hasPrefix(wanted) : part.hasSuffix(wanted) {
                    return .bool(true)
                }
            }
            return .bool(false)
        }
        let wanted = try requiredText(values[0], name)
        if name == "count" {
            if isBeyond { return .int(0) }
            return .int(wanted.isEmpty ? part.count + 1 : part.offsets(of: wanted, limit: .max).count)
        }
        let isFirst = name == "find" || name == "index"
        let offset = isBeyond ? nil : isFirst ? part.offset(of: wanted) : part.lastOffset(of: wanted)
        if let offset { return .int(range.start + part.between(0, offset).count) }
        guard name == "find" || name == "rfind" else { throw .wrongValue("substring not found") }
        return .int(-1)
    }

    private func pad(
        _ name: String, _ text: PythonString, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue {
        let values = try arguments.bound(
            name, name == "zfill" ? ["width"] : ["width", "fillchar"], required: 1)
        guard let width = values[0]?.index else { throw .wrongArguments("\(name) wants a width") }
        if name == "zfill" {
            let isSigned = text.hasPrefix("-") || text.hasPrefix("+")
            let digits = text.between(isSigned ? 1 : 0, text.utf8.count)
            let zeros = try digits.padded(to: width - (isSigned ? 1 : 0), with: "0", .right, budget)
            return .string(text.between(0, isSigned ? 1 : 0) + zeros)
        }
        let fill =
            try values[1].map { (value) throws(TemplateFailure) in try requiredText(value, name) } ?? " "
        guard fill.count == 1 else {
            throw .wrongArguments("The fill character must be exactly one character long")
        }
        let alignment: PythonString.Alignment = name == "center" ? .center : name == "ljust" ? .left : .right
        return .string(try text.padded(to: width, with: fill, alignment, budget))
    }

    private func expandTabs(_ text: PythonString, _ size: Int) throws(TemplateFailure) -> PythonString {
        let tabs = text.utf8.count { $0 == 9 }
        let (grown, overflow) = tabs.multipliedReportingOverflow(by: max(size, 0))
        try budget.allow(textBytes: overflow ? .max : grown.addingClamped(text.utf8.count))
        var result = PythonString()
        var column = 0
        for scalar in text.scalars {
            if scalar == "\t" {
                let blanks = size > 0 ? size - column % size : 0
                result.append(String(repeating: " ", count: blanks))
                column += blanks
            } else {
                result.append(scalar)
                column = scalar == "\n" || scalar == "\r" ? 0 : column + 1
            }
        }
        return result
    }
}

extension PythonString {
    enum Alignment {
        case left, right, center
    }

    /// With fill characters up to a width in code points.
    func padded(
        to width: Int, with fill: PythonString, _ alignment: Alignment, _ budget: TemplateBudget
    ) throws(TemplateFailure) -> PythonString {
        let missing = width.subtractingReportingOverflow(count).partialValue
        guard width > count, missing > 0 else { return self }
        let (bytes, overflow) = missing.multipliedReportingOverflow(by: fill.utf8.count)
        try budget.allow(textBytes: overflow ? .max : bytes.addingClamped(utf8.count))
        switch alignment {
        case .left: return self + fill.repeated(missing)
        case .right: return fill.repeated(missing) + self
        case .center:
            // Python puts the odd character to the left if the width is odd too.
            let left = missing / 2 + (missing & width & 1)
            return fill.repeated(left) + self + fill.repeated(missing - left)
        }
    }

    /// For comparing without case. Agrees with full case folding but for rare letters.
    var caseFolded: PythonString {
        PythonString(swift.unicodeScalars.map { $0 == "ß" ? "ss" : $0.properties.lowercaseMapping }.joined())
    }
}
