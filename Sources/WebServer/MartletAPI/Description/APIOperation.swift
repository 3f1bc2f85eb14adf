// What a route of Martlet's own API takes and gives, as a value: the document is made from it, and the route reads its
// request through it.

import Text

/// A parameter behind the question mark.
struct APIParameter: Sendable {
    var name: String
    var schema: APISchema
    /// What is taken where it is absent; nil for nothing.
    var standard: JSONValue?
    var isRequired = false
    /// Whether it may come several times.
    var isRepeated = false
    var summary: String

    init(
        _ name: String, _ schema: APISchema, _ summary: String, standard: JSONValue? = nil,
        isRequired: Bool = false, isRepeated: Bool = false
    ) {
        self.name = name
        self.schema = schema
        self.summary = summary
        self.standard = standard
        self.isRequired = isRequired
        self.isRepeated = isRepeated
    }
}

/// What stands in the document about one operation.
struct APIOperation: Sendable {
    /// The `operation` of its route.
    var id: String
    var parameters: [APIParameter] = []
    var body: APISchema?
    var status = 200
    var answer: APISchema
    /// Of the answer.
    var contentType = "application/json"
    /// Statuses of refusals beside 400, 401, 403 and 404.
    var refusals: [Int] = []

    init(
        _ id: String, parameters: [APIParameter] = [], body: APISchema? = nil, status: Int = 200,
        answer: APISchema, contentType: String = "application/json", refusals: [Int] = []
    ) {
        self.id = id
        self.parameters = parameters
        self.body = body
        self.status = status
        self.answer = answer
        self.contentType = contentType
        self.refusals = refusals
    }
}

/// Reads a request as its operation describes it. What the description does not have cannot be read, so that the
/// document is complete.
struct APIReader: Sendable {
    let request: ServiceRequest
    let operation: APIOperation

    /// - Throws: `ServiceError` 400 for a parameter that does not fit its description.
    init(_ request: ServiceRequest, _ id: String) throws(ServiceError) {
        self.request = request
        guard let operation = APIOperations.byID[id] else { throw .internalError }
        self.operation = operation
        for parameter in operation.parameters {
            let values = request.query.values(parameter.name)
            if values.isEmpty, parameter.isRequired { throw .invalid("`\(parameter.name)` is missing") }
            if values.count > 100 { throw .invalid("`\(parameter.name)` comes more than 100 times") }
            for text in values {
                let value = Self.value(text, parameter.schema)
                if let problem = parameter.schema.problem(in: value, at: parameter.name) {
                    throw .invalid(problem)
                }
            }
        }
    }

    /// A parameter's text as the kind of value that is wanted.
    private static func value(_ text: String, _ schema: APISchema) -> JSONValue {
        switch schema {
        case .integer: return Int(text).map(JSONValue.int) ?? .string(text)
        case .flag: return text == "true" ? true : text == "false" ? false : .string(text)
        case .number: return Double(text).map(JSONValue.double) ?? .string(text)
        case .list(let element, _):
            // Empty parts count, as the document's readers count them; `list` leaves them out.
            let parts = text.split(separator: ",", omittingEmptySubsequences: false)
            return .array(parts.map { value(String($0), element) })
        default: return .string(text)
        }
    }

    private func parameter(_ name: String) throws(ServiceError) -> APIParameter {
        guard let found = operation.parameters.first(where: { $0.name == name }) else {
            throw .internalError
        }
        return found
    }

    private func value(_ name: String) throws(ServiceError) -> JSONValue? {
        let parameter = try parameter(name)
        // A form sends an empty field where nothing was chosen.
        guard let text = request.query[name], !text.isEmpty else { return parameter.standard }
        return Self.value(text, parameter.schema)
    }

    /// nil where the parameter is absent or empty.
    func text(_ name: String) throws(ServiceError) -> String? { try value(name)?.stringValue }

    func texts(_ name: String) throws(ServiceError) -> [String] {
        _ = try parameter(name)
        return request.query.values(name).filter { !$0.isEmpty }
    }

    /// The parts between commas.
    func list(_ name: String) throws(ServiceError) -> [String] {
        (try value(name)?.arrayValue ?? []).compactMap(\.stringValue).filter { !$0.isEmpty }
    }

    func integer(_ name: String) throws(ServiceError) -> Int? { try value(name)?.intValue }

    func integer(_ name: String, or standard: Int) throws(ServiceError) -> Int {
        try integer(name) ?? standard
    }

    func flag(_ name: String) throws(ServiceError) -> Bool { try value(name)?.boolValue ?? false }

    func moment(_ name: String) throws(ServiceError) -> Timestamp? {
        try text(name).flatMap(Timestamp.init(rfc3339:))
    }

    /// The body, which fits its description.
    func body() async throws -> JSONValue {
        guard let schema = operation.body else { throw ServiceError.internalError }
        let json = try await request.json()
        if let problem = schema.problem(in: json) { throw ServiceError.invalid(problem) }
        return json
    }
}
