// `martlet download WHAT FILE... --flag`: words without a flag in front, given the names that they stand for.

import ArgumentParser

enum DownloadWords {
    /// The words with flags only. The first bare word is what to download, those after it are files of it;
    /// words that belong to a flag stay with it.
    static func named(_ words: [String]) -> [String] {
        guard words.first == DownloadCommand.configuration.commandName else { return words }
        let table = ParameterTable(DownloadCommand.parameterGroups)
        var named = [words[0]]
        var hasTarget = false
        var index = 1
        while index < words.count {
            let word = words[index]
            index += 1
            guard word.hasPrefix("--"), word.count > 2 else {
                // As everywhere, a file of parameters may come first.
                if index == 2, [".yaml", ".yml"].contains(where: word.hasSuffix) {
                    named.append(word)
                    continue
                }
                named.append((hasTarget ? "--include=" : "--repo=") + word)
                hasTarget = true
                continue
            }
            named.append(word)
            let name = ParameterTable.canonical(String(word.dropFirst(2).prefix { $0 != "=" }))
            if ["repo", "model", "dataset"].contains(name) { hasTarget = true }
            guard !word.contains("=") else { continue }
            var taken = 1
            switch table.kinds[name] {
            case .list: taken = .max
            case .flag:
                let isValue = index < words.count && TrainingWords.truth(words[index]) != nil
                taken = isValue ? 1 : 0
            default: break
            }
            while taken > 0, index < words.count, !words[index].hasPrefix("--") {
                named.append(words[index])
                index += 1
                taken -= 1
            }
        }
        return named
    }
}
