// Containers as manifests write them; Kubernetes-only fields stay in `raw`.

package import Text

/// One variable of a container's environment.
package struct EnvironmentVariable: Sendable, Hashable {
    package enum Source: Sendable, Hashable {
        case value(String)
        case configMap(ValueFrom.KeySelector)
        case secret(ValueFrom.KeySelector)
        /// `fieldRef.fieldPath`, such as metadata.name.
        case field(String)
        /// `resourceFieldRef.resource`, such as limits.cpu.
        case resource(String)
    }

    package var name: String
    package var source: Source

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        name = fields.text("name") ?? ""
        let from = fields.object("valueFrom")
        if let reference = from?.object("configMapKeyRef") {
            source = .configMap(.init(reference))
        } else if let reference = from?.object("secretKeyRef") {
            source = .secret(.init(reference))
        } else if let path = from?.object("fieldRef")?.string("fieldPath") {
            source = .field(path)
        } else if let resource = from?.object("resourceFieldRef")?.string("resource") {
            source = .resource(resource)
        } else {
            source = .value(fields.anyText("value") ?? "")
        }
    }
}

/// `envFrom`: all keys of a ConfigMap or Secret.
package struct EnvironmentSource: Sendable, Hashable {
    package var prefix: String
    package var name: String
    package var isSecret: Bool
    package var optional: Bool

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        prefix = fields.string("prefix") ?? ""
        let secret = fields.object("secretRef")
        let reference = secret ?? fields.object("configMapRef")
        isSecret = secret != nil
        name = reference?.text("name") ?? ""
        optional = reference?.bool("optional") ?? false
    }
}

/// `volumeMounts[]`.
package struct VolumeMount: Sendable, Hashable {
    package var name: String
    package var mountPath: String
    package var subPath: String?
    package var readOnly: Bool

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        name = fields.text("name") ?? ""
        mountPath = fields.string("mountPath") ?? ""
        subPath = fields.string("subPath")
        readOnly = fields.bool("readOnly") ?? false
    }
}

/// A container: `container`, the container part of `script`, an init container, a sidecar, or one of a set.
package struct Container: Sendable, Hashable {
    package var name: String
    package var image: String
    package var command: [String]
    package var args: [String]
    package var environment: [EnvironmentVariable]
    package var environmentFrom: [EnvironmentSource]
    package var workingDirectory: String?
    package var volumeMounts: [VolumeMount]
    /// `resources.requests`, limits filling in where there is no request.
    package var requests: [String: String]
    package var limits: [String: String]
    /// Sidecars and init containers: see main's mounts too.
    package var mirrorVolumeMounts: Bool
    /// containerSet only.
    package var dependencies: [String]
    package var raw: JSONValue

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        name = fields.text("name") ?? ""
        image = fields.string("image") ?? ""
        command = fields.strings("command")
        args = fields.strings("args")
        environment = fields.list("env").map(EnvironmentVariable.init)
        environmentFrom = fields.list("envFrom").map(EnvironmentSource.init)
        workingDirectory = fields.string("workingDir")
        volumeMounts = fields.list("volumeMounts").map(VolumeMount.init)
        let resources = fields.object("resources")
        limits = resources?.textMap("limits") ?? [:]
        requests = limits.merging(resources?.textMap("requests") ?? [:], uniquingKeysWith: { $1 })
        mirrorVolumeMounts = fields.bool("mirrorVolumeMounts") ?? false
        dependencies = fields.strings("dependencies")
        raw = json
    }
}
