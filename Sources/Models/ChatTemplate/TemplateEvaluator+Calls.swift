// Attributes, indexes, and calls of macros, methods and functions.

extension TemplateEvaluator {
    // MARK: Members

    /// `value.name`: what Python has under the name first, then the member of a dictionary.
    func attribute(_ name: PythonString, of value: TemplateValue) throws(TemplateFailure) -> TemplateValue {
        if case .undefined(let missing) = value { throw missing.failure }
        if let attribute = try ownAttribute(name, of: value) { return attribute }
        if case .dictionary(let dictionary) = value, let member = dictionary[name] { return member }
        return .undefined(TemplateUndefined(.attribute(name, of: value.ownerName)))
    }

    /// `value[key]`: the element first, then what Python has under the name.
    func item(_ key: TemplateValue, of value: TemplateValue) throws(TemplateFailure) -> TemplateValue {
        switch value {
        case .undefined(let missing): throw missing.failure
        case .string(let text):
            try budget.charge(bytes: text.utf8.count)
            if let index = key.index, let scalar = text.scalar(at: index) { return .string(scalar) }
        case .list(let list), .tuple(let list):
            if let index = Self.place(key, list.elements.count) { return list.elements[index] }
        case .range(let range):
            if let index = Self.place(key, range.count) { return .int(range.element(index)) }
        case .dictionary(let dictionary):
            // A key that cannot be one is, like an absent one, undefined.
            if let key = try? TemplateKey(key, budget), let member = dictionary[key] { return member }
        default: break
        }
        if case .string(let name) = key {
            if let attribute = try ownAttribute(name, of: value) { return attribute }
            return .undefined(TemplateUndefined(.attribute(name, of: value.ownerName)))
        }
        return .undefined(TemplateUndefined(.element(key, of: value.ownerName)))
    }

    private static func place(_ key: TemplateValue, _ count: Int) -> Int? {
        guard let index = key.index else { return nil }
        let place = index < 0 ? index + count : index
        return place >= 0 && place < count ? place : nil
    }

    /// What a value has by its type: methods, and the members of a loop or namespace.
    private func ownAttribute(
        _ name: PythonString, of value: TemplateValue
    ) throws(TemplateFailure) -> TemplateValue? {
        switch value {
        case .namespace(let namespace): if let member = namespace[name] { return member }
        case .loop(let loop): if let member = try attribute(name.swift, of: loop) { return member }
        case .macro(let closure): if let member = try attribute(name.swift, of: closure) { return member }
        case .cycler(let cycler) where name == "current": return cycler.items[cycler.position]
        case .tuple(let list): if let place = list.names.firstIndex(of: name) { return list.elements[place] }
        case .int, .bool, .float: if let part = Self.numberPart(name.swift, of: value) { return part }
        default: break
        }
        let methods = TemplateMethods.names(of: value)
        if methods.allowed.contains(name.swift) { return .method(value, name) }
        if methods.refused.contains(name.swift) || TemplateMethods.isInternal(name) {
            return .undefined(
                TemplateUndefined(
                    .reason("access to attribute \(name.repr.swift) of '\(value.typeName)' object is unsafe.")
                ))
        }
        return nil
    }

    private static func numberPart(_ name: String, of value: TemplateValue) -> TemplateValue? {
        guard let number = value.number else { return nil }
        switch (name, number) {
        case ("real", .int(let whole)), ("numerator", .int(let whole)): return .int(whole)
        case ("real", .float(let float)): return .float(float)
        case ("imag", .int): return .int(0)
        case ("imag", .float): return .float(0)
        case ("denominator", .int): return .int(1)
        default: return nil
        }
    }

    private func attribute(_ name: String, of loop: LoopState) throws(TemplateFailure) -> TemplateValue? {
        switch name {
        case "index": .int(loop.index)
        case "index0": .int(loop.index - 1)
        case "revindex": .int(try loop.length() - loop.index + 1)
        case "revindex0": .int(try loop.length() - loop.index)
        case "first": .bool(loop.index == 1)
        case "last": .bool(try loop.peek() == nil)
        case "length": .int(try loop.length())
        case "depth": .int(loop.recursionDepth + 1)
        case "depth0": .int(loop.recursionDepth)
        case "previtem": loop.previous ?? .undefined(TemplateUndefined(.reason("there is no previous item")))
        case "nextitem": try loop.peek() ?? .undefined(TemplateUndefined(.reason("there is no next item")))
        default: nil
        }
    }

