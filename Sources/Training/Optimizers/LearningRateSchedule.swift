// The learning rate of each step, by the formulas of transformers' optimization.py.

import Glibc

/// A learning rate as a function of the step.
package struct LearningRateSchedule: Sendable, Hashable {
    package var type: TrainingParameters.SchedulerType
    /// The highest rate.
    package var learningRate: Double
    package var totalSteps: Int
    /// Steps in which the rate rises from 0; `constant` has none whatever this says, as in transformers.
    package var warmupSteps: Int
    /// The rate that `cosine_with_min_lr` ends at.
    package var minLR: Double

    package init(
        type: TrainingParameters.SchedulerType, learningRate: Double, totalSteps: Int, warmupSteps: Int = 0,
        minLR: Double = 0
    ) {
        self.type = type
        self.learningRate = learningRate
        self.totalSteps = totalSteps
        self.warmupSteps = warmupSteps
        self.minLR = minLR
    }

    /// - Parameter totalSteps: optimizer steps of the run.
    package init(_ parameters: TrainingParameters, totalSteps: Int) {
        // Written so that a ratio that is no number counts as none.
        let ratio = parameters.warmupRatio > 0 ? min(parameters.warmupRatio, 1) : 0
        let warmup =
            parameters.warmupSteps > 0
            ? parameters.warmupSteps : Int((Double(max(totalSteps, 0)) * ratio).rounded(.up))
        self.init(
            type: parameters.lrSchedulerType, learningRate: Self.learningRate(parameters),
            totalSteps: totalSteps, warmupSteps: warmup, minLR: parameters.minLR)
    }

    /// The learning rate asked for, or the default of the tuner.
    package static func learningRate(_ parameters: TrainingParameters) -> Double {
        parameters.learningRate ?? (parameters.tunerType == .full ? 1e-5 : 1e-4)
    }

    /// The rate that step `step` uses, counted from 0: with warmup, the first is 0. A step after the last has
    /// the rate of the end.
    package func rate(step: Int) -> Double { learningRate * factor(min(max(step, 0), max(totalSteps, 0))) }

    private func factor(_ step: Int) -> Double {
        if type == .constant { return 1 }
        if step < warmupSteps { return Double(step) / Double(max(1, warmupSteps)) }
        let rest = Double(max(1, totalSteps - warmupSteps))
        switch type {
        case .constant, .constantWithWarmup: return 1
        case .linear: return max(0, Double(totalSteps - step) / rest)
        case .cosine: return max(0, halfCosine(Double(step - warmupSteps) / rest))
        case .cosineWithMinLR:
            let floor = learningRate > 0 ? minLR / learningRate : 0
            return max(0, halfCosine(Double(step - warmupSteps) / rest) * (1 - floor) + floor)
        }
    }

    private func halfCosine(_ progress: Double) -> Double { 0.5 * (1 + cos(Double.pi * progress)) }
}
