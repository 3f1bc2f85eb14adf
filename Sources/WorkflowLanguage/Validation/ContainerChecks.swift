// Containers: image, command, volumes, and the order of a container set.

import Text

extension ValidationContext {
    /// The containers of a template: main ones, init containers, sidecars.
    func checkContainers(of template: Template, at path: FieldPath, into findings: inout Findings) {
        switch template.kind {
        case .container(let container):
            checkMain(container, "container", of: template, at: path["container"], into: &findings)
        case .script(let container, let source):
            checkMain(container, "script", of: template, at: path["script"], into: &findings)
            if source.isEmpty, defaults("script")["source"] == nil {
                findings.warning(
                    "script.source is empty", at: path["script"], remedy: "write the program under source: |")
            }
        case .containerSet(let set):
            checkSet(set, of: template, at: path["containerSet"], into: &findings)
        default: break
        }
        for (key, containers) in [
            ("initContainers", template.initContainers), ("sidecars", template.sidecars),
        ] {
            for (index, container) in containers.enumerated() where container.name.isEmpty {
                findings.error(
                    "\(key) must all have container name", at: path[key][index], remedy: "write name: ...")
            }
            let entries = named(containers.map(\.name), at: path[key]).filter { !$0.name.isEmpty }
            checkNames(entries, .container, of: "container", into: &findings)
            for (index, container) in containers.enumerated() {
                checkCommand(
                    container, key: key, defaults: Fields(nil), at: path[key][index], into: &findings)
                checkContents(of: container, in: template, at: path[key][index], into: &findings)
            }
        }
    }

    private func checkMain(
        _ container: Container, _ key: String, of template: Template, at path: FieldPath,
        into findings: inout Findings
    ) {
        checkCommand(container, key: key, defaults: defaults(key), at: path, into: &findings)
        checkContents(of: container, in: template, at: path, into: &findings)
        checkMountPaths(of: container, in: template, at: path, into: &findings)
    }

    /// An image, which Kubernetes needs, and a command, which a machine without images needs.
    private func checkCommand(
        _ container: Container, key: String, defaults: Fields, at path: FieldPath,
        into findings: inout Findings
    ) {
        let image = container.image.isEmpty ? defaults.string("image") ?? "" : container.image
        if image.isEmpty {
            let message = "\(key).image may not be empty"
            if options.target == .local, options.allowMissingImage {
                findings.warning(
                    message, at: path, remedy: "local steps need none, but Kubernetes does: write image: ...")
            } else {
                findings.error(message, at: path, remedy: "write image: ...")
            }
        }
        guard options.target == .local, container.command.isEmpty, defaults.strings("command").isEmpty,
            !options.mappedImages.contains(image)
        else { return }
        findings.error(
            "\(key).command is needed to run here, since the image's own command is not known", at: path,
            remedy: key == "script"
                ? "write the interpreter, such as command: [sh] or command: [python3]"
                : "write out the command of image \"\(image)\", such as command: [sh, -c], or map the image"
                    + " in the settings")
    }

    private func checkContents(
        of container: Container, in template: Template, at path: FieldPath, into findings: inout Findings
    ) {
        for (index, variable) in container.environment.enumerated() where variable.name.isEmpty {
            findings.error("the environment variable's name is required", at: path["env"][index])
        }
        checkMounts(container.volumeMounts, in: template, at: path, into: &findings)
        checkClaims(of: container, in: template, at: path["resources"]["claims"], into: &findings)
    }

    private func checkMounts(
        _ mounts: [VolumeMount], in template: Template, at path: FieldPath, into findings: inout Findings
    ) {
        for (index, mount) in mounts.enumerated() {
            let path = path["volumeMounts"][index]
            if mount.mountPath.isEmpty { findings.error("mountPath is required", at: path) }
            // A patch may bring any volume.
            guard let volumes, template.raw["podSpecPatch"] == nil, owner.spec.raw["podSpecPatch"] == nil,
                owner.spec.templateDefaults == nil, !Tag.isIn(mount.name)
            else { continue }
            let known = volumes.union(template.volumes.compactMap { $0["name"]?.stringValue })
            if !known.contains(mount.name), !known.contains(where: Tag.isIn) {
                findings.error(
                    "volume '\(mount.name)' is not defined", at: path["name"],
                    remedy: remedy(for: mount.name, among: known, called: "volumes"))
            }
        }
    }

