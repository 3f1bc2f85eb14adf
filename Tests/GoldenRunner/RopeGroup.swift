// Rotary frequencies of each scaling rule, against `modeling_rope_utils` of transformers.

import Models
import Text

extension GoldenGroup {
    /// `rope.json`: inverse frequencies and attention factors, relative to their size.
    static let rope = GoldenGroup(name: "rope") {
        $0.has("rope.json")
    } run: { folder, report in
        for (number, item) in (try folder.json("rope.json").arrayValue ?? []).enumerated() {
            // The same parameters, as transformers 5 and as transformers 4 write them.
            for style in [RopeStyle.parameters, .scaling] {
                let label = "\(number) \(item["params"]?.compactText ?? "") in \(style.rawValue)"
                do {
                    try compareRope(item, style, label, &report)
                } catch {
                    report.fail("frequencies", label, "\(error)")
                }
            }
        }
    }

    private static func compareRope(
        _ item: OrderedJSON, _ style: RopeStyle, _ label: String, _ report: inout GoldenReport
    ) throws {
        let limit = 1e-6
        let reference = try item.required("inv_freq").doubles()
        let rotary = RotaryEmbedding(
            try style.configuration(item), sequenceLength: item["seq_len"]?.intValue)
        let ours = rotary.inverseFrequencies.map { Double($0) }
        let (difference, place) = relativeDifference(ours, reference)
        report.measure(
            "frequencies", label, difference: difference, limit: limit,
            detail: ours.count == reference.count
                ? "frequency \(place) is \(ours[place]), reference \(reference[place])"
                : "\(ours.count) frequencies, reference \(reference.count)")
        guard let factor = item["attention_factor"]?.doubleValue else { return }
        report.measure(
            "attention factors", label,
            difference: relativeDifference([rotary.attentionFactor], [factor]).difference, limit: limit,
            detail: "\(rotary.attentionFactor), reference \(factor)")
    }
}

/// The two places of config.json where the parameters may stand.
private enum RopeStyle: String {
    case parameters = "rope_parameters"
    case scaling = "rope_scaling"

    /// The configuration of a model of one head.
    func configuration(_ item: OrderedJSON) throws -> ModelConfiguration {
        let parameters = try item.required("params")
        let headDim = try item.required("head_dim")
        var members: [OrderedJSON.Member] = [
            .init(key: "architectures", value: .array([.string("LlamaForCausalLM")])),
            .init(key: "hidden_size", value: headDim), .init(key: "head_dim", value: headDim),
            .init(key: "num_attention_heads", value: .int(1)),
            .init(key: "num_key_value_heads", value: .int(1)),
            .init(key: "max_position_embeddings", value: try item.required("max_position_embeddings")),
        ]
        switch self {
        case .parameters: members.append(.init(key: rawValue, value: parameters))
        case .scaling:
            if let theta = parameters["rope_theta"] { members.append(.init(key: "rope_theta", value: theta)) }
            let rule = (parameters.objectValue ?? []).filter { $0.key != "rope_theta" }
            members.append(.init(key: rawValue, value: .object(rule)))
        }
        let text = OrderedJSON.object(members).compactText
        return try ModelConfiguration(parsing: Array(text.utf8), file: "config.json of \(rawValue)")
    }
}

/// The largest difference as a share of the reference's number, and its place.
private func relativeDifference(_ ours: [Double], _ reference: [Double]) -> (difference: Double, place: Int) {
    guard ours.count == reference.count else { return (.infinity, 0) }
    var (worst, place) = (0.0, 0)
    for (index, (left, right)) in zip(ours, reference).enumerated() {
        let difference = left == right ? 0 : abs(left - right) / abs(right)
        if difference <= worst { continue }
        (worst, place) = (difference.isNaN ? .infinity : difference, index)
    }
    return (worst, place)
}
