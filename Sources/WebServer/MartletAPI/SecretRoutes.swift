// Named values that steps get as files or variables: set and deleted here, never shown again.

import Controller
import Persistence
import Text
import WorkflowLanguage

extension MartletRoutes {
    var secretRoutes: [ServiceRoute] {
        [
            route(
                "GET", "/secrets", "MartletAPI_ListSecrets", .cluster(.admin),
                summary: "The names and keys of secrets, never their values."
            ) { reader in
                let rows = try await context.store.definitions(.secret, namespace: reader.text("namespace"))
                return .json(.page(rows.map(Self.json)))
            },
            route(
                "PUT", "/secrets/{namespace}/{name}", "MartletAPI_PutSecret", .namespaced(.admin),
                summary: "Sets a secret to these values, in place of all that it had.",
                bodyLimitBytes: 1 << 20
            ) { try await putSecret($0) },
            route(
                "DELETE", "/secrets/{namespace}/{name}", "MartletAPI_DeleteSecret", .namespaced(.admin),
                summary: "Deletes a secret."
            ) { reader in
                let (namespace, name) = (reader.request["namespace"], reader.request["name"])
                guard try await context.store.deleteDefinition(.secret, namespace: namespace, name: name)
                else {
                    throw ServiceError.notFound("there is no secret \"\(name.shortened)\"")
                }
                return .json([:])
            },
        ]
    }

    private static func json(_ row: DefinitionRow) -> JSONValue {
        let secret = KeyedValues(row.body)
        let keys = Set(secret.values.keys).union(secret.encodedValues.keys)
        return .object([
            "namespace": .string(row.namespace), "name": .string(row.name), "keys": .texts(keys.sorted()),
            "updatedAt": .moment(row.updatedAt),
        ])
    }

    private func putSecret(_ reader: APIReader) async throws -> HTTPReply {
        let body = try await reader.body()
        let (namespace, name) = (reader.request["namespace"], reader.request["name"])
        guard Self.isName(name), Self.isName(namespace) else {
            throw ServiceError.invalid(
                "a secret's name has up to 253 small letters, digits, dots and dashes: not \(name.shortened)")
        }
        let values = body["values"]?.objectValue ?? [:]
        guard values.keys.allSatisfy({ !$0.isEmpty && $0.allSatisfy(Self.isKeyCharacter) }) else {
            throw ServiceError.invalid("a secret's keys have letters, digits, dots, dashes and underscores")
        }
        let document: JSONValue = [
            "apiVersion": "v1", "kind": "Secret",
            "metadata": ["name": .string(name), "namespace": .string(namespace)],
            "stringData": .object(values),
        ]
        let row = try await context.store.putDefinition(
            .secret, namespace: namespace, name: name, body: document, at: context.now())
        return .json(Self.json(row))
    }

    private static func isKeyCharacter(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || "._-".contains(character))
    }

    /// A DNS subdomain, as Kubernetes names its objects.
    private static func isName(_ text: String) -> Bool {
        (1...253).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x2D || byte == 0x2E
            }
            && text.first != "-" && text.last != "-" && text.first != "." && text.last != "."
    }
}
