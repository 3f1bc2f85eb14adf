// Models served in a cluster: the objects of a deploy step, what a roll-out's status means, and roll-outs
// against an API server that enforces the shipped role.

import Executors
import FakeCluster
import Scheduling
import Synchronization
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("Deployments as objects", .timeLimit(.minutes(5)))
struct DeployTests {
    private static let settings: PodSettings = {
        var settings = PodRendererTests.settings
        settings.modelCacheClaim = "models"
        return settings
    }()

    static func launch(
        _ deploy: JSONValue, annotations: JSONValue = [:], labels: JSONValue = [:], attempt: Int = 0,
        bringsModel: Bool = false, cpu: String? = "1"
    ) -> Launch {
        var template: [String: JSONValue] = [
            "name": "serve", "metadata": ["annotations": annotations, "labels": labels], "deploy": deploy,
        ]
        template["podResources"] = cpu.map { ["requests": ["cpu": .string($0)]] }
        if bringsModel { template["inputs"] = ["artifacts": [["name": "model", "raw": ["data": "x"]]]] }
        return GroupRendererTests.launch(.object(template), attempt: attempt)
    }

    private func objects(_ launch: Launch, _ settings: PodSettings = DeployTests.settings) throws
        -> [JSONValue]
    {
        try DeployRenderer(settings).objects(for: launch, token: "t")
    }

    private func kinds(_ objects: [JSONValue]) -> [String] { objects.compactMap { $0["kind"]?.stringValue } }

    @Test("A model is a Deployment that replaces pods only by ready ones, and a Service before them")
    func shape() throws {
        let all = try objects(Self.launch(["name": "chat", "model": "Qwen/Qwen3-0.6B"]))
        #expect(kinds(all) == ["Deployment", "Service"])
        let deployment = all[0]
        #expect(deployment["metadata"]?["ownerReferences"] == nil, "it outlives its run")
        #expect(deployment["spec"]?["strategy"]?["rollingUpdate"] == ["maxUnavailable": 0, "maxSurge": 1])
        let selector = deployment["spec"]?["selector"]?["matchLabels"]
        #expect(selector == all[1]["spec"]?["selector"])
        let pod = try #require(deployment["spec"]?["template"])
        for (key, value) in selector?.objectValue ?? [:] {
            #expect(pod["metadata"]?["labels"]?[key] == value)
        }
        let main = pod["spec"]?["containers"]?.arrayValue?.first
        #expect(pod["spec"]?["restartPolicy"] == "Always" && pod["spec"]?["initContainers"] == nil)
        #expect(main?["args"]?.arrayValue?.prefix(2) == ["serve", "Qwen/Qwen3-0.6B"])
        #expect(main?["args"]?.arrayValue?.contains("--no-auth") == true)
        #expect(main?["readinessProbe"]?["httpGet"]?["path"] == "/health")
        #expect(PodSecurity.violations(of: pod["spec"] ?? .null, level: .restricted).isEmpty)
        let again = try objects(Self.launch(["name": "chat", "model": "Qwen/Qwen3-0.6B"]))
        #expect(again.map(\.compactText) == all.map(\.compactText))
    }

