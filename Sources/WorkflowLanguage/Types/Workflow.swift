// The documents: Workflow, WorkflowTemplate, ClusterWorkflowTemplate, CronWorkflow, ConfigMap, Secret.

package import Text

/// `workflowTemplateRef`.
package struct WorkflowTemplateReference: Sendable, Hashable {
    package var name: String
    package var clusterScope: Bool
}

/// The specification of a workflow; also what a WorkflowTemplate holds.
package struct WorkflowSpec: Sendable, Hashable {
    package var entrypoint: String
    package var templates: [Template]
    package var arguments: Arguments
    package var workflowTemplateRef: WorkflowTemplateReference?
    package var templateDefaults: JSONValue?
    package var retryStrategy: JSONValue?
    /// All workflow hooks; `exit` also holds what the old field `onExit` named.
    package var hooks: [String: LifecycleHook]
    package var parallelism: Int?
    package var activeDeadlineSeconds: Int?
    package var suspend: Bool
    /// Stop or Terminate.
    package var shutdown: String?
    package var priority: Int?
    package var synchronization: Synchronization?
    package var metrics: [JSONValue]
    package var serviceAccountName: String?
    package var archiveLogs: Bool?
    package var podGCStrategy: String?
    package var artifactGCStrategy: String?
    package var volumes: [JSONValue]
    package var volumeClaimTemplates: [JSONValue]
    package var workflowMetadata: JSONValue?
    package var ttlStrategy: JSONValue?
    package var raw: JSONValue

    package init(_ json: JSONValue?) {
        let fields = Fields(json)
        entrypoint = fields.text("entrypoint") ?? ""
        templates = fields.list("templates").map(Template.init)
        arguments = Arguments(fields["arguments"])
        workflowTemplateRef = fields.object("workflowTemplateRef").map {
            WorkflowTemplateReference(
                name: $0.text("name") ?? "", clusterScope: $0.bool("clusterScope") ?? false)
        }
        templateDefaults = fields["templateDefaults"]
        retryStrategy = fields["retryStrategy"]
        hooks = (fields["hooks"]?.objectValue ?? [:]).mapValues(LifecycleHook.init)
        if let onExit = fields.string("onExit"), !onExit.isEmpty, hooks["exit"] == nil {
            hooks["exit"] = LifecycleHook(reference: .name(onExit))
        }
        parallelism = fields.int("parallelism")
        activeDeadlineSeconds = fields.int("activeDeadlineSeconds")
        suspend = fields.bool("suspend") ?? false
        shutdown = fields.string("shutdown")
        priority = fields.int("priority")
        synchronization = fields["synchronization"].map(Synchronization.init)
        metrics = fields.object("metrics")?.list("prometheus") ?? []
        serviceAccountName = fields.string("serviceAccountName")
        archiveLogs = fields.bool("archiveLogs")
        podGCStrategy = fields.object("podGC")?.string("strategy")
        artifactGCStrategy = fields.object("artifactGC")?.string("strategy")
        volumes = fields.list("volumes")
        volumeClaimTemplates = fields.list("volumeClaimTemplates")
        workflowMetadata = fields["workflowMetadata"]
        ttlStrategy = fields["ttlStrategy"]
        raw = json ?? .object([:])
    }
}

/// A document of kind Workflow, WorkflowTemplate or ClusterWorkflowTemplate: metadata and a specification.
package struct Workflow: Sendable, Hashable {
    package var kind: String
    package var metadata: ObjectMetadata
    package var spec: WorkflowSpec
    package var raw: JSONValue

    package init(_ json: JSONValue) {
        kind = json["kind"]?.stringValue ?? "Workflow"
        metadata = ObjectMetadata(json["metadata"])
        spec = WorkflowSpec(json["spec"])
        raw = json
    }
}

/// A document of kind CronWorkflow.
package struct CronWorkflow: Sendable, Hashable {
    package var metadata: ObjectMetadata
    package var schedules: [String]
    package var timezone: String?
    package var concurrencyPolicy: String?
    package var startingDeadlineSeconds: Int?
    package var suspend: Bool
    package var successfulJobsHistoryLimit: Int?
    package var failedJobsHistoryLimit: Int?
    package var when: String?
    package var stopExpression: String?
    package var workflowMetadata: JSONValue?
    package var workflowSpec: WorkflowSpec
    package var raw: JSONValue

    package init(_ json: JSONValue) {
        let fields = Fields(json["spec"])
        metadata = ObjectMetadata(json["metadata"])
        schedules = fields.strings("schedules")
        timezone = fields.string("timezone")
        concurrencyPolicy = fields.string("concurrencyPolicy")
        startingDeadlineSeconds = fields.int("startingDeadlineSeconds")
        suspend = fields.bool("suspend") ?? false
        successfulJobsHistoryLimit = fields.int("successfulJobsHistoryLimit")
        failedJobsHistoryLimit = fields.int("failedJobsHistoryLimit")
        when = fields.text("when")
        stopExpression = fields.object("stopStrategy")?.string("expression")
        workflowMetadata = fields["workflowMetadata"]
        workflowSpec = WorkflowSpec(fields["workflowSpec"])
        raw = json
    }
}

/// A ConfigMap or Secret document: named values. Secret values are decoded from base64 by whoever reads `data`.
package struct KeyedValues: Sendable, Hashable {
    package var metadata: ObjectMetadata
    package var isSecret: Bool
    /// `data` of a ConfigMap, `stringData` of a Secret, as text.
    package var values: [String: String]
    /// `data` of a Secret and `binaryData` of a ConfigMap, still in base64.
    package var encodedValues: [String: String]
    package var raw: JSONValue

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        metadata = ObjectMetadata(json["metadata"])
        isSecret = fields.string("kind") == "Secret"
        values = fields.textMap(isSecret ? "stringData" : "data")
        encodedValues = fields.textMap(isSecret ? "data" : "binaryData")
        raw = json
    }
}
