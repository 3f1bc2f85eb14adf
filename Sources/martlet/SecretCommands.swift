// `martlet secret`: named values that steps may read and nobody else sees. Values come from files, standard input or
// the environment, never from the command line, which other users and the shell's history could show.

import ArgumentParser
import Foundation
import Glibc
import Persistence
import Text
import WorkflowLanguage

struct SecretCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "secret", abstract: "Keep values that steps read by name and nobody else sees.",
        discussion: """
            A step names a Secret as Argo has it (env.valueFrom.secretKeyRef, envFrom.secretRef, a volume).
            Values are encrypted in the database by a key that lies outside the data directory and its
            backups: $MARTLET_SECRET_KEY (base64), else $MARTLET_SECRET_KEY_FILE, else
            ~/.config/martlet/secret.key, which is made when it is needed first. Keep a copy of it: without
            the key the values are lost. Steps get them in memory; logs show *** in their place.
            """,
        subcommands: [SecretSet.self, SecretList.self, SecretDelete.self])
}

struct SecretSet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Set keys of a Secret; others of it stay.",
        discussion: """
            Examples:
              martlet secret set hub token=@token.txt
              printf %s "$TOKEN" | martlet secret set hub token=-
              martlet secret set s3 accesskey=env:AWS_ACCESS_KEY_ID secretkey=env:AWS_SECRET_ACCESS_KEY
              martlet secret set tls --replace key=@tls.key cert=@tls.crt
            """)

    @Argument(help: "Name of the Secret.")
    var name: String

    @Argument(
        help: ArgumentHelp(
            "What each key shall hold: a file's bytes, standard input's, or a variable's of the environment.",
            valueName: "KEY=@FILE|KEY=-|KEY=env:VARIABLE"))
    var values: [String]

    @Flag(help: "Forget keys that are not named here.")
    var replace = false

    @OptionGroup var data: DataOptions

    func validate() throws {
        guard !values.isEmpty else { throw ValidationError("nothing to set: give KEY=@FILE") }
    }

    func run() async throws {
        let store = try data.openStore()
        var encoded: [String: JSONValue] = [:]
        for (key, bytes) in try SecretValues.read(values) {
            encoded[key] = .string(Data(bytes).base64EncodedString())
        }
        do {
            try await Self.put(encoded, name: name, namespace: data.namespace, keeps: !replace, in: store)
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
        Output.line("Secret '\(name)' set (\(encoded.keys.sorted().joined(separator: ", ")))")
    }

    /// Another process may write at the same time: what it wrote is read again then.
    private static func put(
        _ encoded: [String: JSONValue], name: String, namespace: String, keeps: Bool, in store: Store
    ) async throws {
        let attempts = 5
        for attempt in 1...attempts {
            let row = try await store.definition(.secret, namespace: namespace, name: name)
            var body = row?.body.objectValue ?? [:]
            body["apiVersion"] = "v1"
            body["kind"] = "Secret"
            body["metadata"] = body["metadata"] ?? ["name": .string(name)]
            let before = keeps ? body["data"]?.objectValue ?? [:] : [:]
            body["data"] = .object(before.merging(encoded) { $1 })
            if keeps, var texts = body["stringData"]?.objectValue {
                // Text would win over what is set now.
                for key in encoded.keys { texts[key] = nil }
                body["stringData"] = .object(texts)
            } else {
                body["stringData"] = nil
            }
            do {
                _ = try await store.putDefinition(
                    .secret, namespace: namespace, name: name, body: .object(body), at: Environment.now(),
                    if: row.map { .version($0.resourceVersion) } ?? .absent)
                return
            } catch StoreError.conflict where attempt < attempts {
                continue
            } catch StoreError.nameTaken where attempt < attempts {
                continue
            }
        }
    }
}

/// `KEY=SOURCE` on the command line.
enum SecretValues {
    /// As large as Kubernetes lets a Secret be.
    static let limitBytes = 1 << 20

