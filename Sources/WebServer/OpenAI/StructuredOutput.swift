// response_format and structured_outputs: the form that a request wants the whole answer to have.
import Inference
import Text

enum StructuredOutput {
    /// The constraint of a request, nil if it wants free text.
    static func read(_ fields: inout FieldReader) throws(APIError) -> ConstraintSpecification? {
        let format = try responseFormat(&fields)
        guard let object = try fields.object("structured_outputs") else { return format }
        let outputs = try structuredOutputs(object, path: fields.path(of: "structured_outputs"))
        if format != nil && outputs != nil {
            throw fields.refused(
                "structured_outputs", "cannot be combined with `response_format`; leave one of them out")
        }
        return outputs ?? format
    }

    private static func responseFormat(
        _ fields: inout FieldReader
    ) throws(APIError) -> ConstraintSpecification? {
        guard let object = try fields.object("response_format") else { return nil }
        var format = try FieldReader(object, path: fields.path(of: "response_format"))
        switch try format.requiredString("type") {
        case "text": return nil
        case "json_object": return .jsonObject
        case "json_schema":
            guard let object = try format.object("json_schema") else {
                throw format.missing("json_schema", "an object with `name` and `schema`")
            }
            var wrapper = try FieldReader(object, path: format.path(of: "json_schema"))
            guard let schema = wrapper.value("schema") else {
                throw wrapper.missing("schema", "a JSON schema")
            }
            guard schema.objectValue != nil || schema.boolValue != nil else {
                throw wrapper.wrong("schema", "a JSON schema", schema)
            }
            return .jsonSchema(schema.compactText)
        case let other:
            throw format.refused(
                "type", "must be text, json_object or json_schema, not \"\(other.shortened)\"")
        }
    }

    private static func structuredOutputs(
        _ object: OrderedJSON, path: String
    ) throws(APIError) -> ConstraintSpecification? {
        var fields = try FieldReader(object, path: path)
        for key in ["grammar", "structural_tag"] where fields.value(key) != nil {
            throw fields.refused(key, "is not supported; use `json`, `regex` or `choice`")
        }
        var found: [ConstraintSpecification] = []
        if let schema = fields.value("json") {
            switch schema {
            case .object, .bool: found.append(.jsonSchema(schema.compactText))
            case .string(let text): found.append(.jsonSchema(text))
            default: throw fields.wrong("json", "a JSON schema", schema)
            }
        }
        if try fields.bool("json_object") == true { found.append(.jsonObject) }
        if let pattern = try fields.string("regex") { found.append(.regex(pattern)) }
        if let choices = try fields.strings("choice", limit: 10_000) {
            guard !choices.isEmpty else { throw fields.refused("choice", "must name at least one text") }
            found.append(.choice(choices))
        }
        guard found.count <= 1 else {
            throw .badRequest(
                "`\(path)` may have only one of `json`, `json_object`, `regex` and `choice`", parameter: path)
        }
        return found.first
    }
}
