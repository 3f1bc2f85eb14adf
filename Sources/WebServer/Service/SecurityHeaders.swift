// Headers that keep browsers from doing with an answer what it is not meant for.

enum SecurityHeaders {
    /// For the page's own files: nothing from elsewhere, nothing inline, in nobody's frame.
    static let pagePolicy =
        "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        + "frame-ancestors 'none'"

    private static let defaults: [(name: String, value: String)] = [
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        // An answer of the API is no document; what is shown as one sets its own policy.
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
        ("Cache-Control", "no-store"),
    ]

    /// Those that an answer does not set itself.
    static func missing(in headers: [(name: String, value: String)]) -> [(name: String, value: String)] {
        let present = Set(headers.map { $0.name.lowercased() })
        return defaults.filter { !present.contains($0.name.lowercased()) }
    }
}
