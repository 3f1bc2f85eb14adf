// Runs the statements of a template. One evaluator renders once.
import Text

final class TemplateEvaluator {
    /// How a body ended.
    enum Flow {
        case normal, breakLoop, continueLoop
    }

    let budget = TemplateBudget()
    let now: Timestamp
    private let variables: [Int: TemplateValue]
    /// The name `loop`, if the template mentions it.
    private let loopName: TemplateName?
    private var output = PythonString()
    /// How many texts are being made that are not printed yet.
    private var captures = 0
    /// Where `generation` blocks printed, in bytes; those in a text that became a value are nowhere.
    private(set) var generations: [Range<Int>] = []
    /// The line of the template that is being run, for errors.
    var line = 1
    private var depth = 0
    /// Objects that may refer to each other in a circle; emptied at the end, so that all are freed.
    private var scopes: [TemplateScope] = []
    private var namespaces: [TemplateNamespace] = []
    private var loops: [LoopState] = []

    /// - Parameter names: the numbers of the names that the template mentions; other variables are left out.
    init(
        variables: [String: OrderedJSON], names: [String: Int], now: Timestamp
    ) throws(TemplateFailure) {
        self.now = now
        loopName = names["loop"].map { TemplateName(index: $0, text: "loop") }
        var values: [Int: TemplateValue] = [:]
        for (name, value) in variables {
            guard let index = names[name] else { continue }
            values[index] = try TemplateValue(value, budget)
        }
        self.variables = values
    }

    func render(_ body: [TemplateStatement]) throws(TemplateFailure) -> String {
        defer { release() }
        _ = try execute(body, TemplateScope(parent: nil))
        return output.swift
    }

    private func release() {
        for scope in scopes { scope.clear() }
        for namespace in namespaces { namespace.members = [] }
        for loop in loops { loop.clear() }
    }

    // MARK: Objects

    func makeNamespace() throws(TemplateFailure) -> TemplateNamespace {
        let namespace = TemplateNamespace()
        namespaces.append(namespace)
        try checkObjects()
        return namespace
    }

    /// The values of a loop then may refer to other loops.
    func keep(_ loop: LoopState) throws(TemplateFailure) {
        loops.append(loop)
        try checkObjects()
    }

    private func close(_ macro: TemplateMacro, over scope: TemplateScope) throws(TemplateFailure)
        -> TemplateValue
    {
        scopes.append(scope)
        try checkObjects()
        return .macro(TemplateClosure(macro, scope))
    }

    private func checkObjects() throws(TemplateFailure) {
        guard scopes.count + namespaces.count + loops.count <= TemplateLimits.objects else {
            throw .limit("more than \(TemplateLimits.objects) namespaces and macros are made")
        }
    }

    // MARK: Output

    private func write(_ text: PythonString) throws(TemplateFailure) {
        guard output.utf8.count + text.utf8.count <= TemplateLimits.textBytes else {
            throw .limit("the rendered text becomes longer than \(TemplateLimits.textBytes >> 20) MiB")
        }
        try budget.charge(bytes: text.utf8.count)
        output.append(text)
    }

    /// What running a body prints.
    func capture(
        _ body: [TemplateStatement], _ scope: TemplateScope
    ) throws(TemplateFailure) -> (text: PythonString, flow: Flow) {
        try capturing { () throws(TemplateFailure) in try execute(body, scope) }
    }

    func capturing(
        _ work: () throws(TemplateFailure) -> Flow
    ) throws(TemplateFailure) -> (text: PythonString, flow: Flow) {
        let outer = output
        output = PythonString()
        captures += 1
        defer {
            output = outer
            captures -= 1
        }
        let flow = try work()
        return (output, flow)
    }

    // MARK: Statements

    func execute(_ body: [TemplateStatement], _ scope: TemplateScope) throws(TemplateFailure) -> Flow {
        for statement in body {
            line = statement.line
            try budget.charge()
            switch statement.kind {
            case .text(let text): try write(text)
            case .output(let expression):
                let value = try evaluate(expression, scope)
                line = statement.line
                try write(try value.text(budget))
            default:
                let flow = try deeper { () throws(TemplateFailure) in try executeCompound(statement, scope) }
                if flow != .normal { return flow }
            }
        }
        return .normal
    }

    /// Counts calls inside each other, so that no template can overflow the stack.
    func deeper<Value>(_ work: () throws(TemplateFailure) -> Value) throws(TemplateFailure) -> Value {
        depth += 1
        defer { depth -= 1 }
        guard depth <= TemplateLimits.depth else {
            throw .limit("calls and blocks are more than \(TemplateLimits.depth) deep")
        }
        return try work()
    }

