// The parameters of a training run that say how it learns: steps, learning rate, optimizer.

import ArgumentParser
import Training

extension TrainingParameters.SchedulerType: ExpressibleByArgument {}
extension TrainingParameters.OptimizerType: ExpressibleByArgument {}
extension TrainingParameters.LossReduction: ExpressibleByArgument {}

/// `--num_train_epochs` and its kin.
struct OptimizationOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How often the data is gone through.", valueName: "EPOCHS"))
    var numTrainEpochs = TrainingParameters().numTrainEpochs

    @Option(help: ArgumentHelp("Steps, in place of epochs; -1 for epochs.", valueName: "N"))
    var maxSteps = TrainingParameters().maxSteps

    @Option(help: ArgumentHelp("Rows (or packs) computed at once.", valueName: "N"))
    var perDeviceTrainBatchSize = TrainingParameters().perDeviceTrainBatchSize

    @Option(help: ArgumentHelp("The same in evaluations.", valueName: "N"))
    var perDeviceEvalBatchSize = TrainingParameters().perDeviceEvalBatchSize

    @Option(
        help: ArgumentHelp("Batches that make a step; as many as make 16 rows unless given.", valueName: "N"))
    var gradientAccumulationSteps: Int?

    @Option(help: ArgumentHelp("1e-4 for lora and 1e-5 for full unless given.", valueName: "RATE"))
    var learningRate: Double?

    @Option(
        help: ArgumentHelp(
            "cosine, linear, constant, constant_with_warmup or cosine_with_min_lr.", valueName: "TYPE"))
    var lrSchedulerType = TrainingParameters().lrSchedulerType

    @Option(help: ArgumentHelp("Share of the steps in which the rate rises.", valueName: "SHARE"))
    var warmupRatio = TrainingParameters().warmupRatio

    @Option(help: ArgumentHelp("Steps in which the rate rises; counts over the ratio.", valueName: "N"))
    var warmupSteps = TrainingParameters().warmupSteps

    @Option(help: ArgumentHelp("cosine_with_min_lr: where the rate ends.", valueName: "RATE"))
    var minLr = TrainingParameters().minLR

    @Option(help: ArgumentHelp("adamw_torch, adamw_8bit, sgd or lion.", valueName: "OPTIMIZER"))
    var optim = TrainingParameters().optimizer

    @Option(help: ArgumentHelp("How much of itself a weight loses in a step.", valueName: "DECAY"))
    var weightDecay = TrainingParameters().weightDecay

    @Option(help: ArgumentHelp("Memory of the mean of gradients.", valueName: "BETA"))
    var adamBeta1 = TrainingParameters().adamBeta1

    @Option(help: ArgumentHelp("Memory of the mean of squares.", valueName: "BETA"))
    var adamBeta2 = TrainingParameters().adamBeta2

    @Option(help: ArgumentHelp("Keeps AdamW from dividing by zero.", valueName: "EPSILON"))
    var adamEpsilon = TrainingParameters().adamEpsilon

    @Option(help: ArgumentHelp("sgd: memory of the gradients.", valueName: "MOMENTUM"))
    var momentum = TrainingParameters().momentum

    @Option(help: ArgumentHelp("Longer gradients are cut to this norm; 0 for never.", valueName: "NORM"))
    var maxGradNorm = TrainingParameters().maxGradNorm

    @Option(
        help: ArgumentHelp("Keep a moving average of the weights, with this memory.", valueName: "DECAY"))
    var emaDecay: Double?

    @Option(
        help: ArgumentHelp(
            "Compute activations again on the way back: less memory, more time.", valueName: "true|false"))
    var gradientCheckpointing = TrainingParameters().gradientCheckpointing

    @Option(
        help: ArgumentHelp(
            "Average over the tokens of a step (token), or over the means of its batches (micro_mean).",
            valueName: "token|micro_mean"))
    var lossReduction = TrainingParameters().lossReduction

    @Option(help: ArgumentHelp("Noise on the embeddings (NEFTune); 0 for none.", valueName: "ALPHA"))
    var neftuneNoiseAlpha = TrainingParameters().neftuneNoiseAlpha

    func fill(_ parameters: inout TrainingParameters) {
        parameters.numTrainEpochs = numTrainEpochs
        parameters.maxSteps = maxSteps
        parameters.perDeviceTrainBatchSize = perDeviceTrainBatchSize
        parameters.perDeviceEvalBatchSize = perDeviceEvalBatchSize
        parameters.gradientAccumulationSteps = gradientAccumulationSteps
        parameters.learningRate = learningRate
        parameters.lrSchedulerType = lrSchedulerType
        parameters.warmupRatio = warmupRatio
        parameters.warmupSteps = warmupSteps
        parameters.minLR = minLr
        parameters.optimizer = optim
        parameters.weightDecay = weightDecay
        parameters.adamBeta1 = adamBeta1
        parameters.adamBeta2 = adamBeta2
        parameters.adamEpsilon = adamEpsilon
        parameters.momentum = momentum
        parameters.maxGradNorm = maxGradNorm
        parameters.emaDecay = emaDecay
        parameters.gradientCheckpointing = gradientCheckpointing
        parameters.lossReduction = lossReduction
        parameters.neftuneNoiseAlpha = neftuneNoiseAlpha
    }
}
