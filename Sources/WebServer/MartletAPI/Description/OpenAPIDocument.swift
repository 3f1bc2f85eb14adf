// The OpenAPI document of Martlet's own routes, made from the routes' own values.

import Text

extension MartletRoutes {
    var documentRoutes: [ServiceRoute] {
        [
            ServiceRoute(
                "GET", "/openapi.json", "MartletAPI_OpenAPI", .open,
                summary: "This document."
            ) { [context] _ in
                let routes = MartletRoutes(context).routes
                return .json(OpenAPIDocument.json(routes, version: context.version))
            }
        ]
    }
}

enum OpenAPIDocument {
    /// - Parameter routes: those without a summary stay out.
    static func json(_ routes: [ServiceRoute], version: String) -> JSONValue {
        var paths: [String: [String: JSONValue]] = [:]
        for route in routes where route.summary != nil {
            guard let operation = APIOperations.byID[route.operation] else { continue }
            paths[route.pattern, default: [:]][route.method.lowercased()] = .object(
                members(route, operation))
        }
        let schemas = APISchemas.named.mapValues(\.json)
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Martlet", "version": .string(version),
                "description": "Martlet's own API. The server also speaks Argo's, which Argo documents.",
            ],
            "servers": [["url": "/"]],
            "security": [["bearer": .array([])], ["cookie": .array([])], .object([:])],
            "paths": .object(paths.mapValues(JSONValue.object)),
            "components": [
                "schemas": .object(schemas),
                "securitySchemes": [
                    "bearer": ["type": "http", "scheme": "bearer"],
                    "cookie": ["type": "apiKey", "in": "cookie", "name": "martlet_session"],
                ],
            ],
        ]
    }

    private static func members(_ route: ServiceRoute, _ operation: APIOperation) -> [String: JSONValue] {
        var members: [String: JSONValue] = [
            "operationId": .string(route.operation), "summary": .text(route.summary),
            "responses": .object(responses(route, operation)),
        ]
        let parameters = pathParameters(route.pattern) + operation.parameters.map(parameter)
        if !parameters.isEmpty { members["parameters"] = .array(parameters) }
        if let body = operation.body {
            members["requestBody"] = [
                "required": true, "content": ["application/json": ["schema": body.json]],
            ]
        }
        if route.access == .open { members["security"] = .array([]) }
        return members
    }

    private static func responses(_ route: ServiceRoute, _ operation: APIOperation) -> [String: JSONValue] {
        var responses: [String: JSONValue] = [
            "\(operation.status)": [
                "description": "Done.",
                "content": .object([operation.contentType: ["schema": operation.answer.json]]),
            ]
        ]
        var refusals = [400, 401, 403, 404, 405, 414, 429, 431, 503] + operation.refusals
        if operation.body != nil || route.isWrite { refusals += [409, 413, 415] }
        for status in refusals {
            responses["\(status)"] = [
                "description": "Refused; the message says why.",
                "content": ["application/json": ["schema": ["$ref": "#/components/schemas/Error"]]],
            ]
        }
        return responses
    }

    private static func pathParameters(_ pattern: String) -> [JSONValue] {
        pattern.split(separator: "/").filter { $0.hasPrefix("{") }.map { segment in
            [
                "name": .string(String(segment.dropFirst().dropLast())), "in": "path", "required": true,
                "schema": [
                    "type": "string", "minLength": 1, "maxLength": .int(ServiceRouter.maxParameterBytes),
                ],
            ]
        }
    }

    private static func parameter(_ parameter: APIParameter) -> JSONValue {
        var schema = parameter.schema.json.objectValue ?? [:]
        if let standard = parameter.standard { schema["default"] = standard }
        var members: [String: JSONValue] = [
            "name": .string(parameter.name), "in": "query", "description": .string(parameter.summary),
            "required": .bool(parameter.isRequired), "schema": .object(schema),
        ]
        if parameter.isRepeated {
            members["schema"] = ["type": "array", "items": .object(schema), "maxItems": 100]
        } else if case .list = parameter.schema {
            // Nothing between the name and the next is one empty part.
            schema["minItems"] = 1
            members["schema"] = .object(schema)
            (members["style"], members["explode"]) = ("form", false)
        }
        return .object(members)
    }
}
