// What the API does with kinds of its own beside keeping them: fields that it fills in, and fields that never change
// again.

import Kubernetes
import Text

enum KindRules {
    /// By resource: paths whose value is kept from the creation on.
    private static let fixed: [String: [[String]]] = [
        "jobs": [
            ["spec", "selector"], ["spec", "completionMode"], ["spec", "podFailurePolicy"],
            ["spec", "backoffLimitPerIndex"], ["spec", "managedBy"], ["spec", "template"],
        ],
        "deployments": [["spec", "selector"]], "replicasets": [["spec", "selector"]],
        "statefulsets": [["spec", "selector"], ["spec", "serviceName"], ["spec", "volumeClaimTemplates"]],
        "secrets": [["type"]],
        "persistentvolumeclaims": [
            ["spec", "accessModes"], ["spec", "storageClassName"], ["spec", "selector"],
            ["spec", "volumeMode"],
        ],
    ]

    // MARK: Filled in

    /// The object as it is kept, with what the API fills in of a new one.
    static func made(_ object: JSONValue, at place: ObjectPlace, serial: Int) throws(Refusal) -> JSONValue {
        var object = written(object, at: place)
        switch place.resource {
        case "secrets" where object["type"] == nil: object = object.setting(["type"], to: "Opaque")
        case "services":
            let isOutside = object["spec"]?["type"]?.stringValue == "ExternalName"
            if !isOutside, object["spec"]?["clusterIP"]?.stringValue ?? "" == "", object["spec"] != nil {
                let address = "10.96.\(serial / 250 % 250).\(serial % 250 + 1)"
                object = object.setting(["spec", "clusterIP"], to: .string(address))
            }
        case "jobs" where object["spec"]?["template"] != nil && object["spec"]?["manualSelector"] != true:
            object = job(object, name: place.name)
        case "deployments": try checkLabels(object, place)
        default: break
        }
        return object
    }

    /// The pods of a Job are known by its uid, which the API writes into both.
    private static func job(_ object: JSONValue, name: String) -> JSONValue {
        let key = "batch.kubernetes.io/controller-uid"
        var labels = object.at(["spec", "template", "metadata", "labels"])?.objectValue ?? [:]
        labels[key] = .string(object.uid)
        labels["batch.kubernetes.io/job-name"] = .string(name)
        return object.setting(["spec", "template", "metadata", "labels"], to: .object(labels))
            .setting(["spec", "selector"], to: ["matchLabels": [key: .string(object.uid)]])
    }

    private static func checkLabels(_ object: JSONValue, _ place: ObjectPlace) throws(Refusal) {
        let wanted = object.at(["spec", "selector", "matchLabels"])?.objectValue ?? [:]
        let labels = object.at(["spec", "template", "metadata", "labels"])?.objectValue ?? [:]
        guard wanted.allSatisfy({ labels[$0.key] == $0.value }) else {
            throw .invalid(
                place,
                "spec.template.metadata.labels: Invalid value: `selector` does not match template `labels`")
        }
    }

    /// Text of a Secret is only for writing: it is kept in Base64 beside the rest.
    private static func written(_ object: JSONValue, at place: ObjectPlace) -> JSONValue {
        guard place.kind == ObjectKind(group: "", resource: "secrets"),
            let texts = object["stringData"]?.objectValue
        else { return object }
        var data = object["data"]?.objectValue ?? [:]
        for (key, value) in texts {
            data[key] = .string(Base64Text.text(Array((value.stringValue ?? "").utf8)))
        }
        return object.setting(["stringData"], to: nil).setting(["data"], to: .object(data))
    }

    // MARK: Kept

    /// The object as it is kept in place of another.
    static func changed(_ wanted: JSONValue, from before: JSONValue, at place: ObjectPlace) throws(Refusal)
        -> JSONValue
    {
        var next = written(wanted, at: place)
        if place.resource == "services" { next = try service(next, before, place) }
        // What the API filled in need not be said again.
        for path in [["spec", "selector"], ["type"]] where Self.fixed[place.resource]?.contains(path) == true
        {
            if next.at(path) == nil, place.resource == "jobs" || place.resource == "secrets" {
                next = next.setting(path, to: before.at(path))
            }
        }
        for path in Self.fixed[place.resource] ?? [] where next.at(path) != before.at(path) {
            if path == ["spec", "template"], isScheduling(next.at(path), before) { continue }
            throw .invalid(place, "\(path.joined(separator: ".")): Invalid value: field is immutable")
        }
        if ["secrets", "configmaps"].contains(place.resource), before["immutable"] == true {
            for key in ["data", "binaryData", "immutable"] where next[key] != before[key] {
                throw .invalid(place, "\(key): Forbidden: field is immutable when `immutable` is set")
            }
        }
        if place.resource == "deployments" { try checkLabels(next, place) }
        return next
    }

    private static func service(
        _ next: JSONValue, _ before: JSONValue, _ place: ObjectPlace
    ) throws(Refusal) -> JSONValue {
        let path = ["spec", "clusterIP"]
        let (given, kept) = (next.at(path)?.stringValue ?? "", before.at(path)?.stringValue ?? "")
        if given.isEmpty { return next.setting(path, to: before.at(path)) }
        guard kept.isEmpty || given == kept else {
            throw .invalid(place, "spec.clusterIP: Invalid value: \"\(given)\": may not change once set")
        }
        return next
    }

    /// While a Job is suspended, where its pods go and what marks them may change.
    private static func isScheduling(_ template: JSONValue?, _ job: JSONValue) -> Bool {
        guard job.at(["spec", "suspend"]) == true, job.at(["status", "startTime"]) == nil else {
            return false
        }
        func rest(_ template: JSONValue?) -> JSONValue? {
            var template = template
            for key in ["nodeSelector", "tolerations", "affinity", "schedulingGates"] {
                template = template?.setting(["spec", key], to: nil)
            }
            return template?.setting(["metadata"], to: nil)
        }
        return rest(template) == rest(job.at(["spec", "template"]))
    }
}
