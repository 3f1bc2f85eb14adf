// Who asks, and what they may do where.

/// A person or program behind a request.
struct Principal: Sendable, Hashable {
    /// The token's name, for the audit log and `creator` labels; `local` on a loopback address without tokens.
    var name: String
    /// Roles by namespace; `*` stands for all.
    var roles: [String: Role]
    /// Whether it signed in by the page's cookie: then writes need the CSRF header.
    var usesCookie = false
    /// What it showed, to look again later whether that still counts.
    var proof = Proof.none

    enum Proof: Sendable, Hashable {
        /// Nobody is asked for anything.
        case none
        /// A token, by the SHA-256 of it.
        case token(hash: String)
        /// The page's session, by the SHA-256 of its id.
        case session(hash: String)
    }

    /// Everyone on a loopback address without `--auth token`, or anywhere under `--auth none`.
    static let local = Principal(name: "local", roles: ["*": .admin])

    /// The role in a namespace; nil for none.
    func role(in namespace: String) -> Role? {
        [roles[namespace], roles["*"]].compactMap { $0 }.max()
    }

    func may(_ role: Role, in namespace: String) -> Bool {
        self.role(in: namespace).map { $0 >= role } ?? false
    }

    /// Whether it has the role anywhere.
    func mayAnywhere(_ role: Role) -> Bool { roles.values.contains { $0 >= role } }

    /// Whether it has the role on everything.
    func mayEverywhere(_ role: Role) -> Bool { roles["*"].map { $0 >= role } ?? false }

    /// The namespaces in which it has the role; nil for all.
    func namespaces(_ role: Role) -> Set<String>? {
        mayEverywhere(role) ? nil : Set(roles.filter { $0.key != "*" && $0.value >= role }.keys)
    }
}
