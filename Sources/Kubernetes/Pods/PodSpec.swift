// The specification of a step's pod: init containers, the work, sidecars, volumes, and where it may run.

import Scheduling
import Text
import WorkflowLanguage

struct PodSpec {
    /// Fields that a template, and for want of it the workflow, gives the pod as they are.
    private static let passed = [
        "nodeSelector", "affinity", "hostAliases", "schedulerName", "priorityClassName", "dnsConfig",
        "dnsPolicy",
        "hostNetwork", "imagePullSecrets", "runtimeClassName", "resourceClaims",
    ]

    let plan: PodPlan
    let token: String
    private let containers: PodContainers

    init(_ plan: PodPlan, token: String) {
        self.plan = plan
        self.token = token
        containers = PodContainers(plan: plan, token: token)
    }

    var json: JSONValue {
        get throws(PodProblem) {
            let (own, general) = (plan.template.raw, plan.launch.podSettings)
            var spec: [String: JSONValue] = [
                "restartPolicy": "Never", "enableServiceLinks": false,
                "terminationGracePeriodSeconds": .int(plan.settings.graceSeconds),
            ]
            for key in Self.passed { spec[key] = present(own[key]) ?? present(general[key]) }
            if spec["priorityClassName"] == nil {
                spec["priorityClassName"] = present(general["podPriorityClassName"])
            }
            spec["resources"] = (present(own["podResources"]) ?? present(general["podResources"])).map(
                RunObjects.quantities(ofResources:))
            spec["automountServiceAccountToken"] =
                present(own["automountServiceAccountToken"]) ?? present(
                    general["automountServiceAccountToken"])
                ?? false
            let account = own["serviceAccountName"]?.stringValue ?? plan.launch.serviceAccountName
            if !account.isEmpty { spec["serviceAccountName"] = .string(account) }
            spec["securityContext"] = PodSecurity.merged(
                PodSecurity.podDefaults(plan.settings),
                PodSecurity.merged(general["securityContext"] ?? [:], own["securityContext"]))
            spec["tolerations"] = tolerations(
                (own["tolerations"]?.arrayValue ?? []) + (general["tolerations"]?.arrayValue ?? []))
            if let seconds = plan.launch.deadlineSeconds {
                spec["activeDeadlineSeconds"] = .int(max(1, Int(seconds.rounded(.up))))
            }
            let initial = containers.initial
            if !initial.isEmpty { spec["initContainers"] = .array(initial) }
            spec["containers"] = .array(containers.all)
            let volumes = try volumes()
            if !volumes.isEmpty { spec["volumes"] = .array(volumes) }
            return .object(spec)
        }
    }

    private func present(_ value: JSONValue?) -> JSONValue? {
        switch value {
        case nil, .null?: nil
        case .array(let list)? where list.isEmpty: nil
        case .object(let members)? where members.isEmpty: nil
        default: value
        }
    }

    /// Nodes with devices keep other pods away by the device's name.
    private func tolerations(_ given: [JSONValue]) -> JSONValue? {
        var list = given
        for key in containers.devices.flatMap(Accelerator.taints)
        where
            !list.contains(where: { $0["key"]?.stringValue == key })
        {
            list.append(["key": .string(key), "operator": "Exists", "effect": "NoSchedule"])
        }
        return list.isEmpty ? nil : .array(list)
    }

    // MARK: Volumes

    private func volumes() throws(PodProblem) -> [JSONValue] {
        var list: [JSONValue] = []
        var names: Set<String> = []
        func add(_ volume: JSONValue) {
            guard let name = volume["name"]?.scalarText, names.insert(name).inserted else { return }
            list.append(volume)
        }
        if containers.usesWorkVolume {
            add(["name": .string(PodRenderer.workVolume), "emptyDir": [:]])
        }
        if plan.script != nil {
            let field = JSONValue.string("metadata.annotations['\(PodMarks.script)']")
            add([
                "name": .string(PodRenderer.scriptVolume),
                "downwardAPI": ["items": [["path": "source", "fieldRef": ["fieldPath": field]]]],
            ])
        }
        if containers.needsSharedMemory {
            add(["name": "martlet-shm", "emptyDir": ["medium": "Memory"]])
        }
        for (name, claim) in containers.claims {
            add(["name": .string(name), "persistentVolumeClaim": ["claimName": .string(claim)]])
        }
        if let path = plan.settings.modelCachePath {
            // Where there is a claim, too, its volume has the name already.
            add([
                "name": "martlet-models",
                "hostPath": ["path": .string(path), "type": "DirectoryOrCreate"],
            ])
        }
        for template in plan.launch.volumeClaimTemplates {
            guard let name = Fields(template["metadata"]).text("name") else { continue }
            let claim = PodNames.claim(workflow: plan.launch.workflowName, template: name)
            add(["name": .string(name), "persistentVolumeClaim": ["claimName": .string(claim)]])
        }
        for volume in plan.launch.volumes { add(volume) }
        for mount in containers.mountedNames where !names.contains(mount) {
            let patched =
                plan.template.raw["podSpecPatch"] != nil || plan.launch.podSettings["podSpecPatch"] != nil
            guard patched else {
                throw PodProblem("no volume is named \"\(mount)\"; declare it under volumes")
            }
        }
        return list
    }
}

/// Devices by the names under which clusters hand them out.
enum Accelerator {
    private static let plainDomains: Set<String> = ["kubernetes.io", "pod-level.kubernetes.io"]
    /// Network cards are handed out in the same way, but nobody keeps pods from their nodes for them.
    private static let networkNames = ["rdma/", "vpc.amazonaws.com/efa", "intel.com/sriov", "mellanox.com/"]
    /// What vendors call that which computes: `nvidia.com/mig-1g.5gb`, `huawei.com/Ascend910`,
    /// `aws.amazon.com/neuroncore`, `gpu.intel.com/xe`.
    private static let words = [
        "gpu", "tpu", "npu", "mlu", "dcu", "gcu", "xpu", "hpu", "ipu", "mig", "gaudi", "neuron", "ascend",
        "cuda", "qaic", "rngd", "warboy",
    ]

    static func isExtended(_ resource: String) -> Bool {
        guard let slash = resource.firstIndex(of: "/") else { return false }
        return !plainDomains.contains(String(resource[..<slash]))
    }

    /// Whether a node may keep other pods away by the device's name. A pod that asks for a device tolerates
    /// this for any device, as Kubernetes' own plugin ExtendedResourceToleration has it.
    static func mayTaint(_ resource: String) -> Bool {
        isExtended(resource) && !networkNames.contains { resource.hasPrefix($0) }
    }

    /// Whether it computes, so that its pod passes tensors through shared memory. Others are /dev/kvm, fuse.
    static func isAccelerator(_ resource: String) -> Bool {
        guard mayTaint(resource) else { return false }
        let parts = resource.lowercased().split { !$0.isLetter }
        return parts.contains { part in words.contains { part.hasPrefix($0) || part.hasSuffix($0) } }
    }

    /// Shares and slices of a device have names of their own; the taint is the device's.
    static func taints(_ resource: String) -> [String] {
        guard let slash = resource.firstIndex(of: "/") else { return [] }
        let device = "\(resource[..<slash])/gpu"
        let isSlice = resource.contains("/mig-") || resource.hasSuffix(".shared")
        return isSlice ? [device] : [resource]
    }
}
