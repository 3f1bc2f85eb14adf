// How many rows a training step computes at once, and how often before it changes the weights: found in a
// template, and made smaller without changing what is learned.

package import Text

/// `per_device_train_batch_size` and `gradient_accumulation_steps`. Their product is what training depends on.
package struct BatchSize: Sendable, Hashable {
    package var perDevice: Int
    package var accumulation: Int

    package init(perDevice: Int, accumulation: Int) {
        self.perDevice = perDevice
        self.accumulation = accumulation
    }

    static let sizeName = "per_device_train_batch_size"
    static let accumulationName = "gradient_accumulation_steps"

    /// What the template says, with the defaults of its program; nil where it says nothing of batches.
    package init?(of template: Template) {
        switch template.kind {
        case .martlet(let step):
            switch step.kind {
            case .pretrain, .sft, .rlhf, .dpo: break
            default: return nil
            }
            guard let size = Self.number(step, Self.sizeName, usual: 1), size > 0 else { return nil }
            // As many as make 16 rows, rounded up.
            let usual = max(1, (16 + size - 1) / size)
            guard let steps = Self.number(step, Self.accumulationName, usual: usual), steps > 0 else {
                return nil
            }
            self.init(perDevice: size, accumulation: steps)
        case .container, .script:
            let words = CommandWords(template)
            guard let size = words.number(Self.sizeName), size > 0 else { return nil }
            let steps = words.number(Self.accumulationName) ?? 1
            guard steps > 0, steps <= 1 << 20 else { return nil }
            self.init(perDevice: size, accumulation: steps)
        default: return nil
        }
    }

    private static func number(_ step: MartletStep, _ name: String, usual: Int) -> Int? {
        guard let value = step.value(name) else { return usual }
        return value.scalarText.flatMap { Int($0) }
    }

    /// Half as many rows at once and twice as many times; where that is no whole number, the most rows below
    /// the half that keep the product. Nil for a single row.
    package var halved: BatchSize? {
        let (product, overflowed) = perDevice.multipliedReportingOverflow(by: accumulation)
        guard perDevice > 1, accumulation > 0, !overflowed else { return nil }
        var size = perDevice / 2
        while product % size != 0 { size -= 1 }
        return BatchSize(perDevice: size, accumulation: product / size)
    }

    /// For messages.
    package var text: String {
        "\(Self.sizeName) \(perDevice) and \(Self.accumulationName) \(accumulation)"
    }

    package var json: JSONValue {
        .object([Self.sizeName: .int(perDevice), Self.accumulationName: .int(accumulation)])
    }

    package init?(json: JSONValue?) {
        guard let size = json?[Self.sizeName]?.intValue, let steps = json?[Self.accumulationName]?.intValue
        else { return nil }
        self.init(perDevice: size, accumulation: steps)
    }

    /// The template with these numbers in place of its own.
    package func applied(to template: Template) -> Template {
        var members = template.raw.objectValue ?? [:]
        switch template.kind {
        case .martlet(let step):
            let changed = step.setting([
                Self.sizeName: .int(perDevice), Self.accumulationName: .int(accumulation),
            ]).parameters
            if members[step.kind.rawValue] != nil {
                members[step.kind.rawValue] = changed
            } else {
                members["plugin"] = ["martlet": .object([step.kind.rawValue: changed])]
            }
        case .container, .script:
            members = CommandWords(template).setting(self).raw.objectValue ?? members
        default: return template
        }
        var result = Template(.object(members))
        result.inputs = template.inputs
        return result
    }
}

/// The words of a container's command in which flags are looked for: its command and arguments, and the text of
/// a script.
private struct CommandWords {
    private let template: Template
    private let key: String
    private static let fields = ["command", "args"]

    init(_ template: Template) {
        self.template = template
        if case .script = template.kind { key = "script" } else { key = "container" }
    }

    private var body: [String: JSONValue] { template.raw[key]?.objectValue ?? [:] }

    func number(_ name: String) -> Int? {
        for field in Self.fields {
            let words = (body[field]?.arrayValue ?? []).compactMap(\.stringValue)
            for (index, word) in words.enumerated() {
                if Self.isFlag(word, name), index + 1 < words.count { return Int(words[index + 1]) }
                if let place = Self.place(of: name, in: word) { return Int(word[place]) }
            }
        }
        return (body["source"]?.stringValue).flatMap { source in
            Self.place(of: name, in: source).flatMap { Int(source[$0]) }
        }
    }

    func setting(_ size: BatchSize) -> Template {
        var members = body
        let isAccumulated = number(BatchSize.accumulationName) != nil
        for field in Self.fields {
            guard let words = members[field]?.arrayValue else { continue }
            members[field] = .array(changed(words, size, isAccumulated: isAccumulated))
        }
        if let source = members["source"]?.stringValue {
            members["source"] = .string(changed(source, size, isAccumulated: isAccumulated))
        }
        var raw = template.raw.objectValue ?? [:]
        raw[key] = .object(members)
        return Template(.object(raw))
    }

    private func changed(_ words: [JSONValue], _ size: BatchSize, isAccumulated: Bool) -> [JSONValue] {
        var result: [JSONValue] = []
        var follows: Int?
        var addsSteps = false
        for word in words {
            if let number = follows {
                result.append(.string(String(number)))
                follows = nil
                if addsSteps {
                    result += [
                        .string("--" + BatchSize.accumulationName), .string(String(size.accumulation)),
                    ]
                    addsSteps = false
                }
                continue
            }
            let text = word.stringValue ?? ""
            if Self.isFlag(text, BatchSize.sizeName) {
                follows = size.perDevice
                addsSteps = !isAccumulated
                result.append(word)
            } else if Self.isFlag(text, BatchSize.accumulationName) {
                follows = size.accumulation
                result.append(word)
            } else if word.stringValue != nil {
                result.append(.string(changed(text, size, isAccumulated: isAccumulated)))
            } else {
                result.append(word)
            }
        }
        return result
    }

    private func changed(_ text: String, _ size: BatchSize, isAccumulated: Bool) -> String {
        var text = text
        if let place = Self.place(of: BatchSize.accumulationName, in: text) {
            text.replaceSubrange(place, with: String(size.accumulation))
        }
        if let place = Self.place(of: BatchSize.sizeName, in: text) {
            let more = isAccumulated ? "" : " --\(BatchSize.accumulationName) \(size.accumulation)"
            text.replaceSubrange(place, with: String(size.perDevice) + more)
        }
        return text
    }

    private static func isFlag(_ word: String, _ name: String) -> Bool {
        word.hasPrefix("--") && word.dropFirst(2).map { $0 == "-" ? "_" : $0 } == Array(name)
    }

    /// Where the number behind `--name` stands in a text, an equals sign or blanks between them.
    private static func place(of name: String, in text: String) -> Range<String.Index>? {
        let wanted = Array(name)
        var start = text.startIndex
        while let dash = text[start...].firstIndex(of: "-") {
            start = text.index(after: dash)
            var rest = text[start...]
            guard rest.first == "-" else { continue }
            rest = rest.dropFirst()
            guard rest.prefix(wanted.count).map({ $0 == "-" ? "_" : $0 }) == wanted else { continue }
            rest = rest.dropFirst(wanted.count)
            guard rest.first == "=" || rest.first == " " else { continue }
            rest = rest.drop { $0 == "=" || $0 == " " }
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            if !digits.isEmpty { return digits.startIndex..<digits.endIndex }
        }
        return nil
    }
}
