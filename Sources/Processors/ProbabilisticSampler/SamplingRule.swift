internal import Sampling

/// What decided about an item: the `policy` of the metric, with otelcol's names.
enum SamplingPolicy: Int, CaseIterable {
    case traceIDHash
    case traceIDW3C
    case samplingRandomness
    case samplingPriority
    case missingRandomness
    /// The attribute that the configuration names, under its own name.
    case attribute

    func name(attribute: [UInt8]) -> String {
        switch self {
        case .traceIDHash: "trace_id_hash"
        case .traceIDW3C: "trace_id_w3c"
        case .samplingRandomness: "sampling_randomness"
        case .samplingPriority: "sampling_priority"
        case .missingRandomness: "missing_randomness"
        case .attribute: String(decoding: attribute, as: UTF8.self)
        }
    }
}

/// Why the sampling information of an item cannot be used.
enum SamplingFault: Int, CaseIterable {
    case invalidSamplingState
    case inconsistentThreshold
    case missingRandomness
    case samplingInUse
    case stateFull

    var name: String {
        switch self {
        case .invalidSamplingState: "invalid_sampling_state"
        case .inconsistentThreshold: "inconsistent_threshold"
        case .missingRandomness: "missing_randomness"
        case .samplingInUse: "sampling_in_use"
        case .stateFull: "state_full"
        }
    }

    /// For the log, where each is reported once.
    var explanation: String {
        switch self {
        case .invalidSamplingState: "the trace state or a sampling attribute of an item is malformed or too long"
        case .inconsistentThreshold: "the threshold of an item says that it should have been dropped before"
        case .missingRandomness: "an item has neither a trace id nor another source of randomness"
        case .samplingInUse:
            "an item carries sampling information of others; mode hash_seed cannot use it, equalizing and proportional can"
        case .stateFull: "the trace state of an item has no room for the threshold, which was left out"
        }
    }
}

/// The decision about one item before anything is changed.
struct SamplingVerdict {
    var threshold: Threshold
    var randomness: Randomness
    var policy: SamplingPolicy
    var fault: SamplingFault?

    var isKept: Bool { threshold.keeps(randomness) }
}

/// Mode and percentage as thresholds.
struct SamplingRule: Sendable {
    enum Kind {
        case never
        case hash
        case proportional
        case equalizing
    }

    let kind: Kind
    let hash: SeededHash
    private let ratio: Double
    private let precision: Int
    private let failsClosed: Bool
    /// For items that nobody has sampled before.
    private let threshold: Threshold

    init(_ settings: ProbabilisticSamplerSettings) {
        // In double precision only now, as otelcol does.
        ratio = max(Double(settings.percentage) / 100, Threshold.minimumProbability)
        precision = settings.precision
        failsClosed = settings.failsClosed
        hash = SeededHash(seed: settings.seed)
        switch settings.mode {
        case _ where settings.percentage == 0:
            kind = .never
            threshold = .never
        case .hashSeed:
            threshold = SeededHash.threshold(percentage: settings.percentage)
            kind = threshold == .never ? .never : .hash
        case .proportional:
            kind = .proportional
            threshold = Threshold(probability: ratio, precision: precision) ?? .never
        case .equalizing:
            kind = .equalizing
            threshold = Threshold(probability: ratio, precision: precision) ?? .never
        }
    }

    /// The threshold for an item that came with `arriving`.
    @inline(__always)
    func threshold(after arriving: Threshold?) -> Threshold {
        guard let arriving else { return threshold }
        switch kind {
        case .never, .hash: return threshold
        case .equalizing: return max(arriving, threshold)
        case .proportional: return arriving.keeping(ratio, precision: precision)
        }
    }

    /// The threshold for an item whose sampling information cannot be used. Key `fail_closed`.
    var thresholdOfFault: Threshold { failsClosed ? .never : .always }
}
