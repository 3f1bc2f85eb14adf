// Fields of older Argo versions. They are refused by name, because ignoring one would change what a workflow
// does.

extension SchemaTable {
    /// What to write instead, by object and field.
    static let removed: [String: String] = [
        "CronWorkflowSpec.schedule": "write the list form: schedules: [\"...\"]",
        "Synchronization.mutex": "write the list form: mutexes: [{name: ...}]",
        "Synchronization.semaphore": "write the list form: semaphores: [{configMapKeyRef: ...}]",
        "WorkflowSpec.podPriority": "name a priority class: podPriorityClassName: ...",
        "WorkflowSpec.ttlSecondsAfterFinished": "write ttlStrategy: {secondsAfterCompletion: ...}",
        "Template.priority": "name a priority class: priorityClassName: ...",
        "Template.resubmitPendingPods": "use a retryStrategy, with pendingTimeout if needed",
    ]

    /// All tables, read once.
    static let shared = SchemaTable(
        tables: [containers, volumes, pods, artifacts, workflows, templates, kinds], removed: removed)
}
