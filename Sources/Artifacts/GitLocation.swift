// Artifacts from git repositories, cloned by the git program.

import Glibc
import WorkflowLanguage

/// `git` of an artifact.
package struct GitLocation: Sendable, Hashable {
    package var repository: String
    package var revision: String?
    package var branch: String?
    package var depth: Int?
    package var singleBranch: Bool
    package var fetch: [String]
    package var user: SecretReference?
    package var password: SecretReference?
    package var privateKey: SecretReference?
    package var ignoresHostKey: Bool
    package var disablesSubmodules: Bool

    init(_ fields: Fields) throws(ArtifactError) {
        repository = fields.string("repo") ?? ""
        revision = fields.text("revision")
        branch = fields.text("branch")
        depth = fields.int("depth")
        singleBranch = fields.bool("singleBranch") ?? false
        fetch = fields.strings("fetch")
        user = SecretReference(fields.object("usernameSecret"))
        password = SecretReference(fields.object("passwordSecret"))
        privateKey = SecretReference(fields.object("sshPrivateKeySecret"))
        ignoresHostKey = fields.bool("insecureIgnoreHostKey") ?? false
        disablesSubmodules = fields.bool("disableSubmodules") ?? false
        for word in [repository, revision ?? "", branch ?? ""] + fetch where word.hasPrefix("-") {
            throw ArtifactError(
                .unsupported, path: repository, problem: "\"\(word)\" would be taken for an option of git")
        }
    }

    /// Clones into a directory that does not exist yet.
    func clone(to path: String, secrets: SecretLookup) throws(ArtifactError) {
        let keyFile = path + ".key"
        defer { unlink(keyFile) }
        let environment = try environment(secrets, keyFile: keyFile)
        func git(_ arguments: [String], action: String) throws(ArtifactError) {
            var command = CommandRun(["git", "-c", "credential.helper=", "-c"] + [Self.helper] + arguments)
            command.environment = environment
            try command.check(path: repository, action: action)
        }
        var arguments = ["clone", "--quiet"]
        if let depth { arguments += ["--depth", String(depth)] }
        if singleBranch { arguments.append("--single-branch") }
        if let branch { arguments += ["--branch", branch] }
        try git(arguments + ["--", repository, path], action: "clone")
        for reference in fetch {
            try git(["-C", path, "fetch", "--quiet", "origin", reference], action: "fetch")
        }
        if let revision { try checkOut(revision, path: path, git: git) }
        if !disablesSubmodules && Disk.exists(path + "/.gitmodules") {
            try git(
                ["-C", path, "submodule", "--quiet", "update", "--init", "--recursive"],
                action: "get submodules")
        }
    }

    private func checkOut(
        _ revision: String, path: String, git: ([String], String) throws(ArtifactError) -> Void
    ) throws(ArtifactError) {
        do {
            try git(["-C", path, "checkout", "--quiet", revision], "check out \(revision)")
        } catch {
            // A shallow clone lacks revisions that the server still gives when asked for.
            let limit = depth.map { ["--depth", String($0)] } ?? []
            try git(["-C", path, "fetch", "--quiet"] + limit + ["origin", revision], "fetch \(revision)")
            try git(["-C", path, "checkout", "--quiet", "FETCH_HEAD"], "check out \(revision)")
        }
    }

    /// Answers from the environment, so that no secret is in an argument that everybody can list.
    private static let helper = """
        credential.helper=!f() { test -n "$MARTLET_GIT_PASSWORD" && \
        printf 'username=%s\\npassword=%s\\n' "$MARTLET_GIT_USER" "$MARTLET_GIT_PASSWORD"; }; f
        """

    private func environment(
        _ secrets: SecretLookup, keyFile: String
    ) throws(ArtifactError) -> [String: String] {
        var values = [
            "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
            "GIT_ADVICE": "0", "LC_ALL": "C",
        ]
        if let user { values["MARTLET_GIT_USER"] = try user.value(secrets) }
        if let password { values["MARTLET_GIT_PASSWORD"] = try password.value(secrets) }
        var ssh = "ssh -o BatchMode=yes"
        if ignoresHostKey { ssh += " -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null" }
        if let privateKey {
            let text = try privateKey.value(secrets)
            try Disk.write(Array(text.utf8) + [10], to: keyFile, mode: 0o600)
            ssh += " -o IdentitiesOnly=yes -i '\(keyFile.split(separator: "'").joined(separator: "'\\''"))'"
        }
        values["GIT_SSH_COMMAND"] = ssh
        return values
    }
}
