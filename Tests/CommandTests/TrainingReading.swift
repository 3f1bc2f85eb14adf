// Reads the words of training commands for tests, as the commands do.

import ArgumentParser
import Testing
import Training

@testable import martlet

enum TrainingReading {
    /// The options of some words. Groups are parsed one by one and only where something is given, as a debug
    /// build of the parser validates nested groups again at every level, which takes a large part of a second
    /// each time.
    static func options(_ words: some Sequence<String>) throws -> TrainingOptions {
        var options = try defaults.get()
        try group(words, into: &options.model)
        try group(words, into: &options.tuner)
        try group(words, into: &options.data)
        try group(words, into: &options.optimization)
        try group(words, into: &options.saving)
        try group(words, into: &options.machine)
        return options
    }

    private static let defaults = Result { try TrainingOptions.parse([]) }
    private static let defaultPreferences = Result { try PreferenceOptions.parse([]) }

    private static func group<Group: ParsableArguments>(
        _ words: some Sequence<String>, into group: inout Group
    ) throws {
        let own = ParameterTable([Group.self]).kinds
        let words = words.filter { own[String($0.dropFirst(2).prefix { $0 != "=" })] != nil }
        if !words.isEmpty { group = try Group.parse(words) }
    }

    /// The parameters that the words mean, and the notices.
    static func read(
        _ words: [String], environment: [String: String] = [:]
    ) throws -> (parameters: TrainingParameters, notices: [String]) {
        let prepared = try #require(try TrainingWords.prepared(words))
        var notices = prepared.notices
        let options = try options(prepared.words.dropFirst())
        var preferences = try defaultPreferences.get()
        try group(prepared.words.dropFirst(), into: &preferences)
        let value = { (name: String) in environment[name] }
        let parameters: TrainingParameters
        switch words[0] {
        case "pretrain":
            parameters = try options.parameters(stage: .pretrain, environment: value) { notices.append($0) }
        case "sft":
            parameters = try options.parameters(stage: .sft, environment: value) { notices.append($0) }
        case "rlhf":
            parameters = try options.parameters(stage: .rlhf, preferences: preferences, environment: value) {
                notices.append($0)
            }
        default:
            parameters = try DPOCommand.parameters(options, preferences, environment: value) {
                notices.append($0)
            }
        }
        return (parameters, notices)
    }
}
