// Data templates: a list of keys of the store, changed by expressions. Nothing runs, so nothing needs a
// process.

import Artifacts
import Text
import WorkflowLanguage

struct DataStep {
    let data: JSONValue
    let store: LocalArtifactStore
    let namespace: String

    struct Problem: Error, CustomStringConvertible {
        let description: String
    }

    /// The list as JSON.
    func result(now: Timestamp) throws -> String {
        let fields = Fields(data)
        guard let source = fields.object("source")?["artifactPaths"] else {
            throw Problem(description: "a data template needs source.artifactPaths")
        }
        var value = ExpressionValue.array(try paths(Artifact(source)).map { .string($0) })
        for step in fields.list("transformation") {
            let text = Fields(step).text("expression") ?? ""
            var context = ExpressionContext(now: now, seed: 0)
            do {
                value = try Expression(text).evaluate(
                    ExpressionEnvironment(variables: ["data": value]), &context)
            } catch {
                throw Problem(description: "transformation '\(text)': \(error.message)")
            }
        }
        return value.json.compactText
    }

    private func paths(_ artifact: Artifact) throws -> [String] {
        // A bucket and its endpoint say which store; here there is one, and only the key counts.
        var settings = artifact.location?.settings.objectValue ?? [:]
        for name in ["bucket", "endpoint", "insecure", "accessKeySecret", "secretKeySecret", "region"] {
            settings[name] = nil
        }
        let prefix = Fields(.object(settings)).text("key") ?? ""
        return try store.keys(prefix: prefix, namespace: namespace)
    }
}
