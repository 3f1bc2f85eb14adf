// What single filters do to a text.

extension PythonString {
    /// The filter `title`: a capital behind blanks, hyphens and opening brackets, small letters elsewhere.
    var titledByWords: PythonString {
        var result = PythonString()
        var word: [Unicode.Scalar] = []
        func flush() {
            guard let first = word.first else { return }
            result.append(first.properties.uppercaseMapping)
            result.append(PythonString(word.dropFirst()).lowercased)
            word = []
        }
        for scalar in scalars {
            if Self.isSpace(scalar) || "-({[<".unicodeScalars.contains(scalar) {
                flush()
                result.append(scalar)
            } else {
                word.append(scalar)
            }
        }
        flush()
        return result
    }

    /// The number of runs of letters, digits and underscores.
    var wordCount: Int {
        var count = 0
        var isInside = false
        for scalar in scalars {
            let isPart = scalar == "_" || Self.isAlphanumeric(scalar)
            if isPart && !isInside { count += 1 }
            isInside = isPart
        }
        return count
    }

    /// Without HTML tags and comments, and with single blanks between words.
    var withoutTags: PythonString {
        var text = self
        for (open, close) in [("<!--", "-->"), ("<", ">")] as [(PythonString, PythonString)] {
            var kept = PythonString()
            var start = 0
            while let begin = text.offset(of: open, from: start),
                let end = text.offset(of: close, from: begin + open.utf8.count)
            {
                kept.append(text.between(start, begin))
                start = end + close.utf8.count
            }
            text = kept + text.between(start, text.utf8.count)
        }
        return PythonString(text.words(limit: -1).map(\.swift).joined(separator: " ")).withoutEntities
    }

    /// With the entities that `escape` makes, and those that mean the same, as characters again.
    private var withoutEntities: PythonString {
        var text = swift
        for (entity, character) in [
            ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&amp;", "&"),
        ] {
            text = PythonString(text).split(by: PythonString(entity), limit: -1).map(\.swift)
                .joined(separator: character)
        }
        return PythonString(text)
    }

    /// - Parameter inQuery: whether `/` is encoded too and a blank becomes `+`.
    func percentEncoded(inQuery: Bool) -> PythonString {
        let digits = Array("0123456789ABCDEF".utf8)
        var result = PythonString()
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "-"),
                UInt8(ascii: "~"):
                result.append(byte: byte)
            case UInt8(ascii: "/") where !inQuery: result.append(byte: byte)
            case UInt8(ascii: " ") where inQuery: result.append("+")
            default:
                result.append(byte: UInt8(ascii: "%"))
                result.append(byte: digits[Int(byte >> 4)])
                result.append(byte: digits[Int(byte & 15)])
            }
        }
        return result
    }
}
