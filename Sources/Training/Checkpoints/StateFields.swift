// Reads fields of an object in a state file; what does not fit is told with file and field.

import Text

/// An object in a state file.
struct StateFields: Sendable {
    static let remedy = "the file is damaged or of another program: resume from another checkpoint"

    private let file: String
    /// Where in the file the object is: "" or "martlet.".
    private let prefix: String
    private let json: OrderedJSON

    init(file: String, json: OrderedJSON, prefix: String = "") {
        self.file = file
        self.json = json
        self.prefix = prefix
    }

    func error(_ key: String, _ problem: String) -> TrainingError {
        TrainingError(.failed, "\(file): \(prefix)\(key) \(problem)", remedy: Self.remedy)
    }

    private func value(_ key: String) throws(TrainingError) -> OrderedJSON {
        guard let value = json[key] else { throw error(key, "is missing") }
        return value
    }

    func isNull(_ key: String) throws(TrainingError) -> Bool { try value(key).isNull }

    /// A whole number that is not negative.
    func count(_ key: String) throws(TrainingError) -> Int {
        guard let number = try value(key).intValue, number >= 0 else {
            throw error(key, "is no whole number of at least 0")
        }
        return number
    }

    func unsigned(_ key: String) throws(TrainingError) -> UInt64 {
        let value = try value(key)
        guard
            let number = value.stringValue.flatMap(UInt64.init)
                ?? value.intValue.flatMap(UInt64.init(exactly:))
        else { throw error(key, "is no whole number of at least 0") }
        return number
    }

    /// A number, also one that is not finite and therefore stands there as a string.
    func double(_ key: String) throws(TrainingError) -> Double {
        guard let number = try value(key).number else { throw error(key, "is no number") }
        return number
    }

    func string(_ key: String) throws(TrainingError) -> String {
        guard let text = try value(key).stringValue else { throw error(key, "is no string") }
        return text
    }

    func inside(_ key: String) throws(TrainingError) -> StateFields {
        let value = try value(key)
        guard value.objectValue != nil else { throw error(key, "is no object") }
        return StateFields(file: file, json: value, prefix: "\(prefix)\(key).")
    }

    /// An array of objects, as they are.
    func objects(_ key: String) throws(TrainingError) -> [OrderedJSON] {
        guard let elements = try value(key).arrayValue else { throw error(key, "is no array") }
        for (index, element) in elements.enumerated() where element.objectValue == nil {
            throw error("\(key)[\(index)]", "is no object")
        }
        return elements
    }

    /// An array of objects, to be read field by field.
    func list(_ key: String) throws(TrainingError) -> [StateFields] {
        try objects(key).enumerated().map { index, element in
            StateFields(file: file, json: element, prefix: "\(prefix)\(key)[\(index)].")
        }
    }
}
