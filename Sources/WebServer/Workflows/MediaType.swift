// What kind of file a name stands for: the Content-Type that artifacts are sent with.

enum MediaType {
    static let unknown = "application/octet-stream"

    private static let types: [String: String] = [
        "txt": "text/plain; charset=utf-8", "log": "text/plain; charset=utf-8",
        "md": "text/markdown; charset=utf-8",
        "csv": "text/csv; charset=utf-8", "tsv": "text/tab-separated-values; charset=utf-8",
        "json": "application/json", "jsonl": "application/jsonl", "yaml": "application/yaml",
        "yml": "application/yaml", "toml": "application/toml", "xml": "application/xml",
        "html": "text/html; charset=utf-8",
        "htm": "text/html; charset=utf-8", "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "py": "text/plain; charset=utf-8", "sh": "text/plain; charset=utf-8",
        "swift": "text/plain; charset=utf-8",
        "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif",
        "webp": "image/webp",
        "svg": "image/svg+xml", "bmp": "image/bmp", "ico": "image/vnd.microsoft.icon",
        "pdf": "application/pdf",
        "mp4": "video/mp4", "webm": "video/webm", "mp3": "audio/mpeg", "wav": "audio/wav", "ogg": "audio/ogg",
        "zip": "application/zip", "tar": "application/x-tar", "gz": "application/gzip",
        "tgz": "application/gzip",
        "zst": "application/zstd", "parquet": "application/vnd.apache.parquet", "wasm": "application/wasm",
    ]

    /// By the letters behind the last dot of a file's name.
    static func of(_ name: String) -> String {
        guard let dot = name.lastIndex(of: "."), dot > name.startIndex else { return unknown }
        return types[name[name.index(after: dot)...].lowercased()] ?? unknown
    }
}
