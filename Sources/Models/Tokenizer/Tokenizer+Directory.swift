// Opens the tokenizer that lies in a model's directory.

import Glibc
import Text

extension Tokenizer {
    /// The largest tokenizer.json that is read, in bytes.
    package static let maximumFileBytes = 256 << 20
    /// The largest of the other files.
    private static let maximumSmallFileBytes = 16 << 20
    /// How many named chat templates may lie in a folder.
    private static let maximumTemplates = 64

    /// Reads tokenizer.json and what there is of tokenizer_config.json, special_tokens_map.json,
    /// chat_template.jinja, chat_template.json, and the folders of named templates. A template in a file of
    /// its own counts more than one in tokenizer_config.json.
    /// - Throws: `TokenizerError` if tokenizer.json is missing or anything is wrong.
    package init(directory: String) throws(TokenizerError) {
        let path = "\(directory)/tokenizer.json"
        guard let bytes = try Self.read(path, limit: Self.maximumFileBytes) else {
            throw TokenizerError(
                file: path, problem: "no such file",
                remedy:
                    "convert the tokenizer to tokenizer.json, or name one with --tokenizer DIR"
            )
        }
        var configuration = TokenizerConfiguration()
        let configurationPath = "\(directory)/tokenizer_config.json"
        if let bytes = try Self.read(configurationPath, limit: Self.maximumSmallFileBytes) {
            configuration = try TokenizerConfiguration(bytes, file: configurationPath)
        }
        let mapPath = "\(directory)/special_tokens_map.json"
        if let bytes = try Self.read(mapPath, limit: Self.maximumSmallFileBytes) {
            try configuration.addRoles(bytes, file: mapPath)
        }
        for (name, template) in try Self.templates(in: directory) {
            configuration.chatTemplates[name] = template
        }
        try self.init(TokenizerFile(bytes, file: path), configuration)
    }

    private static func templates(in directory: String) throws(TokenizerError) -> [String: String] {
        var templates: [String: String] = [:]
        let jsonPath = "\(directory)/chat_template.json"
        if let bytes = try read(jsonPath, limit: maximumSmallFileBytes) {
            let value = try TokenizerConfiguration.parse(bytes, file: jsonPath)
            templates = try TokenizerConfiguration.templates(value["chat_template"] ?? .null, file: jsonPath)
        }
        for folder in ["chat_templates", "additional_chat_templates"] {
            for file in names(in: "\(directory)/\(folder)") where file.hasSuffix(".jinja") {
                let path = "\(directory)/\(folder)/\(file)"
                if let bytes = try read(path, limit: maximumSmallFileBytes) {
                    templates[String(file.dropLast(".jinja".count))] = String(decoding: bytes, as: UTF8.self)
                }
                guard templates.count <= maximumTemplates else {
                    throw TokenizerError(
                        file: "\(directory)/\(folder)", problem: "more than \(maximumTemplates) templates",
                        remedy: "remove those that are not needed")
                }
            }
        }
        if let bytes = try read("\(directory)/chat_template.jinja", limit: maximumSmallFileBytes) {
            templates["default"] = String(decoding: bytes, as: UTF8.self)
        }
        return templates
    }

    private static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            names.append(name)
        }
        return names.sorted()
    }

    /// - Returns: nil if there is no such file.
    private static func read(_ path: String, limit: Int) throws(TokenizerError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw unreadable(path)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw unreadable(path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw TokenizerError(file: path, problem: "not a file", remedy: "put the file there")
        }
        guard status.st_size <= limit else {
            throw TokenizerError(
                file: path, problem: "\(status.st_size) bytes, more than \(limit)",
                remedy: "this can hardly be a tokenizer's file; fetch it again")
        }
        let size = Int(status.st_size)
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size, let start = buffer.baseAddress {
                let got = Glibc.read(descriptor, start + count, size - count)
                if got < 0, errno == EINTR { continue }
                failed = got < 0
                if got <= 0 { return }
                count += got
            }
        }
        if failed { throw unreadable(path) }
        return bytes
    }

    private static func unreadable(_ path: String) -> TokenizerError {
        TokenizerError(
            file: path, problem: "cannot be read (\(String(cString: strerror(errno))))",
            remedy: "check that the file belongs to you")
    }
}