    private func checkClaims(
        of container: Container, in template: Template, at path: FieldPath, into findings: inout Findings
    ) {
        let used = Fields(container.raw["resources"]).list("claims")
        guard !used.isEmpty, owner.isDocument else { return }
        let known =
            (Fields(template.raw).list("resourceClaims") + Fields(owner.spec.raw).list("resourceClaims"))
            .compactMap { $0["name"]?.stringValue }
        for (index, claim) in used.enumerated() {
            guard let name = claim["name"]?.stringValue, !known.contains(name), !Tag.isIn(name) else {
                continue
            }
            findings.error(
                "resource claim '\(name)' is not defined", at: path[index]["name"],
                remedy: remedy(for: name, among: known, called: "resourceClaims"))
        }
    }

    /// Nothing may be mounted where something else is.
    private func checkMountPaths(
        of container: Container, in template: Template, at path: FieldPath, into findings: inout Findings
    ) {
        var mounted: [String: String] = [:]
        for (index, mount) in container.volumeMounts.enumerated() where !mount.mountPath.isEmpty {
            if let other = mounted[mount.mountPath] {
                findings.error(
                    "mountPath '\(mount.mountPath)' already mounted in \(other)",
                    at: path["volumeMounts"][index]["mountPath"])
            }
            mounted[mount.mountPath] = "volumeMounts.\(mount.name)"
        }
        let inputs = FieldPath(path.elements.dropLast())["inputs"]["artifacts"]
        for (index, artifact) in template.inputs.artifacts.enumerated() {
            guard let text = artifact.path, !text.isEmpty else { continue }
            if let other = mounted[text] {
                findings.error(
                    "path '\(text)' already mounted in \(other)", at: inputs[index]["path"],
                    remedy: "give the artifact another path")
            }
            mounted[text] = "inputs.artifacts.\(artifact.name)"
        }
    }
}

extension ValidationContext {
    private func checkSet(
        _ set: ContainerSet, of template: Template, at path: FieldPath, into findings: inout Findings
    ) {
        let names = set.containers.map(\.name)
        if names.isEmpty {
            findings.error(
                "containerSet must have at least one container", at: path, remedy: "write containers: [...]")
            return
        }
        checkNames(named(names, at: path["containers"]), .container, of: "container", into: &findings)
        for (index, container) in set.containers.enumerated() {
            let path = path["containers"][index]
            checkCommand(
                container, key: "containerSet.containers.\(container.name)", defaults: Fields(nil), at: path,
                into: &findings)
            checkContents(of: container, in: template, at: path, into: &findings)
            for (position, dependency) in container.dependencies.enumerated()
            where !names.contains(dependency) {
                findings.error(
                    "containerSet.containers.\(container.name) dependency '\(dependency)' not defined",
                    at: path["dependencies"][position],
                    remedy: remedy(for: dependency, among: names, called: "containers"))
            }
        }
        checkMounts(set.volumeMounts, in: template, at: path, into: &findings)
        let graph = DependencyGraph(
            Dictionary(
                set.containers.map { ($0.name, $0.dependencies) }, uniquingKeysWith: { first, _ in first }))
        for cycle in graph.cycles(startingFrom: names) {
            findings.error(
                "containerSet has a dependency cycle: " + cycle.joined(separator: "->"),
                at: path["containers"],
                remedy: "remove one of these dependencies")
        }
        let outputs = template.outputs
        if !template.inputs.artifacts.isEmpty || !outputs.parameters.isEmpty || !outputs.artifacts.isEmpty,
            !names.contains("main")
        {
            findings.error(
                "containerSet must have a container named \"main\" for input or output",
                at: path["containers"],
                remedy: "name the container that reads the inputs and leaves the outputs \"main\"")
        }
        if let retries = set.retries, !Tag.isIn(retries), Int(retries) == nil {
            findings.error(
                "retries '\(retries)' is not a whole number", at: path["retryStrategy"]["retries"])
        }
        if let duration = set.retryDuration, !duration.isEmpty, !Durations.isGo(duration) {
            findings.error(
                "invalid duration '\(duration)'", at: path["retryStrategy"]["duration"],
                remedy: "write a number with a unit, such as 30s")
        }
    }
}
