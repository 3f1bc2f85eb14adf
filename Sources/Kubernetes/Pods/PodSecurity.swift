// Pod Security: what the levels `baseline` and `restricted` demand, and the defaults that let pods pass.
// Whoever wants less says so outright.

package import Text
import WorkflowLanguage

package enum PodSecurity {
    private static let volumeKinds: Set<String> = [
        "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected",
        "secret",
    ]
    /// Capabilities that baseline allows to be added.
    private static let baselineCapabilities: Set<String> = [
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    ]
    private static let safeSysctls: Set<String> = [
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
    ]

    /// The pod's security context, where the manifest says nothing.
    static func podDefaults(_ settings: PodSettings) -> JSONValue {
        switch settings.security {
        case .privileged: return [:]
        case .baseline: return ["seccompProfile": ["type": "RuntimeDefault"]]
        case .restricted:
            let user = JSONValue.int(settings.userID)
            return [
                "runAsNonRoot": true, "runAsUser": user, "runAsGroup": user, "fsGroup": user,
                "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": ["type": "RuntimeDefault"],
            ]
        }
    }

    /// A container's, likewise.
    static func containerDefaults(_ settings: PodSettings) -> JSONValue {
        guard settings.security == .restricted else { return [:] }
        return ["allowPrivilegeEscalation": false, "capabilities": ["drop": ["ALL"]]]
    }

    /// Maps are merged; the manifest's values win.
    static func merged(_ defaults: JSONValue, _ own: JSONValue?) -> JSONValue {
        guard case .object(let lower) = defaults, case .object(let upper)? = own else {
            return own ?? defaults
        }
        return .object(lower.merging(upper) { merged($0, $1) })
    }

    /// What in a pod's specification the level does not allow, by field; empty when it passes.
    package static func violations(of spec: JSONValue, level: PodSecurityLevel) -> [String] {
        guard level != .privileged else { return [] }
        let fields = Fields(spec)
        var found: [String] = []
        for name in ["hostNetwork", "hostPID", "hostIPC"] where fields.bool(name) == true {
            found.append("\(name): true")
        }
        for volume in fields.list("volumes").map({ Fields($0) }) {
            let name = volume.text("name") ?? ""
            if volume["hostPath"] != nil { found.append("volume \(name): hostPath") }
            let others = volume.members.keys.filter {
                $0 != "name" && $0 != "hostPath" && !volumeKinds.contains($0)
            }
            if level == .restricted { found += others.sorted().map { "volume \(name): \($0)" } }
        }
        let context = fields.object("securityContext")
        for sysctl in context?.list("sysctls") ?? [] {
            let name = Fields(sysctl).text("name") ?? ""
            if !safeSysctls.contains(name) { found.append("sysctl \(name)") }
        }
        found += seccomp(context, place: "pod")
        if context?.bool("runAsNonRoot") == false, level == .restricted {
            found.append("pod: runAsNonRoot: false")
        }
        if context?.int("runAsUser") == 0, level == .restricted { found.append("pod: runAsUser: 0") }
        for list in ["initContainers", "containers"] {
            for container in fields.list(list) {
                found += violations(ofContainer: Fields(container), pod: context, level: level)
            }
        }
        return found
    }

    private static func violations(
        ofContainer container: Fields, pod: Fields?, level: PodSecurityLevel
    ) -> [String] {
        let place = "container \(container.text("name") ?? "")"
        let context = container.object("securityContext")
        let capabilities = context?.object("capabilities")
        let added = capabilities?.strings("add") ?? []
        var found: [String] = seccomp(context, place: place)
        if context?.bool("privileged") == true { found.append("\(place): privileged: true") }
        if let mount = context?.string("procMount"), mount != "Default" {
            found.append("\(place): procMount \(mount)")
        }
        for port in container.list("ports") where (Fields(port).int("hostPort") ?? 0) > 0 {
            found.append("\(place): hostPort")
        }
        let allowed = level == .restricted ? ["NET_BIND_SERVICE"] : baselineCapabilities
        found += added.filter { !allowed.contains($0) }.map { "\(place): capability \($0)" }
        guard level == .restricted else { return found }
        if context?.bool("allowPrivilegeEscalation") != false {
            found.append("\(place): allowPrivilegeEscalation is not false")
        }
        if capabilities?.strings("drop").contains("ALL") != true {
            found.append("\(place): capabilities are not all dropped")
        }
        if (context?.bool("runAsNonRoot") ?? pod?.bool("runAsNonRoot")) != true {
            found.append("\(place): runAsNonRoot is not true")
        }
        if context?.int("runAsUser") == 0 { found.append("\(place): runAsUser: 0") }
        let profile = context?.object("seccompProfile") ?? pod?.object("seccompProfile")
        if profile?.string("type") == nil { found.append("\(place): no seccompProfile") }
        return found
    }

    private static func seccomp(_ context: Fields?, place: String) -> [String] {
        context?.object("seccompProfile")?.string("type") == "Unconfined"
            ? ["\(place): seccompProfile Unconfined"] : []
    }
}

extension PodSecurityLevel {
    /// What whoever opts out of `restricted` is told; nil for that.
    package var warning: String? {
        let what: String
        switch self {
        case .restricted: return nil
        case .baseline: what = "run as root and add some capabilities"
        case .privileged: what = "ask for everything, their nodes' files and devices among it"
        }
        return "steps may \(what): Pod Security is \"\(rawValue)\" by --pod-security, not \"restricted\""
    }
}
