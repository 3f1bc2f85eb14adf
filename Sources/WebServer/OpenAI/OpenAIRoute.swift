// The table of paths.

/// What a path asks for.
enum OpenAIRoute: Equatable {
    case health, ping, version, metrics
    case models
    case model(String)
    case chat, completions, embeddings, tokenize, detokenize, loadAdapter, unloadAdapter

    /// Whether no key is asked for: probes and scrapers have none.
    var isOpen: Bool {
        switch self {
        case .health, .ping, .version, .metrics: return true
        default: return false
        }
    }

    private static let getPaths: [String: OpenAIRoute] = [
        "/health": .health, "/ping": .ping, "/version": .version, "/metrics": .metrics, "/v1/models": .models,
    ]

    private static let postPaths: [String: OpenAIRoute] = [
        "/v1/chat/completions": .chat, "/v1/completions": .completions, "/v1/embeddings": .embeddings,
        "/tokenize": .tokenize, "/detokenize": .detokenize, "/v1/load_lora_adapter": .loadAdapter,
        "/v1/unload_lora_adapter": .unloadAdapter, "/ping": .ping,
    ]

    /// Throws 404 and 405.
    static func find(method: String, path: String) throws(APIError) -> OpenAIRoute {
        let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        let reads = method == "GET" || method == "HEAD"
        if reads, let route = getPaths[path] { return route }
        if method == "POST", let route = postPaths[path] { return route }
        let prefix = "/v1/models/"
        if path.hasPrefix(prefix), path.count > prefix.count {
            guard reads else { throw .methodNotAllowed(method, path: path, allowed: "GET") }
            return .model(decoded(path.dropFirst(prefix.count)))
        }
        if getPaths[path] != nil { throw .methodNotAllowed(method, path: path, allowed: "GET") }
        if postPaths[path] != nil { throw .methodNotAllowed(method, path: path, allowed: "POST") }
        throw .notFound("there is nothing at \(path.shortened); the routes are like OpenAI's, under /v1")
    }

    /// Undoes percent-encoding; what is no valid escape stays.
    private static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
