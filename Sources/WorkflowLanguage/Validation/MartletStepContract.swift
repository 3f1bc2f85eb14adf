// What goes into and comes out of Martlet's own steps: fixed names that no manifest needs to declare.

/// The inputs and outputs that every step of a kind has.
package struct MartletStepContract: Sendable, Hashable {
    /// Artifacts that the step reads when they are among its template's inputs.
    package var inputArtifacts: [String]
    /// Artifacts that the step may give; which of them, its parameters decide.
    package var outputArtifacts: [String]
    /// Parameters that the step gives.
    package var outputParameters: [String]
    /// Whether the step also gives parameters that its data name, such as one for each metric.
    package var givesAnyParameter: Bool

    /// A contract of these names.
    package init(
        inputArtifacts: [String] = [], outputArtifacts: [String] = [], outputParameters: [String] = [],
        givesAnyParameter: Bool = false
    ) {
        self.inputArtifacts = inputArtifacts
        self.outputArtifacts = outputArtifacts
        self.outputParameters = outputParameters
        self.givesAnyParameter = givesAnyParameter
    }

    /// Whether the kind reads an input artifact of this name, without which it can be called as well.
    package func takes(_ artifact: String) -> Bool {
        let name = StepParameterTable.canonical(artifact)
        return inputArtifacts.contains { StepParameterTable.canonical($0) == name }
    }

    /// The contract of a kind.
    package init(_ kind: MartletStep.Kind) {
        switch kind {
        case .download:
            self.init(outputArtifacts: ["model", "dataset"], outputParameters: ["revision", "bytes"])
        case .tokenizer:
            self.init(
                inputArtifacts: ["dataset"], outputArtifacts: ["tokenizer"], outputParameters: ["vocab_size"])
        case .pretrain, .sft:
            self.init(
                inputArtifacts: Self.trainingInputs, outputArtifacts: Self.trainingOutputs,
                outputParameters: Self.trainingParameters)
        case .rlhf, .dpo:
            self.init(
                inputArtifacts: Self.trainingInputs + ["ref_model", "ref_adapter"],
                outputArtifacts: Self.trainingOutputs,
                outputParameters: Self.trainingParameters + ["reward_accuracy", "reward_margin"])
        case .evaluate:
            self.init(
                inputArtifacts: ["model", "adapter", "dataset"], outputArtifacts: ["report"],
                outputParameters: ["score"], givesAnyParameter: true)
        case .quantize:
            self.init(inputArtifacts: ["model", "dataset"], outputArtifacts: ["model"])
        case .merge:
            self.init(inputArtifacts: ["model", "adapter"], outputArtifacts: ["model"])
        case .generate:
            self.init(inputArtifacts: ["model", "adapter", "dataset"], outputArtifacts: ["output"])
        case .deploy:
            self.init(
                inputArtifacts: ["model", "adapter"], outputParameters: ["url", "deployment", "revision"])
        }
    }

    private static let trainingInputs = [
        "model", "dataset", "adapter", "val_dataset", "tokenizer", "init_config",
    ]
    private static let trainingOutputs = ["model", "adapter", "logs"]
    private static let trainingParameters = ["train_loss", "eval_loss", "steps", "tokens_per_second"]
}
