// What `martlet download` prints on standard output: for people, for scripts, and for the engine.

import Artifacts
import Text

enum DownloadReport {
    /// The result: the directory, or everything as one line of JSON.
    static func lines(_ result: SnapshotResult, _ request: DownloadRequest) -> [String] {
        guard request.isJSON else { return [path(result, request)] }
        let json: OrderedJSON = .object([
            .init(key: "directory", value: .string(result.directory)),
            .init(key: "revision", value: .string(result.commit)),
            .init(key: "files", value: .int(result.paths.count)),
            .init(key: "bytes", value: .int(result.bytes)),
            .init(key: "bytes_fetched", value: .int(result.bytesFetched)),
            .init(key: "warnings", value: .array(result.warnings.map { .string($0) })),
        ])
        return [json.compactText]
    }

    /// One address is one file, whose path is of more use than its directory's.
    private static func path(_ result: SnapshotResult, _ request: DownloadRequest) -> String {
        guard case .file = request.reference, let name = result.paths.first else { return result.directory }
        return "\(result.directory)/\(name)"
    }

    /// A dry run: files with their sizes, then the sum.
    static func lines(_ plan: SnapshotPlan, _ request: DownloadRequest) -> [String] {
        guard !request.isJSON else { return [json(plan).compactText] }
        let sizes = plan.files.map { $0.sizeBytes.map { ByteCount.text($0) } ?? "?" }
        let width = sizes.map(\.count).max() ?? 0
        var lines = zip(plan.files, sizes).map { file, size in
            String(repeating: " ", count: width - size.count) + size + "  " + shown(file.path)
                + (file.isPresent ? "  (there)" : "")
        }
        let count = plan.files.count
        lines.append(
            "\(count) file\(count == 1 ? "" : "s"), \(ByteCount.text(plan.bytes)), "
                + "\(ByteCount.text(plan.bytesMissing)) to be fetched, to \(plan.directory)")
        return lines
    }

    private static func json(_ plan: SnapshotPlan) -> OrderedJSON {
        let files = plan.files.map { file in
            OrderedJSON.object([
                .init(key: "path", value: .string(file.path)),
                .init(key: "bytes", value: file.sizeBytes.map { .int($0) } ?? .null),
                .init(key: "present", value: .bool(file.isPresent)),
            ])
        }
        return .object([
            .init(key: "directory", value: .string(plan.directory)),
            .init(key: "revision", value: .string(plan.commit)),
            .init(key: "files", value: .array(files)),
            .init(key: "bytes", value: .int(plan.bytes)),
            .init(key: "bytes_missing", value: .int(plan.bytesMissing)),
        ])
    }

    /// A name from a server, without what could move a terminal's cursor.
    static func shown(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.properties.generalCategory == .control ? "\u{FFFD}" : $0 }))
    }
}

/// The parameters that a step gives.
enum StepParameters {
    /// Writes them as the engine reads them, one object, and as a plain Argo reads them, a file each.
    /// - Parameter directory: `$MARTLET_OUTPUT_DIR`.
    static func write(_ parameters: [(name: String, value: JSONValue)], to directory: String) throws {
        do {
            try Disk.makeDirectories("\(directory)/parameters")
            for (name, value) in parameters {
                let text = value.scalarText ?? value.compactText
                try Disk.replace(
                    "\(directory)/parameters/\(name)", with: Array(text.utf8), durable: false)
            }
            let object = JSONValue.object(Dictionary(parameters.map { ($0.name, $0.value) }) { $1 })
            try Disk.replace(
                "\(directory)/parameters.json", with: Array(object.compactText.utf8), durable: false)
        } catch {
            throw CommandError("\(error)", status: 1)
        }
    }
}
