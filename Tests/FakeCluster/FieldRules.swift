// The fields that Kubernetes' own kinds have, of which type they are, and which must be there: what is misspelled or
// of another type is refused, as strict validation does, where the API would else forget it in silence.

import Text

/// Types by name, written as lines of `Type: field:type ...`. A type is `s` (text), `i` (whole number), `b` (truth
/// value), `n` (text or number), `m` (texts by name), `q` (quantities by name), `*` (anything), another line's, or a
/// list of one of these in brackets. `!` marks what must be there.
enum FieldRules {
    private struct Field {
        var type: String
        var isList: Bool
        var isRequired: Bool
    }

    private static let text = """
        Pod: metadata:Meta spec:PodSpec! status:*
        Job: metadata:Meta spec:JobSpec! status:*
        Deployment: metadata:Meta spec:DeploymentSpec! status:*
        Service: metadata:Meta spec:ServiceSpec! status:*
        ConfigMap: metadata:Meta data:m binaryData:m immutable:b
        Secret: metadata:Meta data:m stringData:m immutable:b type:s
        PersistentVolumeClaim: metadata:Meta spec:ClaimSpec! status:*
        HorizontalPodAutoscaler: metadata:Meta spec:ScalerSpec! status:*
        PodDisruptionBudget: metadata:Meta spec:BudgetSpec! status:*
        Ingress: metadata:Meta spec:IngressSpec! status:*
        Lease: metadata:Meta spec:LeaseSpec
        Meta: name:s generateName:s namespace:s uid:s labels:m annotations:m ownerReferences:[Owner]
        Meta: finalizers:[s] resourceVersion:s creationTimestamp:s deletionTimestamp:s
        Meta: deletionGracePeriodSeconds:i generation:i managedFields:* selfLink:s
        Owner: apiVersion:s! kind:s! name:s! uid:s! controller:b blockOwnerDeletion:b
        PodTemplate: metadata:Meta spec:PodSpec!
        PodSpec: activeDeadlineSeconds:i affinity:* automountServiceAccountToken:b containers:[Container]!
        PodSpec: dnsConfig:* dnsPolicy:s enableServiceLinks:b ephemeralContainers:* hostAliases:*
        PodSpec: hostIPC:b hostNetwork:b hostPID:b hostUsers:b hostname:s hostnameOverride:s
        PodSpec: imagePullSecrets:[Reference] initContainers:[Container] nodeName:s nodeSelector:m os:*
        PodSpec: overhead:q preemptionPolicy:s priority:i priorityClassName:s readinessGates:*
        PodSpec: resourceClaims:* resources:Resources restartPolicy:s runtimeClassName:s schedulerName:s
        PodSpec: schedulingGates:[Gate] securityContext:PodSecurity serviceAccount:s serviceAccountName:s
        PodSpec: setHostnameAsFQDN:b shareProcessNamespace:b subdomain:s terminationGracePeriodSeconds:i
        PodSpec: tolerations:[Toleration] topologySpreadConstraints:* volumes:[Volume]
        Container: args:[s] command:[s] env:[Variable] envFrom:[VariableSource] image:s! imagePullPolicy:s
        Container: lifecycle:* livenessProbe:* name:s! ports:[ContainerPort] readinessProbe:*
        Container: resizePolicy:* resources:Resources restartPolicy:s restartPolicyRules:*
        Container: securityContext:Security startupProbe:* stdin:b stdinOnce:b terminationMessagePath:s
        Container: terminationMessagePolicy:s tty:b volumeDevices:* volumeMounts:[Mount] workingDir:s
        Variable: name:s! value:s valueFrom:VariableValue
        VariableValue: configMapKeyRef:KeyReference secretKeyRef:KeyReference fieldRef:*
        VariableValue: resourceFieldRef:* fileKeyRef:*
        VariableSource: configMapRef:OptionalReference secretRef:OptionalReference prefix:s
        KeyReference: name:s key:s! optional:b
        OptionalReference: name:s optional:b
        Reference: name:s
        Gate: name:s!
        Toleration: effect:s key:s operator:s tolerationSeconds:i value:s
        ContainerPort: containerPort:i! hostIP:s hostPort:i name:s protocol:s
        Resources: claims:* limits:q requests:q
        Mount: mountPath:s! mountPropagation:s name:s! readOnly:b recursiveReadOnly:s subPath:s
        Mount: subPathExpr:s
        Security: allowPrivilegeEscalation:b appArmorProfile:* capabilities:Capabilities privileged:b
        Security: procMount:s readOnlyRootFilesystem:b runAsGroup:i runAsNonRoot:b runAsUser:i
        Security: seLinuxOptions:* seccompProfile:Profile windowsOptions:*
        Capabilities: add:[s] drop:[s]
        Profile: type:s! localhostProfile:s
        PodSecurity: appArmorProfile:* fsGroup:i fsGroupChangePolicy:s runAsGroup:i runAsNonRoot:b
        PodSecurity: runAsUser:i seLinuxChangePolicy:s seLinuxOptions:* seccompProfile:Profile
        PodSecurity: supplementalGroups:[i] supplementalGroupsPolicy:s sysctls:* windowsOptions:*
        Volume: name:s! configMap:ConfigVolume secret:SecretVolume emptyDir:Directory
        Volume: persistentVolumeClaim:ClaimVolume downwardAPI:* hostPath:HostPath projected:* csi:*
        Volume: ephemeral:* nfs:* awsElasticBlockStore:* azureDisk:* azureFile:* cephfs:* cinder:* fc:*
        Volume: flexVolume:* flocker:* gcePersistentDisk:* gitRepo:* glusterfs:* image:* iscsi:*
        Volume: portworxVolume:* quobyte:* rbd:* scaleIO:* storageos:* vsphereVolume:*
        ConfigVolume: defaultMode:i items:[KeyPath] name:s optional:b
        SecretVolume: defaultMode:i items:[KeyPath] secretName:s optional:b
        KeyPath: key:s! path:s! mode:i
        Directory: medium:s sizeLimit:n
        ClaimVolume: claimName:s! readOnly:b
        HostPath: path:s! type:s
        JobSpec: activeDeadlineSeconds:i backoffLimit:i backoffLimitPerIndex:i completionMode:s
        JobSpec: completions:i managedBy:s manualSelector:b maxFailedIndexes:i parallelism:i
        JobSpec: podFailurePolicy:* podReplacementPolicy:s selector:Selector successPolicy:* suspend:b
        JobSpec: template:PodTemplate! ttlSecondsAfterFinished:i
        DeploymentSpec: minReadySeconds:i paused:b progressDeadlineSeconds:i replicas:i
        DeploymentSpec: revisionHistoryLimit:i selector:Selector! strategy:* template:PodTemplate!
        Selector: matchLabels:m matchExpressions:*
        ServiceSpec: allocateLoadBalancerNodePorts:b clusterIP:s clusterIPs:[s] externalIPs:[s]
        ServiceSpec: externalName:s externalTrafficPolicy:s healthCheckNodePort:i internalTrafficPolicy:s
        ServiceSpec: ipFamilies:[s] ipFamilyPolicy:s loadBalancerClass:s loadBalancerIP:s
        ServiceSpec: loadBalancerSourceRanges:[s] ports:[ServicePort] publishNotReadyAddresses:b
        ServiceSpec: selector:m sessionAffinity:s sessionAffinityConfig:* trafficDistribution:s type:s
        ServicePort: appProtocol:s name:s nodePort:i port:i! protocol:s targetPort:n
        ClaimSpec: accessModes:[s]! dataSource:* dataSourceRef:* resources:Resources! selector:Selector
        ClaimSpec: storageClassName:s volumeAttributesClassName:s volumeMode:s volumeName:s
        ScalerSpec: behavior:* maxReplicas:i! metrics:* minReplicas:i scaleTargetRef:ScaleTarget!
        ScaleTarget: apiVersion:s kind:s! name:s!
        BudgetSpec: maxUnavailable:n minAvailable:n selector:Selector unhealthyPodEvictionPolicy:s
        IngressSpec: defaultBackend:* ingressClassName:s rules:* tls:*
        LeaseSpec: acquireTime:s holderIdentity:s leaseDurationSeconds:i leaseTransitions:i
        LeaseSpec: preferredHolder:s renewTime:s strategy:s
        """

