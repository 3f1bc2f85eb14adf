// Logits and hidden states, against the models of transformers.

import Models
import Tensors
import Text

extension GoldenGroup {
    /// A model directory beside `reference.safetensors`: what the model computes for single and padded texts.
    static let model = GoldenGroup(name: "model") { folder in
        folder.has("config.json") && folder.has("reference.safetensors")
    } run: { folder, report in
        if folder.has("config.transformers5.json") { try compareConfigurations(folder, &report) }
        let reference = try ReferenceTensors(folder)
        let pool = try ThreadPool()
        let pass = WholePass(model: try CausalLanguageModel(directory: folder.path, pool: pool), pool: pool)
        let check = ModelCheck(pass: pass, reference: reference, limit: try logitsLimit(folder, reference))
        try check.single(&report)
        try check.batch(&report)
    }

    /// The same model in the style of transformers 5 must be read the same.
    private static func compareConfigurations(_ folder: GoldenFolder, _ report: inout GoldenReport) throws {
        let newer = "config.transformers5.json"
        let one = try ModelConfiguration(directory: folder.path)
        var other = try ModelConfiguration(parsing: folder.bytes(of: newer), file: folder.path(of: newer))
        // The text as it was read differs, of course.
        other.json = one.json
        let fields = zip(Mirror(reflecting: one).children, Mirror(reflecting: other).children)
        let differing = fields.filter { String(reflecting: $0.value) != String(reflecting: $1.value) }
            .map { "\($0.label ?? "") is \($0.value) in config.json and \($1.value)" }
        report.expect(
            "configurations", newer, one == other ? nil : "differs: \(differing.joined(separator: ", "))")
    }

    /// In fp32 the numbers agree but for the order of sums. In bf16 they may be as far off as twice what the
    /// reference's own bf16 is from its fp32.
    private static func logitsLimit(_ folder: GoldenFolder, _ reference: ReferenceTensors) throws -> Double {
        let measured = folder.has("manifest.json") ? try folder.json("manifest.json") : .null
        if let difference = measured["bf16_arithmetic_max_abs_diff"]?.doubleValue { return 2 * difference }
        guard let rounded = reference.floats("single.logits_bf16_arithmetic"),
            let exact = reference.floats("single.logits")
        else { return 2e-4 }
        return 2 * largestDifference(rounded, exact).difference
    }
}

/// The comparisons of one model.
private struct ModelCheck {
    let pass: WholePass
    let reference: ReferenceTensors
    let limit: Double

    /// Whole texts: the logits, and the hidden states after each layer.
    func single(_ report: inout GoldenReport) throws {
        guard let texts = try reference.rows("single.input_ids") else { return }
        let ours = try pass.run(texts)
        try compare("logits", "single.logits", ours.logits, &report)
        // The last one of the reference is after the final normalization.
        let hidden = ours.hidden.dropLast() + [ours.normalized]
        for (layer, states) in hidden.enumerated() {
            try compare("hidden states", "single.hidden.\(layer)", states, &report)
        }
        if let beyond = reference.floats("single.hidden.\(hidden.count)") {
            report.fail(
                "hidden states", "single.hidden.\(hidden.count)",
                "\(beyond.count) numbers of a layer that the model lacks")
        }
    }

    /// The same texts padded on either side. Ours need no padding: they are rows of one batch, and alone.
    func batch(_ report: inout GoldenReport) throws {
        if let texts = try reference.maskedRows("batch_right") {
            let ours = try pass.run(texts.map(\.ids))
            try compareRows("padded right", texts, ours.logits, by: "batch_right.logits", texts, &report)
        }
        if let texts = try reference.maskedRows("batch_left") {
            var logits: [Float] = []
            for text in texts { logits += try pass.run([text.ids]).logits }
            let own = reference.has("batch_left.logits")
            // Logits are given once: at the places of the right-padded texts, which are the same.
            let places = own ? texts : try reference.maskedRows("batch_right") ?? []
            try compareRows(
                "padded left", texts, logits, by: own ? "batch_left.logits" : "batch_right.logits", places,
                &report)
        }
    }

    private func compare(_ kind: String, _ name: String, _ ours: [Float], _ report: inout GoldenReport) throws
    {
        guard let expected = reference.floats(name) else { return }
        let (difference, place) = largestDifference(ours, expected)
        report.measure(
            kind, name, difference: difference, limit: limit,
            detail: describe(place, ours, expected, shape: reference.shape(name)))
    }

    /// - Parameters:
    ///   - ours: the logits of all texts, one after another, without padding.
    ///   - places: where the texts are in the reference's.
    private func compareRows(
        _ kind: String, _ texts: [ReferenceTensors.MaskedText], _ ours: [Float], by name: String,
        _ places: [ReferenceTensors.MaskedText], _ report: inout GoldenReport
    ) throws {
        guard let expected = reference.floats(name) else { return }
        let width = pass.model.configuration.vocabSize
        var start = 0
        for (row, text) in texts.enumerated() {
            let mine = Array(ours[start..<start + text.ids.count * width])
            start += mine.count
            guard places.indices.contains(row), places[row].ids == text.ids else {
                report.fail(kind, "row \(row)", "the reference has logits of another text than this row's")
                continue
            }
            let theirs = places[row].columns.flatMap { column -> ArraySlice<Float> in
                let first = (row * places[row].width + column) * width
                return first + width <= expected.count ? expected[first..<first + width] : []
            }
            let (difference, place) = largestDifference(mine, theirs)
            report.measure(
                kind, "\(name) row \(row)", difference: difference, limit: limit,
                detail: describe(place, mine, theirs, shape: [text.ids.count, width]))
        }
    }

    private func describe(_ place: Int, _ ours: [Float], _ theirs: [Float], shape: [Int]) -> String {
        guard ours.count == theirs.count, ours.indices.contains(place) else {
            return "\(ours.count) numbers, reference \(theirs.count)"
        }
        var (rest, indices) = (place, [Int]())
        for size in shape.reversed() {
            indices.insert(rest % size, at: 0)
            rest /= size
        }
        return "at \(indices) it is \(ours[place]), reference \(theirs[place])"
    }
}