    static func read(_ texts: [String]) throws -> [(key: String, bytes: [UInt8])] {
        var usesInput = false
        return try texts.map { text in
            guard let equals = text.firstIndex(of: "=") else {
                throw CommandError(
                    "\"\(text)\" has no =; write KEY=@FILE, KEY=- or KEY=env:VARIABLE", status: 64)
            }
            let (key, source) = (String(text[..<equals]), String(text[text.index(after: equals)...]))
            let isLegal = key.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "-_.".utf8.contains(byte)
            }
            guard !key.isEmpty, isLegal else {
                throw CommandError("\"\(key)\" is no key: letters, digits, - _ and . only", status: 64)
            }
            if source == "-" {
                guard !usesInput else {
                    throw CommandError("only one key can be read from standard input", status: 64)
                }
                usesInput = true
            }
            return (key, try bytes(source, key))
        }
    }

    private static func bytes(_ source: String, _ key: String) throws -> [UInt8] {
        let bytes: [UInt8]
        if source == "-" {
            bytes = try Environment.read("-", limit: limitBytes)
        } else if source.hasPrefix("@") {
            bytes = try Environment.read(String(source.dropFirst()), limit: limitBytes)
        } else if source.hasPrefix("env:") {
            let name = String(source.dropFirst(4))
            guard let value = getenv(name).map({ String(cString: $0) }) else {
                throw CommandError("\(key): the environment has no variable \(name)", status: 2)
            }
            bytes = Array(value.utf8)
        } else {
            // The value itself is not repeated: it is on the screen often enough now.
            throw CommandError(
                "\(key): a value on the command line could be read by others; write \(key)=@FILE, \(key)=- "
                    + "for standard input, or \(key)=env:VARIABLE", status: 64)
        }
        guard bytes.count <= limitBytes else {
            throw CommandError("\(key): a value has at most \(limitBytes) bytes", status: 2)
        }
        return bytes
    }
}

struct SecretList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show names and keys of Secrets, never values.",
        discussion: """
            Examples:
              martlet secret list
              martlet secret list -A -o json
            """)

    @Flag(name: [.customShort("A"), .long], help: "Those of all namespaces.")
    var allNamespaces = false

    @Option(name: .shortAndLong, help: "name or json.")
    var output: ListOutput?

    @OptionGroup var data: DataOptions

    func run() async throws {
        let rows: [DefinitionRow]
        do {
            rows = try await data.openStore().definitions(
                .secret, namespace: allNamespaces ? nil : data.namespace)
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
        switch output {
        case .name: for row in rows { Output.line(row.name) }
        case .json, .yaml:
            let list = rows.map { row -> JSONValue in
                [
                    "namespace": .string(row.namespace), "name": .string(row.name),
                    "keys": .array(Self.keys(row).map(JSONValue.string)),
                    "updatedAt": .string(row.updatedAt.rfc3339),
                ]
            }
            Output.text(
                output == .json ? JSONValue.array(list).prettyText + "\n" : ManifestPrinter.yaml(.array(list))
            )
        case nil, .wide:
            if rows.isEmpty { return Output.line("No secrets found") }
            var table = TextTable(padding: 3)
            table.add((allNamespaces ? ["NAMESPACE"] : []) + ["NAME", "KEYS", "AGE"])
            for row in rows {
                table.add(
                    (allNamespaces ? [row.namespace] : []) + [
                        row.name, Self.keys(row).joined(separator: ","),
                        HumanTime.short(Environment.now() - row.updatedAt),
                    ])
            }
            Output.text(table.lines.map { $0 + "\n" }.joined())
        }
    }

    private static func keys(_ row: DefinitionRow) -> [String] {
        let members = ["data", "stringData"].flatMap {
            row.body[$0]?.objectValue.map { Array($0.keys) } ?? []
        }
        return Set(members).sorted()
    }
}

struct SecretDelete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete Secrets.",
        discussion: """
            Steps that run keep what they were given; later ones fail and say what is missing.
            Examples:
              martlet secret delete hub
            """)

    @Argument(help: "Names.")
    var names: [String]

    @OptionGroup var data: DataOptions

    func run() async throws {
        let store = try data.openStore()
        do {
            for name in names {
                let existed = try await store.deleteDefinition(
                    .secret, namespace: data.namespace, name: name)
                guard existed else {
                    throw CommandError("there is no Secret \"\(name)\"; see `martlet secret list`")
                }
                Output.line("Secret '\(name)' deleted")
            }
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
    }
}
