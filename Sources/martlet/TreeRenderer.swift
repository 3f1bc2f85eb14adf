// What `martlet get`, `run` and `watch` show of a run: a header and the tree of its nodes, as `argo get`
// prints them. Pure: the same state and options give the same text.

import Scheduling
import Text
import WorkflowLanguage

/// What a tree is drawn with.
struct TreeOptions {
    enum Columns {
        case standard, wide, short
    }

    var isColored = false
    var now: Timestamp
    /// Where the moments of the header are read.
    var zone: TimeZoneRules
    var columns = Columns.standard
    /// Only nodes that match are drawn.
    var selector: NodeSelector?
    /// Lines are cut to so many characters; nil leaves them whole.
    var width: Int?

    init(isColored: Bool = false, now: Timestamp, zone: TimeZoneRules = LocalZone.rules) {
        self.isColored = isColored
        self.now = now
        self.zone = zone
    }
}

enum TreeRenderer {
    /// Header and tree; ends with a newline.
    static func render(state: WorkflowState, options: TreeOptions) -> String {
        let tree = treeLines(state, options)
        if options.columns == .short { return text(tree) }
        return text(RunHeader(state: state, options: options).lines + (tree.isEmpty ? [] : [""] + tree))
    }

    /// One line of summary and the tree, for a screen that is drawn again and again; no newline at the end.
    static func renderTreeOnly(state: WorkflowState, options: TreeOptions) -> String {
        var summary = "\(state.name)  \(RunHeader.status(state))  \(state.progress.text)"
        if let started = state.startedAt {
            summary += "  \(HumanTime.long((state.finishedAt ?? options.now) - started))"
        }
        if !state.message.isEmpty { summary += "  \(state.message.printable)" }
        return ([cut(summary, options.width)] + treeLines(state, options)).joined(separator: "\n")
    }

    private static func text(_ lines: [String]) -> String { lines.map { $0 + "\n" }.joined() }

    private static func treeLines(_ state: WorkflowState, _ options: TreeOptions) -> [String] {
        let tree = NodeTree(state: state, selector: options.selector)
        guard !tree.roots.isEmpty else { return [] }
        var rows = TreeRows(state: state, options: options)
        for (index, items) in tree.roots.enumerated() {
            if index > 0 { rows.table.add([""]) }
            for item in items { rows.add(item, " ", " ") }
        }
        return rows.table.lines.map { cut($0, options.width) }
    }

    /// Cuts a line; color codes, which end with `m`, do not count.
    private static func cut(_ line: String, _ width: Int?) -> String {
        guard let width, line.unicodeScalars.count > width else { return line }
        var result = String.UnicodeScalarView()
        var count = 0
        var isCode = false
        for scalar in line.unicodeScalars {
            if scalar == "\u{1B}" { isCode = true }
            if isCode {
                result.append(scalar)
                if scalar == "m" { isCode = false }
            } else if count < width {
                result.append(scalar)
                count += 1
            }
        }
        return String(result)
    }
}

/// The lines of the tree with their columns.
private struct TreeRows {
    var table = TextTable(padding: 2)
    private let state: WorkflowState
    private let options: TreeOptions

    init(state: WorkflowState, options: TreeOptions) {
        self.state = state
        self.options = options
        switch options.columns {
        case .standard: table.add(["STEP", "TEMPLATE", "PODNAME", "DURATION", "MESSAGE"])
        case .short: table.add(["STEP", "TEMPLATE", "PODNAME", "DURATION", "MESSAGE", "NODENAME"])
        case .wide:
            table.add([
                "STEP", "TEMPLATE", "PODNAME", "DURATION", "ARTIFACTS", "MESSAGE", "RESOURCESDURATION",
                "NODENAME",
            ])
        }
    }

    /// - Parameters:
    ///   - lead: what stands before the item's own icon.
    ///   - indent: what stands before the branches of its children.
    mutating func add(_ item: TreeItem, _ lead: String, _ indent: String) {
        let last = item.children.count - 1
        guard let node = item.node else {
            // A step group has no line: its first step continues the branch that leads to it.
            for (index, child) in item.children.enumerated() {
                let branch = last == 0 ? "──" : index == 0 ? "┬─" : index == last ? "└─" : "├─"
                add(child, (index == 0 ? lead : indent) + branch, indent + (index == last ? "  " : "│ "))
            }
            return
        }
        table.add(cells(node, lead))
        for (index, child) in item.children.enumerated() {
            add(child, indent + (index == last ? "└─" : "├─"), indent + (index == last ? "  " : "│ "))
        }
    }

    private func cells(_ node: Node, _ lead: String) -> [TextTable.Cell] {
        let icon = NodeIcon(node)
        let name = node.displayName.printable
        let step = TextTable.Cell(
            "\(lead)\(icon.symbol) \(name)",
            shown: "\(lead)\(options.isColored ? icon.colored : icon.symbol) \(name)")
        var pod = ""
        var duration = ""
        if node.type == .pod {
            pod = Node.podName(workflow: state.name, nodeName: node.name, template: node.templateName)
            if let started = node.startedAt {
                duration = HumanTime.short((node.finishedAt ?? options.now) - started)
            }
        }
        let host = node.type == .pod ? node.hostNodeName : ""
        let message = node.message.printable
        var texts = [template(node), pod, duration]
        switch options.columns {
        case .standard: texts.append(message)
        case .short: texts += [message, host]
        case .wide:
            texts += [
                node.outputs.artifacts.map(\.name).joined(separator: ","), message,
                RunHeader.resources(node.resourcesDuration), host,
            ]
        }
        return [step] + texts.map { TextTable.Cell($0) }
    }

    private func template(_ node: Node) -> String {
        if let reference = node.templateRef, let name = reference["name"]?.stringValue {
            return "\(name)/\(reference["template"]?.stringValue ?? "")"
        }
        return node.templateName
    }
}

/// The sign and color of a node's phase.
struct NodeIcon {
    let symbol: String
    private let code: String

    init(_ node: Node) {
        if node.type == .suspend, node.phase == .running {
            (symbol, code) = ("ǁ", "36")
            return
        }
        switch node.phase {
        case .pending: (symbol, code) = ("◷", "33")
        case .running: (symbol, code) = ("●", "36")
        case .succeeded: (symbol, code) = ("✔", "32")
        case .skipped: (symbol, code) = ("○", "39")
        case .failed: (symbol, code) = ("✖", "31")
        case .error: (symbol, code) = ("⚠", "31")
        case .omitted: (symbol, code) = (" ", "39")
        }
    }

    var colored: String { "\u{1B}[\(code)m\(symbol)\u{1B}[0m" }
}