    @Test(
        "What is asked for beside it is there: an Ingress with a key, an autoscaler, a budget for several pods"
    )
    func beside() throws {
        let all = try objects(
            Self.launch(
                ["name": "chat", "model": "m", "replicas": 2],
                annotations: [
                    "martlet.dev/ingress-host": "chat.example.com", "martlet.dev/api-key-secret": "keys",
                    "martlet.dev/max-replicas": "5", "martlet.dev/target-cpu": "60",
                ]))
        #expect(
            kinds(all) == [
                "Deployment", "Service", "Ingress", "HorizontalPodAutoscaler", "PodDisruptionBudget",
            ])
        #expect(all[2]["spec"]?["rules"]?.arrayValue?.first?["host"] == "chat.example.com")
        #expect(all[3]["spec"]?["minReplicas"] == 2 && all[3]["spec"]?["maxReplicas"] == 5)
        #expect(all[4]["spec"]?["maxUnavailable"] == 1)
        let main = all[0]["spec"]?["template"]?["spec"]?["containers"]?.arrayValue?.first
        let key = main?["env"]?.arrayValue?.first { $0["name"] == "MARTLET_API_KEY" }
        #expect(key?["valueFrom"]?["secretKeyRef"]?["name"] == "keys")
        #expect(main?["args"]?.arrayValue?.contains("--no-auth") == false)
    }

    @Test("A model of the run is laid into the claim for models, each launch's at a place of its own")
    func model() throws {
        func place(_ attempt: Int) throws -> String {
            let launch = Self.launch(["name": "chat"], attempt: attempt, bringsModel: true)
            let spec = try objects(launch)[0]["spec"]?["template"]?["spec"]
            let fetch = spec?["initContainers"]?.arrayValue?.first
            #expect(fetch?["volumeMounts"]?.arrayValue?.first?["name"] == "martlet-models")
            let volumes = spec?["volumes"]?.arrayValue ?? []
            #expect(volumes.contains { $0["persistentVolumeClaim"]?["claimName"] == "models" })
            let path = spec?["containers"]?.arrayValue?.first?["args"]?.arrayValue?[1].stringValue ?? ""
            #expect(fetch?["command"]?.arrayValue?.last?.stringValue == "model=\(path)")
            return path
        }
        #expect(try place(0).hasPrefix("/.martlet-models/deployments/chat/"))
        #expect(try place(0) != place(1))
    }

    @Test("Another program serves with its own image and words")
    func foreign() throws {
        let launch = Self.launch([
            "name": "chat", "backend": "vllm", "model": "m", "vllm_max_model_len": 4096,
        ])
        let main = try objects(launch)[0]["spec"]?["template"]?["spec"]?["containers"]?.arrayValue?.first
        #expect(main?["image"] == "vllm/vllm-openai")
        #expect(main?["args"]?.arrayValue?.contains("--max-model-len") == true)
    }

    @Test(
        "What cannot be served in a cluster is refused with what to do",
        arguments: [
            (["name": "chat"], [:], "deploy has no model"),
            (["name": "9lives", "model": "m"], [:], "no name of a deployment in a cluster"),
            (
                ["name": "chat", "model": "m"], ["martlet.dev/ingress-host": "h"],
                "martlet.dev/api-key-secret"
            ),
            (
                ["name": "chat", "model": "m", "replicas": 3], ["martlet.dev/max-replicas": "2"],
                "less than replicas"
            ),
            (["name": "chat", "model": "m"], ["martlet.dev/max-replicas": "many"], "is no number from 1"),
        ] as [(JSONValue, JSONValue, String)])
    func refused(_ deploy: JSONValue, _ annotations: JSONValue, _ words: String) {
        do {
            _ = try objects(Self.launch(deploy, annotations: annotations))
            Issue.record("it was rendered")
        } catch {
            #expect("\(error)".contains(words), "\(error)")
        }
    }

    @Test("An autoscaler without requested processors would never scale, and is refused")
    func unmeasured() {
        let annotations: JSONValue = ["martlet.dev/max-replicas": "4"]
        #expect {
            try objects(Self.launch(["name": "chat", "model": "m"], annotations: annotations, cpu: nil))
        } throws: {
            "\($0)".contains("container main requests none") && "\($0)".contains("podResources")
        }
    }

    @Test("What the template says of its pods is theirs; whom the Service finds is not for it to say")
    func metadata() throws {
        let launch = Self.launch(
            ["name": "chat", "model": "m"],
            annotations: ["prometheus.io/scrape": "true", "martlet.dev/target-cpu": "60"],
            labels: ["team": "nlp", "martlet.dev/deployment": "other"])
        let metadata = try objects(launch)[0]["spec"]?["template"]?["metadata"]
        #expect(metadata?["annotations"] == ["prometheus.io/scrape": "true"])
        #expect(metadata?["labels"]?["team"] == "nlp")
        #expect(metadata?["labels"]?["martlet.dev/deployment"] == "chat")
        #expect(metadata?["labels"]?[PodMarks.runID] == nil, "they are no run's")
    }

    @Test("A model of the run needs a volume that outlives the step")
    func claimless() {
        let launch = Self.launch(["name": "chat"], bringsModel: true)
        do {
            _ = try objects(launch, PodRendererTests.settings)
            Issue.record("it was rendered")
        } catch {
            #expect("\(error)".contains("--model-cache-claim"))
        }
    }

    @Test(
        "Each status of a roll-out has its meaning",
        arguments: [
            ([:], .progressing("the cluster has not seen the new revision yet")),
            (
                ["observedGeneration": 3, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2],
                .progressing("1 of 2 replicas are new, 2 available")
            ),
            (
                ["observedGeneration": 3, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3],
                .progressing("2 of 2 replicas are new, 3 available")
            ),
            (
                ["observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2],
                .complete
            ),
            (
                ["observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2],
                .progressing("the cluster has not seen the new revision yet")
            ),
            (
                [
                    "observedGeneration": 3,
                    "conditions": [
                        [
                            "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
                            "message": "timed out",
                        ]
                    ],
                ], .failed("it was not ready in time: timed out")
            ),
            (
                [
                    "observedGeneration": 3,
                    "conditions": [
                        ["type": "ReplicaFailure", "status": "True", "message": "exceeded quota"]
                    ],
                ], .progressing("0 of 2 replicas are new, 0 available; exceeded quota")
            ),
        ] as [(JSONValue, RolloutVerdict)])
    func verdict(_ status: JSONValue, _ expected: RolloutVerdict) {
        let deployment: JSONValue = [
            "metadata": ["generation": 3], "spec": ["replicas": 2], "status": status,
        ]
        #expect(RolloutVerdict(deployment) == expected)
    }

    @Test("A Deployment of no replicas serves nobody, however content the cluster is")
    func none() {
        let deployment: JSONValue = [
            "metadata": ["generation": 1], "spec": ["replicas": 0], "status": ["observedGeneration": 1],
        ]
        #expect(RolloutVerdict(deployment) == .progressing("it is scaled to no replicas"))
    }

    // MARK: Roll-outs

    /// A cluster in which pods come up unless their command names a model that is bad.
    /// - Parameter pace: how much time passes at each look of the cluster at a model that does not come up,
    ///   and the cluster itself keeps no deadline; nil: none passes, and it does.
    private func withWorld(
        pace: Duration? = nil, _ body: @Sendable (ExecutorWorld, DeployExecutor) async throws -> Void
    ) async throws {
        let world = try ExecutorWorld(role: GroupExecutorTests.role())
        let deploys = DeployExecutor(base: world.executor, pods: world.executor, pause: .milliseconds(5))
        let controller = FakeDeploymentController(
            objects: world.server.objects, keepsDeadline: pace == nil
        ) { [clock = world.clock] template in
            let isGood = !template.compactText.contains("\"bad")
            if let pace, !isGood { clock.advance(pace) }
            return isGood
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await controller.run() }
            try await body(world, deploys)
            tasks.cancelAll()
        }
        await deploys.shutDown()
        await world.close()
    }

    private func deployment(_ world: ExecutorWorld) throws -> JSONValue {
        try world.server.objects.get(
            ObjectPlace(group: "apps", resource: "deployments", namespace: "ml", name: "chat"))
    }

    private func replicas(_ world: ExecutorWorld) throws -> JSONValue? {
        try deployment(world)["spec"]?["replicas"]
    }

    private func model(_ world: ExecutorWorld) throws -> String? {
        try deployment(world)["spec"]?["template"]?["spec"]?["containers"]?.arrayValue?.first?["args"]?
            .arrayValue?[1]
            .stringValue
    }

    private func run(
        _ deploys: DeployExecutor, _ reports: inout AsyncStream<ExecutorReport>.Iterator, _ launch: Launch,
        values: LaunchValues = LaunchValues()
    ) async -> AttemptOutcome? {
        await deploys.launch(launch, values: values)
        return await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
    }

    @Test(
        "A roll-out ends with its address; one that does not come up is taken back, and what served goes on")
    func rollsBack() async throws {
        try await withWorld { world, deploys in
            var reports = deploys.reports.makeAsyncIterator()
            let first = await run(deploys, &reports, Self.launch(["name": "chat", "model": "good"]))
            #expect(first?.phase == .succeeded, "\(first?.message ?? "")")
            #expect(first?.outputs.parameter("url")?.value == "http://chat.ml.svc:8000/v1")
            #expect(first?.outputs.parameter("revision")?.value == "1")
            let bad = Self.launch(["name": "chat", "model": "bad", "replicas": 2], attempt: 1)
            let second = await run(deploys, &reports, bad)
            #expect(second?.phase == .failed)
            #expect(second?.message.contains("revision 2 of deployment chat was rolled back") == true)
            #expect(second?.message.contains("what was served before goes on") == true)
            let served = try model(world)
            #expect(served == "good")
            // Asked again, as after a crash, it is the same failure and no other roll-out.
            #expect(await run(deploys, &reports, bad)?.message == second?.message)
            let third = await run(
                deploys, &reports, Self.launch(["name": "chat", "model": "better"], attempt: 2))
            #expect(third?.outputs.parameter("revision")?.value == "3")
            let replaced = try model(world)
            #expect(replaced == "better")
        }
    }

    @Test("A first revision that does not come up is taken down to no pods")
    func firstFails() async throws {
        try await withWorld { world, deploys in
            var reports = deploys.reports.makeAsyncIterator()
            let outcome = await run(deploys, &reports, Self.launch(["name": "chat", "model": "bad"]))
            #expect(
                outcome?.phase == .failed && outcome?.message.contains("nothing was served before") == true)
            let replicas = try deployment(world)["spec"]?["replicas"]
            #expect(replicas == 0)
        }
    }

    @Test("A first revision that failed is nothing to go back to, however often the next fail, too")
    func fails() async throws {
        try await withWorld { world, deploys in
            var reports = deploys.reports.makeAsyncIterator()
            for (attempt, model) in ["bad", "bad2", "bad"].enumerated() {
                let launch = Self.launch(["name": "chat", "model": .string(model)], attempt: attempt)
                let message = await run(deploys, &reports, launch)?.message
                #expect(message?.contains("nothing was served before") == true, "\(message ?? "")")
                let down = try replicas(world)
                #expect(down == 0, "nothing crashes again and again")
            }
            let good = Self.launch(["name": "chat", "model": "good"], attempt: 3)
            #expect(await run(deploys, &reports, good)?.phase == .succeeded)
            for (attempt, model) in [(4, "bad"), (5, "bad2")] {
                let launch = Self.launch(["name": "chat", "model": .string(model)], attempt: attempt)
                let message = await run(deploys, &reports, launch)?.message
                #expect(message?.contains("what was served before goes on") == true, "\(message ?? "")")
                let served = try self.model(world)
                #expect(served == "good")
                let kept = try replicas(world)
                #expect(kept == 1)
            }
        }
    }

    @Test("With an autoscaler, too, a revision after one that was taken down has pods again")
    func scaledUp() async throws {
        try await withWorld { world, deploys in
            var reports = deploys.reports.makeAsyncIterator()
            let annotations: JSONValue = ["martlet.dev/max-replicas": "4"]
            func launch(_ model: JSONValue, _ attempt: Int) -> Launch {
                Self.launch(
                    ["name": "chat", "model": model, "replicas": 2], annotations: annotations,
                    attempt: attempt)
            }
            #expect(await run(deploys, &reports, launch("bad", 0))?.phase == .failed)
            let down = try replicas(world)
            #expect(down == 0)
            #expect(await run(deploys, &reports, launch("good", 1))?.phase == .succeeded)
            let again = try replicas(world)
            #expect(again == 2)
            let place = ObjectPlace(group: "apps", resource: "deployments", namespace: "ml", name: "chat")
            _ = try world.server.objects.update(place) { object throws(Refusal) in
                StrategicMerge.apply(["spec": ["replicas": 3]], to: object)
            }
            #expect(await run(deploys, &reports, launch("better", 2))?.phase == .succeeded)
            let scaled = try replicas(world)
            #expect(scaled == 3, "that was the autoscaler's word")
        }
    }

    @Test(
        "A roll-out for which the cluster keeps no deadline ends all the same: the step has one of its own",
        arguments: [
            (nil, "1 of 1 replicas are new, 0 available"), (90, "longer than the specified deadline"),
        ]
            as [(Double?, String)])
    func deadline(_ seconds: Double?, _ words: String) async throws {
        try await withWorld(pace: .seconds(40)) { world, deploys in
            var reports = deploys.reports.makeAsyncIterator()
            var launch = Self.launch(["name": "chat", "model": "bad"])
            launch.deadlineSeconds = seconds
            let begun = world.clock.now
            let outcome = await run(deploys, &reports, launch)
            #expect(outcome?.phase == .failed && outcome?.failureClass == .user)
            #expect(outcome?.message.contains(words) == true, "\(outcome?.message ?? "")")
            #expect(world.clock.now >= begun + .milliseconds(Int64((seconds ?? 960) * 1000)))
            let down = try replicas(world)
            #expect(down == 0)
        }
    }

    @Test("A cluster without room lets the step wait and say why, until it is ended")
    func noRoom() async throws {
        try await withWorld { world, deploys in
            world.server.objects.setAdmission { verb, place, _ in
                guard verb == "create", place.resource == "deployments" else { return nil }
                return Refusal(403, "Forbidden", "exceeded quota: gpus")
            }
            var reports = deploys.reports.makeAsyncIterator()
            let launch = Self.launch(["name": "chat", "model": "good"])
            await deploys.launch(launch, values: LaunchValues())
            let waiting = await KubernetesExecutor.next(&reports) { $0.waitingMessage != nil }
            #expect(waiting?.waitingMessage?.contains("exceeded quota") == true)
            await deploys.cancel(launch.key, immediately: false)
            let outcome = await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
            #expect(outcome?.phase == .failed && outcome?.message == "terminated")
        }
    }

    @Test("What stands beside a Deployment and cannot be made takes the revision back")
    func besideFails() async throws {
        try await withWorld { world, deploys in
            let refused = Mutex("services")
            world.server.objects.setAdmission { verb, place, _ in
                guard verb == "create", place.resource == refused.withLock({ $0 }) else { return nil }
                return Refusal(403, "Forbidden", "not here")
            }
            var reports = deploys.reports.makeAsyncIterator()
            let first = await run(deploys, &reports, Self.launch(["name": "chat", "model": "good"]))
            #expect(first?.phase == .error && first?.failureClass == .infrastructure)
            #expect(first?.message.contains("not here") == true)
            let down = try replicas(world)
            #expect(down == 0)
            refused.withLock { $0 = "horizontalpodautoscalers" }
            #expect(
                await run(deploys, &reports, Self.launch(["name": "chat", "model": "good"], attempt: 1))?
                    .phase
                    == .succeeded)
            let scaled = Self.launch(
                ["name": "chat", "model": "better"], annotations: ["martlet.dev/max-replicas": "4"],
                attempt: 2)
            let third = await run(deploys, &reports, scaled)
            #expect(
                third?.phase == .error && third?.message.contains("goes on") == true,
                "\(third?.message ?? "")")
            let served = try model(world)
            #expect(served == "good")
        }
    }

    @Test("Secrets of the manifest come into the cluster for the pods, each launch's own, and go with them")
    func values() async throws {
        try await withWorld { world, deploys in
            var reports = deploys.reports.makeAsyncIterator()
            let keys: JSONValue = [
                "kind": "Secret", "metadata": ["name": "keys"], "stringData": ["api-key": "x"],
            ]
            let place = ObjectPlace(resource: "secrets", namespace: "ml")
            @Sendable func secrets() -> [JSONValue] {
                world.server.objects.list(place, labels: LabelTerms("")).items
            }
            for attempt in 0..<2 {
                let launch = Self.launch(
                    ["name": "chat", "model": "good"], annotations: ["martlet.dev/api-key-secret": "keys"],
                    attempt: attempt)
                let values = LaunchValues(configMaps: [:], secrets: ["keys": KeyedValues(keys)])
                #expect(await run(deploys, &reports, launch, values: values)?.phase == .succeeded)
                #expect(secrets().count == attempt + 1)
            }
            let deployment = try deployment(world)
            let main = deployment["spec"]?["template"]?["spec"]?["containers"]?.arrayValue?.first
            let key = main?["env"]?.arrayValue?.first { $0["name"] == "MARTLET_API_KEY" }
            let name = key?["valueFrom"]?["secretKeyRef"]?["name"]
            #expect(secrets().contains { $0["metadata"]?["name"] == name })
            for secret in secrets() {
                let owner = secret["metadata"]?["ownerReferences"]?.arrayValue?.first
                #expect(owner?["uid"] == deployment["metadata"]?["uid"], "they outlive the run")
                #expect(secret["metadata"]?["labels"]?[PodMarks.runID] == nil)
            }
            let own = ObjectPlace(group: "apps", resource: "deployments", namespace: "ml", name: "chat")
            try world.server.objects.delete(own, options: [:])
            #expect(secrets().isEmpty)
        }
    }

    @Test("Another installation's deployment of the name is left alone")
    func otherInstallation() async throws {
        try await withWorld { world, deploys in
            var reports = deploys.reports.makeAsyncIterator()
            let labels: JSONValue = [
                "app.kubernetes.io/managed-by": "martlet", "app.kubernetes.io/instance": "staging",
                "martlet.dev/deployment": "chat",
            ]
            let budgets = ObjectPlace(group: "policy", resource: "poddisruptionbudgets", namespace: "ml")
            _ = try world.server.objects.create(budgets, ["metadata": ["name": "chat", "labels": labels]])
            let place = ObjectPlace(group: "apps", resource: "deployments", namespace: "ml")
            _ = try world.server.objects.create(
                place, ["metadata": ["name": "chat", "labels": labels], "spec": ["replicas": 1]])
            let taken = await run(deploys, &reports, Self.launch(["name": "chat", "model": "a"]))
            #expect(taken?.phase == .failed, "\(taken?.message ?? "")")
            #expect(taken?.message.contains("belongs to the installation \"staging\"") == true)
            let left = world.server.objects.list(budgets, labels: LabelTerms("")).items
            #expect(left.count == 1)
        }
    }

    @Test("What a later revision does not want any more goes, and what is not Martlet's is left alone")
    func leftovers() async throws {
        try await withWorld { world, deploys in
            var reports = deploys.reports.makeAsyncIterator()
            let wide = Self.launch(
                ["name": "chat", "model": "a", "replicas": 2], annotations: ["martlet.dev/max-replicas": "4"])
            #expect(await run(deploys, &reports, wide)?.phase == .succeeded)
            func count(_ group: String, _ resource: String) -> Int {
                world.server.objects.list(
                    ObjectPlace(group: group, resource: resource, namespace: "ml"), labels: LabelTerms("")
                ).items.count
            }
            #expect(count("autoscaling", "horizontalpodautoscalers") == 1)
            #expect(count("policy", "poddisruptionbudgets") == 1)
            let narrow = Self.launch(["name": "chat", "model": "b"], attempt: 1)
            #expect(await run(deploys, &reports, narrow)?.phase == .succeeded)
            #expect(count("autoscaling", "horizontalpodautoscalers") == 0)
            #expect(count("policy", "poddisruptionbudgets") == 0)
            _ = try world.server.objects.create(
                ObjectPlace(group: "apps", resource: "deployments", namespace: "ml"),
                ["metadata": ["name": "other"], "spec": ["replicas": 1]])
            let taken = await run(
                deploys, &reports, Self.launch(["name": "other", "model": "a"], attempt: 2))
            #expect(taken?.phase == .failed && taken?.message.contains("is not Martlet's") == true)
        }
    }
}
