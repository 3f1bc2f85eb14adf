// The kinds of documents, and the metadata that all of them have.

extension SchemaTable {
    /// Documents, metadata, cron workflows and event bindings.
    static let kinds = """
        Workflow
          string: apiVersion kind
          ObjectMeta: metadata
          WorkflowSpec: spec
          freeForm: status
        WorkflowTemplate: Workflow
        ClusterWorkflowTemplate: Workflow
        CronWorkflow
          string: apiVersion kind
          CronWorkflowSpec: spec
          ObjectMeta: metadata
          freeForm: status
        WorkflowEventBinding
          string: apiVersion kind
          ObjectMeta: metadata
          WorkflowEventBindingSpec: spec
          freeForm: status
        ConfigMap
          string: apiVersion kind
          bool: immutable
          {string}: data
          ObjectMeta: metadata
          {base64}: binaryData
        Secret
          string: apiVersion kind type
          bool: immutable
          {string}: stringData
          ObjectMeta: metadata
          {base64}: data
        ObjectMeta
          string: creationTimestamp deletionTimestamp generateName name namespace resourceVersion selfLink
          string: uid
          int: deletionGracePeriodSeconds generation
          [string]: finalizers
          {string}: annotations labels
          [ManagedFieldsEntry]: managedFields
          [OwnerReference]: ownerReferences
        ManagedFieldsEntry
          string: apiVersion fieldsType manager operation subresource time
          freeForm: fieldsV1
        OwnerReference
          string: apiVersion kind name uid
          bool: blockOwnerDeletion controller
        Metadata
          {string}: annotations labels
        CronWorkflowSpec
          string: timezone when
          bool: suspend
          int: failedJobsHistoryLimit startingDeadlineSeconds successfulJobsHistoryLimit
          [string]: schedules
          Allow|Forbid|Replace: concurrencyPolicy
          ObjectMeta: workflowMetadata
          StopStrategy: stopStrategy
          WorkflowSpec: workflowSpec
        StopStrategy
          string: expression
        WorkflowEventBindingSpec
          Event: event
          Submit: submit
        Event
          string: selector
        Submit
          Arguments: arguments
          ObjectMeta: metadata
          WorkflowTemplateRef: workflowTemplateRef
        """
}
