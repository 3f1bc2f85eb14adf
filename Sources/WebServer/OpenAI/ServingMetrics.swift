// What the server counts of its requests, and the text of it under vLLM's names, so that dashboards and
// scalers made for vLLM work here.
import Inference
import Synchronization
import Text

/// Counters and histograms of one server. Moments come in from outside.
struct ServingCounts: Sendable {
    var promptTokens = 0
    var generationTokens = 0
    var finished: [String: Int] = ["stop": 0, "length": 0, "abort": 0]
    var rejected = 0
    var timeToFirstToken = Histogram(bounds: [
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160,
        640, 2560,
    ])
    var interTokenLatency = Histogram(bounds: [
        0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
    ])
    var endToEndLatency = Histogram(bounds: latencyBounds)
    var decodeTime = Histogram(bounds: latencyBounds)
    var prompts: Histogram
    var generations: Histogram
    var maxTokens: Histogram
    var choices = Histogram(bounds: [1, 2, 5, 10, 20])

    static let latencyBounds: [Double] = [
        0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
    ]

    init(maxModelLength: Int) {
        let bounds = Histogram.oneTwoFive(upTo: maxModelLength)
        prompts = Histogram(bounds: bounds)
        generations = Histogram(bounds: bounds)
        maxTokens = Histogram(bounds: bounds)
    }
}

/// The times of one generation: when it was asked for, and when its tokens came.
struct GenerationTiming: Sendable {
    let start: Duration
    private var first: Duration?
    private var last: Duration?
    private var promptTokens = 0
    private var newTokens = 0

    init(start: Duration) { self.start = start }

    /// Counts what an update brought.
    mutating func record(_ update: GenerationUpdate, at now: Duration, in counts: inout ServingCounts) {
        promptTokens = max(promptTokens, update.promptTokens)
        guard !update.newIDs.isEmpty else { return }
        if let last {
            // Tokens that came together share the time since the ones before.
            let each = (now - last).inSeconds / Double(update.newIDs.count)
            for _ in update.newIDs { counts.interTokenLatency.observe(each) }
        } else {
            first = now
            counts.timeToFirstToken.observe((now - start).inSeconds)
            counts.promptTokens += update.promptTokens
        }
        last = now
        newTokens += update.newIDs.count
        counts.generationTokens += update.newIDs.count
    }

    /// Counts the generation's end.
    /// - Parameter reason: nil if it was given up before it ended by itself.
    func finish(_ reason: FinishReason?, at now: Duration, in counts: inout ServingCounts) {
        counts.finished[(reason ?? .abort).rawValue, default: 0] += 1
        guard reason != nil, reason != .abort else { return }
        counts.endToEndLatency.observe((now - start).inSeconds)
        if let first { counts.decodeTime.observe((now - first).inSeconds) }
        counts.prompts.observe(Double(promptTokens))
        counts.generations.observe(Double(newTokens))
    }
}

/// The counts, shared by the tasks that answer requests.
final class ServingMetrics: Sendable {
    private let counts: Mutex<ServingCounts>

    init(maxModelLength: Int) { counts = Mutex(ServingCounts(maxModelLength: maxModelLength)) }

    func update<Value: Sendable>(_ body: (inout ServingCounts) -> Value) -> Value {
        counts.withLock { body(&$0) }
    }

    /// The text for Prometheus.
    func text(modelName: String, engine: EngineStatistics, adapters: [String]) -> String {
        let counts = counts.withLock { $0 }
        var text = MetricsText(labels: [("engine", "0"), ("model_name", modelName)])
        Self.writeEngine(engine, adapters, to: &text)
        Self.writeCounters(counts, to: &text)
        Self.writeHistograms(counts, to: &text)
        return text.text
    }

    private static func writeEngine(
        _ engine: EngineStatistics, _ adapters: [String], to text: inout MetricsText
    ) {
        text.gauge(
            "vllm:num_requests_running", "Number of requests in model execution batches.",
            Double(engine.runningRequests))
        text.gauge(
            "vllm:num_requests_waiting", "Number of requests waiting to be processed.",
            Double(engine.waitingRequests))
        text.gauge(
            "vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", engine.kvCacheUsage)
        text.gauge(
            "vllm:gpu_cache_usage_perc", "The older name of vllm:kv_cache_usage_perc.", engine.kvCacheUsage)
        text.gauge(
            "vllm:cache_config_info", "Information of the KV cache's configuration.", 1,
            [("block_size", "\(engine.blockSize)"), ("num_gpu_blocks", "\(engine.totalBlocks)")])
        text.gauge(
            "vllm:lora_requests_info", "Adapters that are loaded.", Double(adapters.count),
            [("running_lora_adapters", adapters.joined(separator: ",")), ("waiting_lora_adapters", "")])
        text.counter(
            "vllm:num_preemptions", "Cumulative number of preemptions from the engine.", engine.preemptions)
        text.counter(
            "vllm:prefix_cache_queries", "Prefix cache queries, in terms of number of queried tokens.",
            engine.prefixCacheQueries)
        text.counter(
            "vllm:prefix_cache_hits", "Prefix cache hits, in terms of number of cached tokens.",
            engine.prefixCacheHits)
    }

    private static func writeCounters(_ counts: ServingCounts, to text: inout MetricsText) {
        text.counter("vllm:prompt_tokens", "Number of prefill tokens processed.", counts.promptTokens)
        text.counter(
            "vllm:generation_tokens", "Number of generation tokens processed.", counts.generationTokens)
        text.counter(
            "vllm:request_success", "Count of successfully processed requests.",
            counts.finished.sorted { $0.key < $1.key }.map { ([("finished_reason", $0.key)], $0.value) })
        text.counter(
            "vllm:admission_rejections", "Requests that were refused because the queue was full.",
            counts.rejected)
    }

    private static func writeHistograms(_ counts: ServingCounts, to text: inout MetricsText) {
        for (name, help, histogram) in [
            (
                "time_to_first_token_seconds", "Histogram of time to first token in seconds.",
                counts.timeToFirstToken
            ),
            (
                "inter_token_latency_seconds", "Histogram of inter-token latency in seconds.",
                counts.interTokenLatency
            ),
            (
                "time_per_output_token_seconds", "The older name of vllm:inter_token_latency_seconds.",
                counts.interTokenLatency
            ),
            (
                "e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.",
                counts.endToEndLatency
            ),
            (
                "request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.",
                counts.decodeTime
            ),
            ("request_prompt_tokens", "Number of prefill tokens processed.", counts.prompts),
            ("request_generation_tokens", "Number of generation tokens processed.", counts.generations),
            (
                "request_max_num_generation_tokens",
                "Histogram of maximum number of requested generation tokens.",
                counts.maxTokens
            ),
            ("request_params_n", "Histogram of the n request parameter.", counts.choices),
            ("request_params_max_tokens", "Histogram of the max_tokens request parameter.", counts.maxTokens),
        ] {
            text.histogram("vllm:" + name, help, histogram)
        }
    }
}
