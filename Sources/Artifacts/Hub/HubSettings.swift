// Where hubs are, who asks, and where their caches lie: the variables that other tools of these hubs read.

/// The settings of both hubs on this machine.
package struct HubSettings: Sendable {
    package static let defaultHuggingFaceEndpoint = "https://huggingface.co"
    package static let defaultModelScopeEndpoint = "https://www.modelscope.cn"

    /// A server that speaks a hub's protocol.
    package struct Endpoint: Sendable, Hashable {
        /// Without a slash at the end.
        package var url: String
        /// nil where no token may go.
        package var token: String?

        package init(url: String, token: String? = nil) {
            self.url = url
            self.token = token
        }
    }

    /// In the order in which they are tried; never empty.
    package var huggingFace: [Endpoint]
    package var modelScope: [Endpoint]
    /// The directory with `models--owner--name`.
    package var huggingFaceCache: String
    /// The directory with `models/owner--name`.
    package var modelScopeCache: String
    package var isOffline: Bool

    /// - Parameters:
    ///   - endpoints: given by the user for the hub that is asked; may hold several in one text, with commas.
    ///   - token: given by the user; replaces those of the environment.
    ///   - environment: the value of a variable.
    package init(
        endpoints: [String] = [], token: String? = nil, environment: (String) -> String?
    ) {
        func value(_ names: [String]) -> String? {
            for name in names {
                if let text = environment(name), !text.isEmpty { return text }
            }
            return nil
        }
        let home = value(["HOME"]) ?? "/root"
        func path(_ names: [String], else other: String) -> String {
            let text = value(names) ?? other
            if text == "~" || text.hasPrefix("~/") { return home + text.dropFirst() }
            return text
        }
        let given = Self.list(endpoints)
        let caches = value(["XDG_CACHE_HOME"]) ?? home + "/.cache"

        let hub = path(["HF_HOME"], else: caches + "/huggingface")
        huggingFaceCache = path(["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"], else: hub + "/hub")
        let isImplicit = !Self.isTrue(value(["HF_HUB_DISABLE_IMPLICIT_TOKEN"]))
        let hubToken =
            Self.cleaned(token)
            ?? (isImplicit
                ? Self.cleaned(value(["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]))
                    ?? Self.token(inFile: path(["HF_TOKEN_PATH"], else: hub + "/token")) : nil)
        // Who lists mirrors does not mean to give them a token; who names the endpoint does.
        let own = given.isEmpty ? Self.list([value(["HF_ENDPOINT"]) ?? ""]) : given
        let mirrors = given.isEmpty ? Self.list([value(["MARTLET_HF_MIRRORS"]) ?? ""]) : []
        let usual = own.isEmpty ? [Self.defaultHuggingFaceEndpoint] : own
        huggingFace =
            usual.map { Endpoint(url: $0, token: hubToken) }
            + mirrors.filter { !usual.contains($0) }.map { Endpoint(url: $0) }

        modelScopeCache = path(["MODELSCOPE_CACHE"], else: caches + "/modelscope/hub")
        let scopeHome = path(["MODELSCOPE_HOME"], else: home + "/.modelscope")
        let scopeToken =
            Self.cleaned(token)
            ?? Self.cleaned(value(["MODELSCOPE_API_TOKEN"])) ?? Self.token(inFile: scopeHome + "/token")
        let scopes =
            given.isEmpty ? Self.list([value(["MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN"]) ?? ""]) : given
        modelScope = (scopes.isEmpty ? [Self.defaultModelScopeEndpoint] : scopes)
            .map { Endpoint(url: $0, token: scopeToken) }
        isOffline = Self.isTrue(value(["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]))
    }

    /// Addresses in texts with commas, each with a scheme and without a slash at the end, none twice.
    static func list(_ texts: [String]) -> [String] {
        var urls: [String] = []
        for text in texts.flatMap({ $0.split(separator: ",") }) {
            var url = text.drop { $0 == " " }
            while let last = url.last, last == "/" || last == " " { url.removeLast() }
            guard !url.isEmpty else { continue }
            let isWhole = url.hasPrefix("http://") || url.hasPrefix("https://")
            let whole = isWhole ? String(url) : "https://" + url
            if !urls.contains(whole) { urls.append(whole) }
        }
        return urls
    }

    static func isTrue(_ text: String?) -> Bool {
        ["1", "on", "yes", "true"].contains(text?.lowercased() ?? "")
    }

    /// The token without spaces around it; nil for none, and for one that could end a header's line.
    private static func cleaned(_ text: String?) -> String? {
        guard var text = text?[...] else { return nil }
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        return text.isEmpty || !isPlain ? nil : String(text)
    }

    private static func token(inFile path: String) -> String? {
        guard let bytes = try? Disk.read(path, limitBytes: 1 << 16) else { return nil }
        return cleaned(String(decoding: bytes, as: UTF8.self))
    }
}
