// Parameters: named text that goes into and out of templates.

package import Text

/// Where a parameter's value comes from when it is not written down.
package struct ValueFrom: Sendable, Hashable {
    /// `configMapKeyRef` or a semaphore's reference.
    package struct KeySelector: Sendable, Hashable {
        package var name: String
        package var key: String
        package var optional: Bool

        package init(_ fields: Fields) {
            name = fields.text("name") ?? ""
            key = fields.text("key") ?? ""
            optional = fields.bool("optional") ?? false
        }
    }

    package var path: String?
    package var parameter: String?
    package var expression: String?
    package var event: String?
    package var `default`: String?
    package var supplied: Bool
    package var configMapKeyRef: KeySelector?
    package var raw: JSONValue

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        path = fields.string("path")
        parameter = fields.string("parameter")
        expression = fields.string("expression")
        event = fields.string("event")
        self.default = fields.anyText("default")
        supplied = fields.members["supplied"] != nil
        configMapKeyRef = fields.object("configMapKeyRef").map(KeySelector.init)
        raw = json
    }
}

/// A parameter of a workflow, a template, a step or a node.
package struct Parameter: Sendable, Hashable {
    package var name: String
    /// The value as text. In an input's declaration it is only a default: an argument wins.
    package var value: String?
    package var `default`: String?
    package var valueFrom: ValueFrom?
    package var globalName: String?
    package var `enum`: [String]?
    package var description: String?

    package init(name: String, value: String? = nil) {
        self.name = name
        self.value = value
    }

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        name = fields.text("name") ?? ""
        value = fields.anyText("value")
        self.default = fields.anyText("default")
        valueFrom = fields["valueFrom"].map(ValueFrom.init)
        globalName = fields.string("globalName")
        self.enum = fields["enum"].map { _ in fields.strings("enum") }
        description = fields.string("description")
    }

    /// The value, else the default.
    package var valueOrDefault: String? { value ?? self.default }

    package var json: JSONValue {
        var object = ObjectBuilder()
        object.set("name", JSONValue.string(name))
        object.set("value", value.map(JSONValue.string))
        object.set("default", self.default.map(JSONValue.string))
        object.set("valueFrom", valueFrom?.raw)
        object.set("globalName", globalName)
        object.set("enum", (self.enum ?? []).map(JSONValue.string))
        object.set("description", description)
        return object.json
    }
}
