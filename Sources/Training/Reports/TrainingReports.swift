// What a trainer tells its log: a step is done, an evaluation is done, the run is done.

/// A measured value with the name that ms-swift gives it, such as `rewards/chosen`.
package struct NamedValue: Sendable, Hashable {
    package var name: String
    package var value: Double

    package init(_ name: String, _ value: Double) {
        self.name = name
        self.value = value
    }
}

/// One update is done.
package struct StepReport: Sendable, Hashable {
    /// Updates done; 1 after the first.
    package var step: Int
    /// Passes over the data, with a fraction.
    package var epoch: Double
    package var loss: Double
    /// Before clipping.
    package var gradNorm: Double
    /// What the update was made with.
    package var learningRate: Double
    /// The share of learned tokens that had the highest logit; nil where it is not measured.
    package var tokenAccuracy: Double?
    /// Tokens that were learned from.
    package var trainedTokens: Int
    package var samples: Int
    /// `rlhf`: rewards and log-probabilities, in the order in which they are to be shown.
    package var extras: [NamedValue]

    package init(
        step: Int, epoch: Double, loss: Double, gradNorm: Double, learningRate: Double,
        tokenAccuracy: Double? = nil, trainedTokens: Int, samples: Int, extras: [NamedValue] = []
    ) {
        self.step = step
        self.epoch = epoch
        self.loss = loss
        self.gradNorm = gradNorm
        self.learningRate = learningRate
        self.tokenAccuracy = tokenAccuracy
        self.trainedTokens = trainedTokens
        self.samples = samples
        self.extras = extras
    }
}

/// The validation data were gone through.
package struct EvaluationReport: Sendable, Hashable {
    package var step: Int
    package var epoch: Double
    package var loss: Double
    package var tokenAccuracy: Double?
    package var runtimeSeconds: Double
    package var samples: Int
    package var batches: Int
    /// Without the `eval_` that their names get.
    package var extras: [NamedValue]

    package init(
        step: Int, epoch: Double, loss: Double, tokenAccuracy: Double? = nil, runtimeSeconds: Double,
        samples: Int, batches: Int, extras: [NamedValue] = []
    ) {
        self.step = step
        self.epoch = epoch
        self.loss = loss
        self.tokenAccuracy = tokenAccuracy
        self.runtimeSeconds = runtimeSeconds
        self.samples = samples
        self.batches = batches
        self.extras = extras
    }
}

/// The run came to its end.
package struct RunReport: Sendable, Hashable {
    package var totalFlos: Double
    /// A sentence about the model's and the trained parameters.
    package var modelParameterInfo: String
    package var lastModelCheckpoint: String?
    package var bestModelCheckpoint: String?
    package var bestMetric: Double?
    /// "Dataset Token Length: ..." of ms-swift.
    package var trainDataset: String
    package var valDataset: String?

    package init(
        totalFlos: Double = 0, modelParameterInfo: String, lastModelCheckpoint: String? = nil,
        bestModelCheckpoint: String? = nil, bestMetric: Double? = nil, trainDataset: String,
        valDataset: String? = nil
    ) {
        self.totalFlos = totalFlos
        self.modelParameterInfo = modelParameterInfo
        self.lastModelCheckpoint = lastModelCheckpoint
        self.bestModelCheckpoint = bestModelCheckpoint
        self.bestMetric = bestMetric
        self.trainDataset = trainDataset
        self.valDataset = valDataset
    }
}
