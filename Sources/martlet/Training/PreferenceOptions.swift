// The parameters that only learning from preferences has: `martlet rlhf` and `martlet dpo`.

import ArgumentParser
import Training

extension TrainingParameters.PreferenceMethod: ExpressibleByArgument {}
extension TrainingParameters.PreferenceLossType: ExpressibleByArgument {}

/// `--rlhf_type` and its kin. What one method only has is nil unless given, so that it can be said where it
/// has no effect.
struct PreferenceOptions: ParsableArguments {
    @Option(help: ArgumentHelp("dpo, orpo, simpo, cpo or kto; dpo unless given.", valueName: "TYPE"))
    var rlhfType: TrainingParameters.PreferenceMethod?

    @Option(
        help: ArgumentHelp("dpo: sigmoid, hinge or ipo; sigmoid unless given.", valueName: "TYPE"))
    var lossType: TrainingParameters.PreferenceLossType?

    @Option(
        help: ArgumentHelp(
            "How strongly answers are pulled apart; 0.1, simpo 2 unless given.", valueName: "BETA"))
    var beta: Double?

    @Option(
        help: ArgumentHelp("dpo, cpo: share of the pairs held to be swapped; 0 unless given.", valueName: "P")
    )
    var labelSmoothing: Double?

    @Option(help: ArgumentHelp("dpo: weight of the chosen answers' loss beside it.", valueName: "ALPHA"))
    var rpoAlpha: Double?

    @Option(
        help: ArgumentHelp("cpo: weight of the chosen answers' loss; 1 unless given.", valueName: "ALPHA"))
    var cpoAlpha: Double?

    @Option(help: ArgumentHelp("simpo: the margin that is asked for; 1 unless given.", valueName: "GAMMA"))
    var simpoGamma: Double?

    @Option(help: ArgumentHelp("kto: weight of good answers; 1 unless given.", valueName: "WEIGHT"))
    var desirableWeight: Double?

    @Option(help: ArgumentHelp("kto: weight of bad answers; 1 unless given.", valueName: "WEIGHT"))
    var undesirableWeight: Double?

    @Option(
        help: ArgumentHelp(
            "dpo, kto: the model to compare with; the trained one as it was unless given.", valueName: "DIR"))
    var refModel: String?

    @Option(help: ArgumentHelp("dpo, kto: adapters of the model to compare with.", valueName: "DIR"))
    var refAdapters: [String] = []

    @Option(
        help: ArgumentHelp(
            "dpo, kto: ask the model to compare with once, before training; true unless given.",
            valueName: "true|false"))
    var precomputeRefLogProbs: Bool?

    func fill(_ parameters: inout TrainingParameters) {
        if let rlhfType { parameters.rlhfType = rlhfType }
        if let lossType { parameters.lossType = lossType }
        parameters.beta = beta
        if let labelSmoothing { parameters.labelSmoothing = labelSmoothing }
        parameters.rpoAlpha = rpoAlpha
        if let cpoAlpha { parameters.cpoAlpha = cpoAlpha }
        if let simpoGamma { parameters.simpoGamma = simpoGamma }
        if let desirableWeight { parameters.desirableWeight = desirableWeight }
        if let undesirableWeight { parameters.undesirableWeight = undesirableWeight }
        parameters.refModel = refModel
        parameters.refAdapters = refAdapters
        if let precomputeRefLogProbs { parameters.precomputeRefLogProbs = precomputeRefLogProbs }
    }

    /// Parameters that were given although the method does not have them, each with the methods that do.
    func withoutEffect(for method: TrainingParameters.PreferenceMethod) -> [(name: String, owners: String)] {
        typealias Method = TrainingParameters.PreferenceMethod
        let owned: [(name: String, isGiven: Bool, owners: [Method])] = [
            ("loss_type", lossType != nil, [.dpo]),
            ("label_smoothing", labelSmoothing != nil, [.dpo, .cpo]),
            ("rpo_alpha", rpoAlpha != nil, [.dpo]),
            ("cpo_alpha", cpoAlpha != nil, [.cpo]),
            ("simpo_gamma", simpoGamma != nil, [.simpo]),
            ("desirable_weight", desirableWeight != nil, [.kto]),
            ("undesirable_weight", undesirableWeight != nil, [.kto]),
            ("ref_model", refModel != nil, [.dpo, .kto]),
            ("ref_adapters", !refAdapters.isEmpty, [.dpo, .kto]),
            ("precompute_ref_log_probs", precomputeRefLogProbs != nil, [.dpo, .kto]),
        ]
        return owned.filter { $0.isGiven && !$0.owners.contains(method) }.map {
            ($0.name, $0.owners.map(\.rawValue).joined(separator: " and "))
        }
    }
}
