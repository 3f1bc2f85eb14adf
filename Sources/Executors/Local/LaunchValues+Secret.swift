// One value of a Secret, as transfers of artifacts look it up.

import Text
import WorkflowLanguage

extension LaunchValues {
    /// - Returns: the value as text; nil without the Secret or the key, and for what is no base64.
    package func secret(_ name: String, key: String) -> String? {
        let fields = Fields(.object(["name": .string(name), "key": .string(key)]))
        return (try? text(ValueFrom.KeySelector(fields), isSecret: true)) ?? nil
    }
}