    private static let types: [String: [String: Field]] = {
        var types: [String: [String: Field]] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            for word in words.dropFirst() {
                var parts = word.split(separator: ":").map(String.init)
                let isRequired = parts[1].hasSuffix("!")
                if isRequired { parts[1].removeLast() }
                let isList = parts[1].hasPrefix("[")
                if isList { parts[1] = String(parts[1].dropFirst().dropLast()) }
                types[String(words[0].dropLast()), default: [:]][parts[0]] = Field(
                    type: parts[1], isList: isList, isRequired: isRequired)
            }
        }
        return types
    }()

    /// Refuses an object of a kind that is known here and does not keep to it.
    /// - Parameter allowsUnknown: whether fields that nobody knows are left alone, as by `fieldValidation=Warn`.
    static func check(_ object: JSONValue, at place: ObjectPlace, allowsUnknown: Bool) throws(Refusal) {
        guard place.isBuiltIn, let kind = object["kind"]?.stringValue, types[kind] != nil else { return }
        var findings = Findings(allowsUnknown: allowsUnknown)
        findings.look(at: object, as: kind, path: "")
        if let problem = findings.wrong.first ?? findings.unknown.first {
            throw Refusal(400, "BadRequest", "\(kind) in version cannot be handled as a \(kind): \(problem)")
        }
        if let missing = findings.missing.first { throw .invalid(place, "\(missing): Required value") }
        if kind == "Service", object["spec"]?["type"]?.stringValue != "ExternalName",
            object["spec"]?["clusterIP"]?.stringValue != "None",
            object["spec"]?["ports"]?.arrayValue?.isEmpty != false
        {
            throw .invalid(place, "spec.ports: Required value")
        }
    }

    private struct Findings {
        let allowsUnknown: Bool
        var wrong: [String] = []
        var unknown: [String] = []
        var missing: [String] = []

        mutating func look(at value: JSONValue, as type: String, path: String) {
            switch type {
            case "*": return
            case "s": note(value.stringValue != nil, path, "string")
            case "i": note(value.intValue != nil && value.stringValue == nil, path, "int64")
            case "b": note(value.boolValue != nil, path, "bool")
            case "n": note(value.objectValue == nil && value.arrayValue == nil, path, "string or number")
            case "m": map(value, path) { $0.stringValue != nil }
            case "q": map(value, path) { Quantity($0) != nil }
            default: members(of: value, as: type, path: path)
            }
        }

        private mutating func note(_ isRight: Bool, _ path: String, _ type: String) {
            if !isRight { wrong.append("json: cannot unmarshal \(path) into a value of type \(type)") }
        }

        private mutating func map(_ value: JSONValue, _ path: String, _ isRight: (JSONValue) -> Bool) {
            guard let members = value.objectValue else { return note(false, path, "map") }
            for (name, member) in members.sorted(by: { $0.key < $1.key }) where member != .null {
                note(isRight(member), "\(path).\(name)", "string")
            }
        }

        private mutating func members(of value: JSONValue, as type: String, path: String) {
            guard let members = value.objectValue, let fields = FieldRules.types[type] else {
                return note(false, path, type)
            }
            let prefix = path.isEmpty ? "" : path + "."
            for (name, member) in members.sorted(by: { $0.key < $1.key }) where member != .null {
                if path.isEmpty && ["apiVersion", "kind"].contains(name) { continue }
                guard let field = fields[name] else {
                    if !allowsUnknown {
                        unknown.append("strict decoding error: unknown field \"\(prefix)\(name)\"")
                    }
                    continue
                }
                guard field.isList else {
                    look(at: member, as: field.type, path: prefix + name)
                    continue
                }
                guard let elements = member.arrayValue else {
                    note(false, prefix + name, "list")
                    continue
                }
                for (index, element) in elements.enumerated() {
                    look(at: element, as: field.type, path: "\(prefix)\(name)[\(index)]")
                }
            }
            for (name, field) in fields.sorted(by: { $0.key < $1.key }) where field.isRequired {
                let given = members[name] ?? .null
                let isEmpty = given == .null || given == "" || (field.isList && given == [])
                if isEmpty { missing.append(prefix + name) }
            }
        }
    }
}
