// Names and labels as Kubernetes allows them, the same for the same launch, so that a create that is repeated
// meets what it made before.

package import Scheduling
package import Text
import WorkflowLanguage

package enum PodNames {
    /// A pod's name may be that of a subdomain.
    private static let nameLimit = 253
    /// A label's value, and a name that becomes a host's.
    static let labelLimit = 63

    /// Argo's name of the pod for the first launch, since clients look logs up by it; each further launch of
    /// the same node has its number behind that.
    package static func pod(_ launch: Launch) -> String {
        let attempt = launch.key.attempt > 0 ? "-\(launch.key.attempt)" : ""
        let wanted = launch.podName + attempt
        let name = dnsName(wanted)
        // What had to be changed may meet another name that was, too.
        guard name != wanted || name.utf8.count > nameLimit else { return name }
        let mark = "-\(FNV1a.hash32(wanted))"
        return String(name.prefix(nameLimit - mark.utf8.count)) + mark
    }

    /// The name where a pod of another run has the usual one: a run of the same name in another data
    /// directory, or one that was deleted and left its pods.
    static func otherPod(_ launch: Launch) -> String {
        marked(pod(launch), String(FNV1a.hash32(launch.key.workflowUID), radix: 16))
    }

    /// The ConfigMap that owns what a run has in the cluster.
    package static func runObject(workflow: String, uid: String) -> String {
        limited("martlet-run-\(dnsName(workflow))", mark: FNV1a.hash32(uid), limit: labelLimit)
    }

    /// A claim of a run, as Argo names it.
    static func claim(workflow: String, template: String) -> String { dnsName("\(workflow)-\(template)") }

    private static func limited(_ text: String, mark: UInt32, limit: Int) -> String {
        let mark = "-\(mark)"
        return String(text.prefix(limit - mark.utf8.count)) + mark
    }

    /// A name with a mark behind it, cut where it would be too long.
    static func marked(_ name: String, _ mark: String) -> String {
        "\(dnsName(name).prefix(nameLimit - mark.utf8.count - 1))-\(mark)"
    }

    /// Small letters, digits, `-` and `.`, beginning and ending with a letter or digit.
    static func dnsName(_ text: String) -> String {
        var name = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "a"..."z", "0"..."9", "-", ".": name.unicodeScalars.append(scalar)
            case "A"..."Z": name += String(scalar).lowercased()
            default: name += "-"
            }
        }
        while let last = name.last, last == "-" || last == "." { name.removeLast() }
        let start = name.drop { $0 == "-" || $0 == "." }
        return start.isEmpty ? "x" : String(start)
    }

    /// A label's value: what is too long ends in a hash of the whole.
    package static func label(_ text: String) -> String {
        var value = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "-", ".", "_": value.unicodeScalars.append(scalar)
            default: value += "_"
            }
        }
        let isAllowed = value == text && value.utf8.count <= labelLimit
        let mark = "-\(FNV1a.hash32(text))"
        if !isAllowed { value = String(value.prefix(labelLimit - mark.utf8.count)) + mark }
        let marks: Set<Character> = ["-", ".", "_"]
        while let last = value.last, marks.contains(last) { value.removeLast() }
        return String(value.drop { marks.contains($0) })
    }
}

/// Labels and annotations by which Martlet finds its own objects again.
package enum PodMarks {
    package static let managedBy = "app.kubernetes.io/managed-by"
    package static let instance = "app.kubernetes.io/instance"
    package static let runID = "martlet.dev/run-id"
    package static let attempt = "martlet.dev/attempt"
    package static let nodeID = "martlet.dev/node-id"
    static let script = "martlet.dev/script"
    /// At a run's own object: the data directory that knows the run.
    static let data = "martlet.dev/data-directory"

    /// The selector of all pods of one installation.
    package static func selector(instance name: String) -> String {
        "\(managedBy)=martlet,\(instance)=\(PodNames.label(name))"
    }

    /// The run that an object belongs to; nil for one that is none of ours.
    package static func runID(of object: JSONValue) -> String? {
        Fields(object["metadata"]).textMap("annotations")[runID]
    }

    /// The launch that a pod was made for; nil for a pod that is none of ours.
    package static func key(of pod: JSONValue) -> AttemptKey? {
        let metadata = Fields(pod["metadata"])
        let notes = metadata.textMap("annotations")
        guard let uid = notes[runID], let node = notes[nodeID],
            let attempt = notes[attempt].flatMap({ Int($0) })
        else { return nil }
        return AttemptKey(workflowUID: uid, nodeID: node, attempt: attempt)
    }
}