    private func executeCompound(
        _ statement: TemplateStatement, _ scope: TemplateScope
    ) throws(TemplateFailure) -> Flow {
        switch statement.kind {
        case .text, .output: break
        case .conditional(let branches, let otherwise):
            for branch in branches where try evaluate(branch.test, scope).isTrue {
                return try execute(branch.body, scope)
            }
            return try execute(otherwise, scope)
        case .loop(let loop):
            return try run(loop, over: evaluate(loop.iterable, scope), scope, recursionDepth: 0)
        case .set(let target, let expression):
            try assign(evaluate(expression, scope), to: target, scope)
        case .setBlock(let target, let filters, let body):
            let (text, flow) = try capture(body, TemplateScope(parent: scope))
            if flow != .normal { return flow }
            try assign(apply(filters, to: .string(text), scope), to: target, scope)
        case .macro(let macro):
            if let name = macro.name { scope.set(name, try close(macro, over: scope)) }
        case .call(let call, let body):
            let caller = try close(body, over: scope)
            try write(try evaluateCall(call, caller: caller, scope).text(budget))
        case .filter(let filters, let body):
            let (text, flow) = try capture(body, TemplateScope(parent: scope))
            if flow != .normal { return flow }
            try write(try apply(filters, to: .string(text), scope).text(budget))
        case .with(let assignments, let body):
            let inner = TemplateScope(parent: scope)
            for assignment in assignments {
                try assign(evaluate(assignment.value, scope), to: assignment.target, inner)
            }
            return try execute(body, inner)
        case .scope(let body): return try execute(body, TemplateScope(parent: scope))
        case .generation(let body):
            let start = output.utf8.count
            let flow = try execute(body, TemplateScope(parent: scope))
            if captures == 0 { generations.append(start..<output.utf8.count) }
            return flow
        case .breakLoop: return .breakLoop
        case .continueLoop: return .continueLoop
        case .unsupported(let problem): throw .unsupported(problem)
        }
        return .normal
    }

    private func assign(
        _ value: TemplateValue, to target: TemplateTarget, _ scope: TemplateScope
    ) throws(TemplateFailure) {
        switch target {
        case .name(let name): scope.set(name, value)
        case .attribute(let name, let attribute):
            guard case .namespace(let namespace) = lookup(name, scope) else {
                throw .wrongArguments("cannot assign attribute on non-namespace object '\(name.text)'")
            }
            try TemplateGlobals.checkName(attribute)
            namespace[attribute] = value
        case .tuple(let targets):
            let values = try unpack(value, into: targets.count)
            for (target, value) in zip(targets, values) { try assign(value, to: target, scope) }
        }
    }

    private func unpack(_ value: TemplateValue, into count: Int) throws(TemplateFailure) -> [TemplateValue] {
        guard value.isIterable else {
            throw .wrongValue("cannot unpack non-iterable \(value.typeName) object")
        }
        let values = try value.elements(budget)
        if values.count < count {
            throw .wrongValue("not enough values to unpack (expected \(count), got \(values.count))")
        }
        guard values.count == count else {
            throw .wrongValue("too many values to unpack (expected \(count))")
        }
        return values
    }

    // MARK: Names

    /// Variables come before the functions of the same name.
    func lookup(_ name: TemplateName, _ scope: TemplateScope) -> TemplateValue {
        if let value = scope.value(of: name) ?? variables[name.index] { return value }
        if TemplateGlobals.names.contains(name.text) { return .function(name.text) }
        return .undefined(TemplateUndefined(.variable(name.text)))
    }

    // MARK: Loops

    /// Runs a `for` block.
    /// - Parameter recursionDepth: how often the loop called itself to come here.
    func run(
        _ loop: TemplateLoop, over iterable: TemplateValue, _ scope: TemplateScope, recursionDepth: Int
    ) throws(TemplateFailure) -> Flow {
        let state = LoopState(
            try TemplateCursor(try filtered(iterable, loop, scope), budget), iterableDepth: iterable.depth,
            recursion: loop.isRecursive ? (loop, scope) : nil, recursionDepth: recursionDepth, budget)
        if loop.isRecursive {
            // The scope will hold the loop, and the loop the scope.
            scopes.append(scope)
            try keep(state)
        }
        var hasFinishedOne = false
        while try state.advance() {
            try budget.charge(4)
            let inner = TemplateScope(parent: scope)
            if let loopName { inner.set(loopName, .loop(state)) }
            try assign(state.current, to: loop.target, inner)
            switch try execute(loop.body, inner) {
            case .breakLoop:
                // The reference runs `else` unless some body came to its end.
                if !hasFinishedOne { return try execute(loop.otherwise, TemplateScope(parent: scope)) }
                return .normal
            case .continueLoop: continue
            case .normal: hasFinishedOne = true
            }
        }
        if !hasFinishedOne { return try execute(loop.otherwise, TemplateScope(parent: scope)) }
        return .normal
    }

    /// The elements that pass the loop's own `if`.
    private func filtered(
        _ iterable: TemplateValue, _ loop: TemplateLoop, _ scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        guard let filter = loop.filter else { return iterable }
        let cursor = try TemplateCursor(iterable, budget)
        let iterator = try TemplateIterator("generator", over: [iterable]) {
            [unowned self] () throws(TemplateFailure) in
            while let element = try cursor.next() {
                let inner = TemplateScope(parent: scope)
                try assign(element, to: loop.target, inner)
                if try evaluate(filter, inner).isTrue { return element }
            }
            return nil
        }
        return .iterator(iterator)
    }
}
