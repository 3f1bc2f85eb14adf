// `martlet backup` and `martlet restore`: the database as one file, while runs go on.

import ArgumentParser
import Persistence
import Text

struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Copy the database to a file while runs go on.",
        discussion: """
            The file holds all definitions, runs and metrics. Artifacts, logs and models are plain files below
            the data directory: copy them with any program. Secrets are in it encrypted; the key that opens them
            is not, so keep a copy of that elsewhere (`martlet secret --help` says where it is).
            Examples:
              martlet backup martlet-backup.db
            """)

    @Argument(help: "The file to write; an older one of that name is replaced.")
    var file: String

    @OptionGroup var data: DataOptions

    func run() async throws {
        guard Environment.exists(data.path + "/martlet.db") else {
            throw CommandError("there is no database in \(data.path)", status: 2)
        }
        do {
            let store = try data.openStore()
            try await store.backup(to: Environment.absolute(file))
            Output.line("backup written to \(file)")
            if try await store.hasDefinitions(.secret) {
                Output.note(
                    "its Secrets open only with the key in \(SecretKeySource.standard().place), which is not in the file"
                )
            }
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
    }
}

struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Put a backup in the place of the database.",
        discussion: """
            The database that was there stays beside it as martlet.db.replaced-N.
            Examples:
              martlet restore martlet-backup.db
              martlet restore martlet-backup.db --data-dir /srv/martlet
            """)

    @Argument(help: "The file that `martlet backup` wrote.")
    var file: String

    @Flag(help: "Also while processes use the database; what they write afterwards is lost.")
    var force = false

    @OptionGroup var data: DataOptions

    func run() async throws {
        do {
            let kept = try Store.restore(
                from: Environment.absolute(file), dataDirectory: data.path, force: force)
            Output.line(
                "restored \(data.path)/martlet.db" + (kept.map { "; what was there is now \($0)" } ?? ""))
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
    }
}
