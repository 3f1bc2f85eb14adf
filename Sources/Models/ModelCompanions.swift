// What lies beside a model's weights and goes with them: settings, the tokenizer, licenses.

import Glibc
import Tensors

package enum ModelCompanions {
    /// Copies what belongs to the model: not the card of the model as it was, nor other formats of its
    /// weights, nor what a trainer leaves in a checkpoint.
    /// - Parameter written: names that the caller writes itself.
    package static func copy(
        from directory: String, to target: String, except written: Set<String> = []
    ) throws {
        for name in StagedDirectory.names(in: directory) where belongs(name) && !written.contains(name) {
            let path = "\(directory)/\(name)"
            var status = stat()
            guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            let source = try MappedFile(path: path)
            let file = try AtomicFile(path: "\(target)/\(name)")
            try file.write(source.bytes)
            try file.commit()
        }
    }

    private static func belongs(_ name: String) -> Bool {
        if name.hasPrefix("LICENSE") || name.hasPrefix("NOTICE") { return true }
        guard !name.hasPrefix("."), !name.hasSuffix(".index.json"), !name.hasPrefix("adapter_") else {
            return false
        }
        let others = [
            "args.json", "trainer_state.json", "additional_config.json", "quantize_config.json",
            "quant_config.json", "quantization_report.json",
        ]
        if others.contains(name) { return false }
        return [".json", ".jinja", ".model", ".txt", ".tiktoken", ".py"].contains { name.hasSuffix($0) }
    }
}
