// Events from outside: a request with any JSON begins the runs that the namespace's bindings want for it.

import Controller
import Logging
import Persistence
import Text
import WorkflowLanguage

extension WorkflowRoutes {
    /// What a webhook may send.
    private static let payloadBytes = 1 << 20

    var webhookRoutes: [ServiceRoute] {
        let bindings = "/api/martlet/v1/event-bindings/{namespace}"
        return [
            ServiceRoute(
                "POST", "/api/v1/events/{namespace}/{discriminator}", "EventService_ReceiveEvent",
                .namespaced(.editor), bodyLimitBytes: Self.payloadBytes, answer: receive),
            // Senders that name no discriminator.
            ServiceRoute(
                "POST", "/api/v1/events/{namespace}", "EventService_ReceivePlainEvent", .namespaced(.editor),
                bodyLimitBytes: Self.payloadBytes, answer: receive),
            ServiceRoute(
                "GET", "/api/v1/workflow-event-bindings/{namespace}",
                "EventService_ListWorkflowEventBindings",
                .namespaced(.viewer), answer: listBindings),
            ServiceRoute(
                "POST", bindings, "EventBindings_Create", .namespaced(.editor),
                summary: "Create an event binding"
            ) { request in try await putBinding(request, if: .absent) },
            ServiceRoute(
                "PUT", bindings + "/{name}", "EventBindings_Put", .namespaced(.editor),
                summary: "Create or replace an event binding"
            ) { request in try await putBinding(request, if: .always) },
            ServiceRoute(
                "DELETE", bindings + "/{name}", "EventBindings_Delete", .namespaced(.editor),
                summary: "Delete an event binding"
            ) { request in
                let isThere = try await context.store.deleteDefinition(
                    .workflowEventBinding, namespace: request["namespace"], name: request["name"])
                guard isThere else {
                    throw ServiceError.notFound(
                        "workfloweventbindings.argoproj.io \"\(request["name"].shortened)\" not found")
                }
                return .json([:])
            },
        ]
    }

    // MARK: Events

    private func receive(_ request: ServiceRequest) async throws -> HTTPReply {
        let namespace = request["namespace"]
        guard !namespace.isEmpty else { throw ServiceError.invalid("the path names no namespace") }
        let payload = try await request.json()
        // Credentials must not reach expressions, whose values end in arguments.
        let hidden = ["authorization", "proxy-authorization", "cookie", "x-martlet-csrf"]
        let headers = request.call.headers.filter { !hidden.contains($0.key) }
        let event = IncomingEvent(
            namespace: namespace, discriminator: request["discriminator"], payload: payload,
            metadata: headers.mapValues { [$0] })
        let outcomes = try await context.operations.deliver(event, creator: Self.creator(request))
        let failed = outcomes.filter { $0.problem != nil }
        for outcome in failed { report(outcome, namespace) }
        let begun = outcomes.compactMap { outcome in
            outcome.run.map { run -> JSONValue in
                .object([
                    "binding": .string(outcome.binding), "name": .string(run.name), "uid": .string(run.uid),
                ])
            }
        }
        guard let first = failed.first, let problem = first.problem else {
            // Argo answers an empty object; who wants to know more finds it beside.
            return .json(begun.isEmpty ? [:] : .object(["workflows": .array(begun)]))
        }
        let names = failed.map { "\"\($0.binding)\"" }.joined(separator: ", ")
        let done = begun.isEmpty ? "nothing was submitted" : "\(begun.count) other runs were submitted"
        var error = ServiceError(problem) ?? .internalError
        error.message = "event binding \(names.shortened): \(problem.message); \(done)"
        throw error
    }

    /// A binding's failure is told to its sender, to the log, and to who watches the namespace's events.
    private func report(_ outcome: BindingOutcome, _ namespace: String) {
        let message = outcome.problem?.message ?? ""
        context.logger.warning(
            "an event binding failed",
            metadata: ["binding": "\(namespace)/\(outcome.binding)", "error": "\(message)"])
        let now = context.now()
        webhookEvents.add(namespace: namespace) { number in
            KubernetesEvent.json(
                kind: "WorkflowEventBinding", name: outcome.binding, namespace: namespace,
                uid: outcome.binding,
                id: "b\(number)", at: now, reason: "WorkflowEventBindingError", message: message)
        }
    }

    // MARK: Bindings

    private func listBindings(_ request: ServiceRequest) async throws -> HTTPReply {
        let selection = try DefinitionSelection(request)
        let namespace = request["namespace"]
        let rows = try await context.store.definitions(
            .workflowEventBinding, namespace: namespace.isEmpty ? nil : namespace
        ).filter { request.principal.may(.viewer, in: $0.namespace) && selection.covers($0) }
        let version = try await context.store.latestDefinitionRevision()
        return .json(
            .object([
                "apiVersion": "argoproj.io/v1alpha1", "kind": "WorkflowEventBindingList",
                "metadata": ["resourceVersion": .string("\(version)")], "items": .array(rows.map(\.document)),
            ]))
    }

    private func putBinding(_ request: ServiceRequest, if condition: WriteCondition) async throws -> HTTPReply
    {
        let body = try await request.json()
        var object = Self.cleaned(try Self.object("workflowEventBinding", of: body))
        let namespace = try namespace(ofWrite: request, body: body, object: object)
        let own = ObjectMetadata(object["metadata"]).name
        let name = request.parameters["name"] ?? own
        guard own.isEmpty || own == name else {
            throw ServiceError.invalid(
                "the name of the object (\"\(own.shortened)\") does not match the path's (\"\(name.shortened)\")"
            )
        }
        let isLegal =
            name.utf8.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x2D || byte == 0x2E
            } && (1...253).contains(name.utf8.count)
        guard isLegal else {
            throw ServiceError.invalid(
                "metadata.name is \"\(name.shortened)\"; it has 1 to 253 lowercase letters, digits, - and .")
        }
        object = object.with(["metadata", "name"], .string(name))
            .with(["metadata", "namespace"], .string(namespace))
            .with(["kind"], .string(DefinitionKind.workflowEventBinding.rawValue))
            .with(["apiVersion"], "argoproj.io/v1alpha1")
        _ = try EventBinding(object)
        var wanted = condition
        if case .always = condition, let version = body["metadata"]?["resourceVersion"]?.scalarText,
            let number = Int(version)
        {
            wanted = .version(number)
        }
        let row = try await context.store.putDefinition(
            .workflowEventBinding, namespace: namespace, name: name, body: object, at: context.now(),
            if: wanted)
        return .json(row.document)
    }
}
