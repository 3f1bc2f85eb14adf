// A template: one kind of work, with its inputs, outputs and rules.

package import Text

/// `containerSet`.
package struct ContainerSet: Sendable, Hashable {
    package var containers: [Container]
    package var volumeMounts: [VolumeMount]
    /// `retryStrategy.retries`, text since it may hold a tag.
    package var retries: String?
    package var retryDuration: String?

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        containers = fields.list("containers").map(Container.init)
        volumeMounts = fields.list("volumeMounts").map(VolumeMount.init)
        retries = fields.object("retryStrategy")?.text("retries")
        retryDuration = fields.object("retryStrategy")?.text("duration")
    }
}

/// `memoize`.
package struct Memoize: Sendable, Hashable {
    package var key: String
    package var maxAge: String?
    /// Name of the cache: the ConfigMap on Kubernetes.
    package var cache: String

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        key = fields.anyText("key") ?? ""
        maxAge = fields.text("maxAge")
        cache = fields.object("cache")?.object("configMap")?.text("name") ?? ""
    }
}

/// `synchronization`: the locks that a workflow or template holds while it runs.
package struct Synchronization: Sendable, Hashable {
    package struct Mutex: Sendable, Hashable {
        package var name: String
        package var namespace: String?
        package var database: Bool
    }

    package struct Semaphore: Sendable, Hashable {
        /// ConfigMap and key that hold the limit, or nil for one of the limits table.
        package var configMap: ValueFrom.KeySelector?
        /// Key in the limits table (`database.key`).
        package var databaseKey: String?
        package var namespace: String?
    }

    package var mutexes: [Mutex]
    package var semaphores: [Semaphore]

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        mutexes = fields.list("mutexes").map {
            let mutex = Fields($0)
            return Mutex(
                name: mutex.text("name") ?? "", namespace: mutex.string("namespace"),
                database: mutex.bool("database") ?? false)
        }
        semaphores = fields.list("semaphores").map {
            let semaphore = Fields($0)
            return Semaphore(
                configMap: semaphore.object("configMapKeyRef").map(ValueFrom.KeySelector.init),
                databaseKey: semaphore.object("database")?.text("key"),
                namespace: semaphore.string("namespace"))
        }
    }

    package var isEmpty: Bool { mutexes.isEmpty && semaphores.isEmpty }
}

/// `retryStrategy`.
package struct RetryStrategy: Sendable, Hashable {
    package struct Backoff: Sendable, Hashable {
        package var duration: String?
        package var factor: String?
        package var cap: String?
        package var maxDuration: String?
    }

    package var limit: String?
    package var retryPolicy: String?
    package var backoff: Backoff?
    package var expression: String?

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        limit = fields.text("limit")
        retryPolicy = fields.string("retryPolicy")
        expression = fields.string("expression")
        backoff = fields.object("backoff").map {
            Backoff(
                duration: $0.text("duration"), factor: $0.text("factor"), cap: $0.text("cap"),
                maxDuration: $0.text("maxDuration"))
        }
    }
}

/// A template: exactly one kind of work, its inputs and outputs, and the rules it runs under.
package struct Template: Sendable, Hashable {
    /// The kinds of work. Cases carry what the engine reads; the rest is in `raw`.
    package indirect enum Kind: Sendable, Hashable {
        case container(Container)
        case script(Container, source: String)
        case containerSet(ContainerSet)
        case steps([[Step]])
        case dag(DAG)
        case suspend(duration: String?)
        case http(JSONValue)
        case resource(JSONValue)
        case data(JSONValue)
        case plugin(JSONValue)
        /// One of Martlet's own steps, by its kind, with its parameters.
        case martlet(MartletStep)
        /// None was written; validation refuses it.
        case missing
    }

    package var name: String
    package var kind: Kind
    package var inputs: Inputs
    package var outputs: Outputs
    package var metadata: ObjectMetadata
    package var annotations: [String: String]
    package var daemon: Bool
    package var initContainers: [Container]
    package var sidecars: [Container]
    package var volumes: [JSONValue]
    package var retryStrategy: RetryStrategy?
    package var timeout: String?
    package var pendingTimeout: String?
    /// Seconds as text, since it may be a tag.
    package var activeDeadlineSeconds: String?
    package var failFast: Bool
    package var parallelism: Int?
    package var memoize: Memoize?
    package var synchronization: Synchronization?
    package var metrics: [JSONValue]
    package var archiveLogs: Bool?
    package var priority: Int?
    /// The template as written (or as substituted): what tags are replaced in.
    package var raw: JSONValue

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        name = fields.text("name") ?? ""
        inputs = Inputs(fields["inputs"])
        outputs = Outputs(fields["outputs"])
        metadata = ObjectMetadata(fields["metadata"])
        annotations = fields.textMap("annotations")
        daemon = fields.bool("daemon") ?? false
        initContainers = fields.list("initContainers").map(Container.init)
        sidecars = fields.list("sidecars").map(Container.init)
        volumes = fields.list("volumes")
        retryStrategy = fields["retryStrategy"].map(RetryStrategy.init)
        timeout = fields.text("timeout")
        pendingTimeout = fields.text("pendingTimeout")
        activeDeadlineSeconds = fields.text("activeDeadlineSeconds")
        failFast = fields.bool("failFast") ?? false
        parallelism = fields.int("parallelism")
        memoize = fields["memoize"].map(Memoize.init)
        synchronization = fields["synchronization"].map(Synchronization.init)
        metrics = fields.object("metrics")?.list("prometheus") ?? []
        archiveLogs = fields.object("archiveLocation")?.bool("archiveLogs")
        priority = fields.int("priority")
        raw = json
        kind = Kind(fields)
    }

    /// Whether the template only arranges others.
    package var isComposite: Bool {
        switch kind {
        case .steps, .dag: true
        default: false
        }
    }
}

extension Template.Kind {
    /// The manifest keys of the kinds, in the order in which they are looked for.
    package static let keys = [
        "container", "script", "containerSet", "steps", "dag", "suspend", "http", "resource", "data",
        "plugin",
    ]

    init(_ fields: Fields) {
        if let container = fields["container"] {
            self = .container(Container(container))
        } else if let script = fields["script"] {
            self = .script(Container(script), source: Fields(script).text("source") ?? "")
        } else if let set = fields["containerSet"] {
            self = .containerSet(ContainerSet(set))
        } else if fields["steps"] != nil {
            // Argo also takes a step written without its list: a group of one.
            self = .steps(
                fields.list("steps").map { group in
                    (group.arrayValue ?? [group]).map(Step.init)
                })
        } else if let dag = fields["dag"] {
            self = .dag(DAG(dag))
        } else if let suspend = fields.members["suspend"] {
            self = .suspend(duration: Fields(suspend).text("duration"))
        } else if let http = fields["http"] {
            self = .http(http)
        } else if let resource = fields["resource"] {
            self = .resource(resource)
        } else if let data = fields["data"] {
            self = .data(data)
        } else if let step = MartletStep(fields) {
            self = .martlet(step)
        } else if let plugin = fields["plugin"] {
            self = .plugin(plugin)
        } else {
            self = .missing
        }
    }
}