    private func attribute(
        _ name: String, of closure: TemplateClosure
    ) throws(TemplateFailure) -> TemplateValue? {
        let macro = closure.macro
        switch name {
        case "name": return macro.name.map { .text($0.text) } ?? TemplateValue.none
        case "arguments":
            let names = macro.parameters.map { TemplateValue.text($0.name.text) }
            return .tuple(try TemplateList(names, budget: budget))
        case "catch_kwargs": return .bool(macro.takesExtraNamed != nil)
        case "catch_varargs": return .bool(macro.takesExtraArguments != nil)
        case "caller":
            return .bool(macro.caller != nil || macro.parameters.contains { $0.name.text == "caller" })
        default: return nil
        }
    }

    // MARK: Calls

    func call(_ function: TemplateValue, _ arguments: CallArguments) throws(TemplateFailure) -> TemplateValue
    {
        switch function {
        case .undefined(let missing): throw missing.failure
        case .macro(let closure): return .string(try call(closure, arguments))
        case .function(let name): return try callGlobal(name, arguments)
        case .method(let receiver, let name): return try callMethod(name.swift, of: receiver, arguments)
        case .loop(let loop): return .string(try recurse(loop, arguments))
        case .joiner(let joiner):
            defer { joiner.isUsed = true }
            return joiner.isUsed ? joiner.separator : .string("")
        default: throw .wrongValue("'\(function.typeName)' object is not callable")
        }
    }

    private func recurse(_ loop: LoopState, _ arguments: CallArguments) throws(TemplateFailure)
        -> PythonString
    {
        guard let recursion = loop.recursion else {
            throw .wrongArguments("The loop must have the 'recursive' marker to be called recursively.")
        }
        let iterable = try arguments.bound("loop", ["iterable"], required: 1)[0] ?? .none
        return try deeper { () throws(TemplateFailure) in
            try capturing { () throws(TemplateFailure) in
                try run(
                    recursion.loop, over: iterable, recursion.scope, recursionDepth: loop.recursionDepth + 1)
            }.text
        }
    }

    /// Runs a macro: parameters by place, then by name, then their defaults.
    private func call(_ closure: TemplateClosure, _ arguments: CallArguments) throws(TemplateFailure)
        -> PythonString
    {
        let macro = closure.macro
        let name = PythonString(macro.name?.text ?? "caller").repr.swift
        let scope = TemplateScope(parent: closure.scope)
        var named = arguments.named
        for (index, parameter) in macro.parameters.enumerated() {
            if index < arguments.positional.count {
                scope.set(parameter.name, arguments.positional[index])
            } else if let place = named.firstIndex(where: { $0.name == PythonString(parameter.name.text) }) {
                scope.set(parameter.name, named.remove(at: place).value)
            } else if let fallback = parameter.fallback {
                scope.set(parameter.name, try evaluate(fallback, scope))
            } else {
                let reason = "parameter '\(parameter.name.text)' was not provided"
                scope.set(parameter.name, .undefined(TemplateUndefined(.reason(reason))))
            }
        }
        if let caller = macro.caller {
            let place = named.firstIndex { $0.name == "caller" }
            scope.set(
                caller,
                place.map { named.remove(at: $0).value }
                    ?? .undefined(TemplateUndefined(.reason("No caller defined"))))
        }
        if let extra = macro.takesExtraNamed {
            let entries: [TemplateDictionary.Entry] = named.map { (.string($0.name), $0.value) }
            scope.set(extra, .dictionary(try TemplateDictionary(entries, budget: budget)))
        } else if let unknown = named.first {
            throw .wrongArguments("macro \(name) takes no keyword argument \(unknown.name.repr.swift)")
        }
        let rest = Array(arguments.positional.dropFirst(macro.parameters.count))
        if let extra = macro.takesExtraArguments {
            scope.set(extra, .tuple(try TemplateList(rest, budget: budget)))
        } else if !rest.isEmpty {
            throw .wrongArguments("macro \(name) takes not more than \(macro.parameters.count) argument(s)")
        }
        return try deeper { () throws(TemplateFailure) in try capture(macro.body, scope).text }
    }
}

extension CallArguments {
    /// The arguments in the order of the parameters' names; nil for those that are not given.
    /// - Parameter required: how many of the parameters must be given.
    func bound(
        _ function: String, _ parameters: [PythonString], required: Int = 0
    ) throws(TemplateFailure) -> [TemplateValue?] {
        guard positional.count <= parameters.count else {
            throw .wrongArguments(
                "\(function) takes at most \(parameters.count) argument(s), but \(positional.count) are given"
            )
        }
        var values: [TemplateValue?] = positional
        values += Array(repeating: nil, count: parameters.count - positional.count)
        for (name, value) in named {
            guard let place = parameters.firstIndex(of: name), values[place] == nil else {
                throw .wrongArguments("\(function) got an unexpected keyword argument \(name.repr.swift)")
            }
            values[place] = value
        }
        for place in 0..<required where values[place] == nil {
            throw .wrongArguments("\(function) misses its argument \(parameters[place].repr.swift)")
        }
        return values
    }
}
