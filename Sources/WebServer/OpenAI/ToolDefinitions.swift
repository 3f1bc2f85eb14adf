// The tools that a chat request offers, which of them must be called, and the JSON schema that forces it.
import Inference
import Text

/// How free the model is to call tools.
enum ToolChoice: Sendable, Hashable {
    case none, auto, required
    case named(String)
}

/// The tools of one request.
struct ToolDefinitions: Sendable, Hashable {
    struct Function: Sendable, Hashable {
        var name: String
        /// The JSON schema of the arguments; an object without members if the client gave none.
        var parameters: OrderedJSON
    }

    var functions: [Function] = []
    /// As the client sent them, for the chat template; nil without tools.
    var json: OrderedJSON?
    var choice: ToolChoice = .none
    /// False keeps only the first call of an answer.
    var allowsParallelCalls = true

    static let maxTools = 512

    init() {}

    init(_ fields: inout FieldReader) throws(APIError) {
        for key in ["functions", "function_call"] where fields.value(key) != nil {
            throw fields.refused(key, "was replaced by `tools` and `tool_choice`")
        }
        allowsParallelCalls = try fields.bool("parallel_tool_calls") ?? true
        let tools = try fields.array("tools", limit: Self.maxTools) ?? []
        for (index, tool) in tools.enumerated() {
            functions.append(try Self.function(tool, path: fields.path(of: "tools[\(index)]")))
        }
        json = tools.isEmpty ? nil : .array(tools)
        choice = try readChoice(&fields)
    }

    private static func function(_ tool: OrderedJSON, path: String) throws(APIError) -> Function {
        var fields = try FieldReader(tool, path: path)
        let type = try fields.requiredString("type")
        guard type == "function" else {
            throw fields.refused("type", "must be \"function\", not \"\(type.shortened)\"")
        }
        guard let object = try fields.object("function") else {
            throw fields.missing("function", "an object with `name` and `parameters`")
        }
        var function = try FieldReader(object, path: fields.path(of: "function"))
        let name = try function.requiredString("name")
        guard !name.isEmpty else { throw function.refused("name", "must not be empty") }
        let parameters = try function.object("parameters")
        return Function(name: name, parameters: parameters ?? Self.withoutParameters)
    }

    private static let withoutParameters = OrderedJSON.object([
        .init("type", .string("object")), .init("properties", .object([])),
        .init("additionalProperties", .bool(false)),
    ])

    private func readChoice(_ fields: inout FieldReader) throws(APIError) -> ToolChoice {
        guard let value = fields.value("tool_choice") else { return functions.isEmpty ? .none : .auto }
        let choice: ToolChoice
        switch value {
        case .string("none"): return .none
        case .string("auto"): return functions.isEmpty ? .none : .auto
        case .string("required"): choice = .required
        case .object:
            var object = try FieldReader(value, path: fields.path(of: "tool_choice"))
            guard let function = try object.object("function") else {
                throw object.missing("function", "an object with the `name` of a tool")
            }
            var named = try FieldReader(function, path: object.path(of: "function"))
            let name = try named.requiredString("name")
            guard functions.contains(where: { $0.name == name }) || functions.isEmpty else {
                throw named.refused(
                    "name", "is \"\(name.shortened)\", but no tool of the request has that name")
            }
            choice = .named(name)
        default:
            throw fields.refused(
                "tool_choice", "must be \"none\", \"auto\", \"required\" or an object that names a function")
        }
        if functions.isEmpty { throw fields.refused("tool_choice", "needs `tools` to choose from") }
        return choice
    }

    // MARK: Forcing a call

    /// True if the answer must be a call.
    var mustCall: Bool {
        switch choice {
        case .required, .named: return true
        case .none, .auto: return false
        }
    }

    /// A JSON schema of one call of one of the tools that may be called.
    /// - Parameter argumentsKey: what the model's format calls the arguments.
    func callSchema(argumentsKey: String) -> OrderedJSON {
        var allowed = functions
        if case .named(let name) = choice { allowed = functions.filter { $0.name == name } }
        var definitions: [OrderedJSON.Member] = []
        let calls = allowed.enumerated().map { index, function in
            var arguments = function.parameters
            if Self.hasReferences(arguments) {
                // References count from the root of the document, which is no longer the tool's own schema.
                let key = "tool\(index)"
                let target = "#/$defs/\(key)"
                definitions.append(.init(key, Self.rebased(arguments, onto: target)))
                arguments = .object([.init("$ref", .string(target))])
            }
            return OrderedJSON.object([
                .init("type", .string("object")),
                .init(
                    "properties",
                    .object([
                        .init("name", .object([.init("enum", .array([.string(function.name)]))])),
                        .init(argumentsKey, arguments),
                    ])),
                .init("required", .array([.string("name"), .string(argumentsKey)])),
                .init("additionalProperties", .bool(false)),
            ])
        }
        var members: [OrderedJSON.Member] = []
        if calls.count == 1, case .object(let only)? = calls.first {
            members = only
        } else {
            members = [.init("anyOf", .array(calls))]
        }
        if !definitions.isEmpty { members.append(.init("$defs", .object(definitions))) }
        return .object(members)
    }

    private static func hasReferences(_ schema: OrderedJSON) -> Bool {
        switch schema {
        case .object(let members):
            return members.contains { $0.key == "$ref" || hasReferences($0.value) }
        case .array(let elements): return elements.contains(where: hasReferences)
        default: return false
        }
    }

    private static func rebased(_ schema: OrderedJSON, onto root: String) -> OrderedJSON {
        switch schema {
        case .object(let members):
            return .object(
                members.map { member in
                    if member.key == "$ref", case .string(let target) = member.value, target.hasPrefix("#") {
                        return .init("$ref", .string(root + target.dropFirst()))
                    }
                    return .init(member.key, rebased(member.value, onto: root))
                })
        case .array(let elements): return .array(elements.map { rebased($0, onto: root) })
        default: return schema
        }
    }
}
