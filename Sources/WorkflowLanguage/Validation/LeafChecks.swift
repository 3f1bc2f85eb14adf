// Templates that do work themselves: what each kind needs.

import Text

extension ValidationContext {
    func checkLeaf(_ template: Template, at path: FieldPath, scope: Scope, into findings: inout Findings) {
        checkContainers(of: template, at: path, into: &findings)
        switch template.kind {
        case .suspend(let duration):
            if let duration, !duration.isEmpty, !Durations.isSecondsOrGo(duration) {
                findings.error(
                    "unable to parse '\(duration)' as a duration", at: path["suspend"]["duration"],
                    remedy: Durations.secondsOrGoRemedy)
            }
        case .http(let http): checkHTTP(http, at: path["http"], scope: scope, into: &findings)
        case .resource(let resource):
            checkResource(resource, of: template, at: path["resource"], into: &findings)
        case .data(let data): checkData(data, at: path["data"], scope: scope, into: &findings)
        case .plugin(let plugin): checkPlugin(plugin, at: path["plugin"], into: &findings)
        case .martlet(let step): checkMartlet(step, of: template, at: path, into: &findings)
        case .container, .script, .containerSet, .steps, .dag, .missing: break
        }
    }

    private func checkHTTP(_ http: JSONValue, at path: FieldPath, scope: Scope, into findings: inout Findings)
    {
        let fields = Fields(http)
        if (fields.text("url") ?? "").isEmpty {
            findings.error("http.url is required", at: path, remedy: "write url: https://...")
        }
        for (index, header) in fields.list("headers").enumerated()
        where (header["name"]?.stringValue ?? "").isEmpty {
            findings.error("the header's name is required", at: path["headers"][index])
        }
        if let condition = fields.string("successCondition"), !condition.isEmpty {
            checkExpression(
                condition, at: path["successCondition"], scope: scope, names: ["request", "response"],
                into: &findings)
        }
        if fields.text("body") != nil, fields["bodyFrom"] != nil {
            findings.error(
                "body and bodyFrom cannot both be given", at: path["bodyFrom"], remedy: "keep one of them")
        }
    }

    private func checkResource(
        _ resource: JSONValue, of template: Template, at path: FieldPath, into findings: inout Findings
    ) {
        if options.target == .local, !options.mayHaveCluster {
            findings.error(
                "resource templates need Kubernetes, and this workflow is to run on this machine", at: path,
                remedy:
                    "run it with --executor kubernetes, or do the same work in a container or script template"
            )
        }
        let fields = Fields(resource)
        let actions = ["get", "create", "apply", "delete", "replace", "patch"]
        let action = fields.string("action") ?? ""
        if action.isEmpty {
            findings.error(
                "resource.action must be one of: " + actions.joined(separator: ", "), at: path,
                remedy: "write action: ...")
        }
        checkWord(action, among: actions, of: "resource.action", at: path["action"], into: &findings)
        guard !["delete", "get"].contains(action) else { return }
        let hasManifest = !(fields.text("manifest") ?? "").isEmpty
        let source = fields.object("manifestFrom")
        if !hasManifest, source == nil {
            findings.error("either resource.manifest or resource.manifestFrom must be specified", at: path)
        } else if hasManifest, source != nil {
            findings.error(
                "shouldn't have both manifest and manifestFrom", at: path["manifestFrom"],
                remedy: "keep one of them")
        }
        if let name = source?.object("artifact")?.text("name"), template.inputs.artifact(name) == nil {
            findings.error(
                "manifestFrom refers to artifact '\(name)', which is not an input",
                at: path["manifestFrom"]["artifact"]["name"],
                remedy: remedy(
                    for: name, among: template.inputs.artifacts.map(\.name), called: "input artifacts"))
        }
    }

    private func checkData(_ data: JSONValue, at path: FieldPath, scope: Scope, into findings: inout Findings)
    {
        guard let source = Fields(data).object("source")?.object("artifactPaths") else {
            findings.error(
                "data.source.artifactPaths is required", at: path,
                remedy: "name the store whose paths are to be listed, such as s3")
            return
        }
        checkLocation(
            Artifact(.object(source.members)), at: path["source"]["artifactPaths"], into: &findings)
        for (index, step) in Fields(data).list("transformation").enumerated() {
            let expression = step["expression"]?.stringValue ?? ""
            let path = path["transformation"][index]["expression"]
            checkExpression(expression, at: path, scope: scope, names: ["data"], into: &findings)
        }
    }

    private func checkPlugin(_ plugin: JSONValue, at path: FieldPath, into findings: inout Findings) {
        let members = plugin.objectValue ?? [:]
        if members.count != 1 {
            findings.error(
                "plugin must have exactly one member, the plugin's name", at: path,
                remedy: "write plugin: {NAME: {...}}")
        }
        if let martlet = members["martlet"] {
            let kinds = MartletStep.Kind.allCases.map(\.rawValue)
            let written = martlet.objectValue?.keys.sorted().first ?? ""
            findings.error(
                written.isEmpty ? "no step is named in plugin.martlet" : "Martlet has no step '\(written)'",
                at: path["martlet"], remedy: remedy(for: written, among: kinds, called: "steps"))
        } else if options.target != .argo, let name = members.keys.sorted().first {
            findings.error(
                "plugin '\(name)' cannot run here: there are no executor plugins", at: path,
                remedy: "the only plugin is martlet; do the work in a container or script template")
        }
    }

    private func checkMartlet(
        _ step: MartletStep, of template: Template, at path: FieldPath, into findings: inout Findings
    ) {
        if options.target == .argo {
            findings.error(
                "Argo Workflows does not know the step '\(step.kind.rawValue)'", at: path[step.kind.rawValue],
                remedy: "run martlet convert --to argo, which makes container templates of these steps")
        }
        let nested = Fields(template.raw["plugin"]).object("martlet")
        if let nested, nested.members.count > 1 {
            findings.error(
                "plugin.martlet must name exactly one step", at: path["plugin"]["martlet"],
                remedy: "make a template of its own for each step")
        }
        checkStep(
            step, of: template, at: path.place(of: step, in: template), inputs: path["inputs"],
            into: &findings)
    }
}
