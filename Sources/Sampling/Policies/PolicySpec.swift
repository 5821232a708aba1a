/// A policy as it was configured. Names and meanings are otelcol's `tail_sampling`, where it has them.
package struct PolicySpec: Sendable {
    /// Unique among its siblings.
    package var name: String
    package var rule: PolicyRule

    package init(_ name: String, _ rule: PolicyRule) {
        self.name = name
        self.rule = rule
    }
}

/// What a policy says about a trace.
package indirect enum PolicyRule: Sendable {
    /// `always_sample`.
    case always
    /// `latency`: from the earliest start to the latest end, in whole milliseconds. Without `upper` from `threshold` on;
    /// with it above `threshold` and up to `upper`.
    case latency(threshold: Int64, upper: Int64?)
    /// `numeric_attribute`, `string_attribute`, `boolean_attribute`: an attribute of any span or resource.
    case attribute(AttributeTest, isInverted: Bool)
    /// `status_code`: any span has one of them.
    case statusCode(StatusCodes)
    /// `trace_state`: any span's member `key` has one of the values.
    case traceState(key: String, values: [String])
    /// `trace_flags`: any span has the W3C sampled flag.
    case traceFlags
    /// `span_count`: from `minimum` to `maximum`, both included; nil is no bound.
    case spanCount(minimum: Int, maximum: Int?)
    /// `probabilistic`: in percent, from 0; the hash is of the salt and the trace id.
    case probabilistic(percentage: Double, salt: String)
    /// `rate_limiting`: a bucket of spans that holds `burst`.
    case rateLimiting(spansPerSecond: Int64, burst: Int64)
    /// `bytes_limiting`: the same of encoded bytes.
    case bytesLimiting(bytesPerSecond: Int64, burst: Int64)
    /// `and`: all of them.
    case and([PolicySpec])
    /// `not`.
    case not(PolicySpec)
    /// `drop`: all of them match; the trace then goes, whatever others say.
    case drop([PolicySpec])
    /// `composite`.
    case composite(CompositeSpec)
    /// `aggregate`: a number over the spans of the trace.
    case aggregate(AggregateSpec)
    /// `same_span`, and with `isRoot` `root_span`: all of them, on one span.
    case span([PolicySpec], isRoot: Bool)
    /// `adaptive_percentage`, `adaptive_throughput`.
    case adaptive(AdaptiveSpec)
}

/// A set of span status codes.
package struct StatusCodes: OptionSet, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let unset = StatusCodes(rawValue: 1)
    package static let ok = StatusCodes(rawValue: 2)
    package static let error = StatusCodes(rawValue: 4)
}

/// A look at one attribute.
package struct AttributeTest: Sendable {
    package var key: String
    package var test: Test

    /// What the attribute's value must be.
    package enum Test: Sendable {
        /// One of these texts. An empty text of a span never matches.
        case text([String])
        /// A text that one of the patterns is found in.
        case pattern([TextPattern])
        case bool(Bool)
        /// A number within the bounds, both included; integers are compared as integers. Nil is no bound.
        case number(minimum: Int64?, maximum: Int64?)
    }

    package init(key: String, _ test: Test) {
        self.key = key
        self.test = test
    }
}

/// `composite`: sub-policies in order; the first that matches takes the trace, if its share of the spans of the present
/// second has room and the whole has.
package struct CompositeSpec: Sendable {
    /// A sub-policy and what it may let through.
    package struct Share: Sendable {
        package var policy: PolicySpec
        /// Spans a second.
        package var spansPerSecond: Int64

        package init(_ policy: PolicySpec, spansPerSecond: Int64) {
            self.policy = policy
            self.spansPerSecond = spansPerSecond
        }
    }

    package var spansPerSecond: Int64
    package var shares: [Share]

    package init(spansPerSecond: Int64, shares: [Share]) {
        self.spansPerSecond = spansPerSecond
        self.shares = shares
    }
}

/// `aggregate`: a function of an attribute's values over the spans of a trace, and the range it must be in.
package struct AggregateSpec: Sendable {
    /// What is made of the values.
    package enum Function: String, Sendable, CaseIterable {
        /// Of numbers; 0 without any.
        case sum
        /// Of numbers; no match without any.
        case max
        /// Spans that have the attribute.
        case count
        /// Different values, up to `TraceFacts.maximumDistinct`.
        case distinct
    }

    package var field: String
    package var function: Function
    /// Only these texts count, for `count` and `distinct`; empty is all values.
    package var values: [String]
    /// Both included; nil is no bound.
    package var minimum: Double?
    package var maximum: Double?

    package init(
        field: String, function: Function, values: [String] = [], minimum: Double? = nil, maximum: Double? = nil
    ) {
        self.field = field
        self.function = function
        self.values = values
        self.minimum = minimum
        self.maximum = maximum
    }
}

/// `adaptive_percentage`, `adaptive_throughput`: a rate for each key that follows what comes.
package struct AdaptiveSpec: Sendable, Equatable {
    /// What the rates are to bring about.
    package enum Goal: Sendable, Equatable {
        /// Of 100: share of all traces that is kept; rare keys more, frequent ones less.
        case percentage(Double)
        /// Units a second that are kept.
        case throughput(Double)
    }

    /// What a trace weighs.
    package enum Unit: String, Sendable, CaseIterable {
        case traces
        case spans
        case bytes
        case tokens
        case usd
    }

    /// How rates follow from what came.
    package enum Algorithm: String, Sendable, CaseIterable {
        /// Moving average by key; unused budget goes to other keys.
        case ema
        /// Equal budgets by key over a window; what a key leaves goes to other keys too.
        case windowed
    }

    package var goal: Goal
    package var unit = Unit.spans
    package var algorithm = Algorithm.ema
    /// Attributes of spans or resources whose values make the key.
    package var keys: [String]
    /// Nanoseconds between two adjustments.
    package var interval: Int64 = 15_000_000_000
    /// Of the newest interval in the moving average, above 0 and up to 1.
    package var weight = 0.5
    /// Average below which a key is forgotten.
    package var ageOut = 0.5
    /// Keys with a rate of their own; the others share one.
    package var maximumKeys = 500
    /// Of 100: what is kept before anything is known.
    package var initialPercentage = 10.0
    /// An interval with this many times the traces of an average one is adjusted to at once; 0 never.
    package var burstMultiple = 2.0
    /// Intervals before bursts are looked for.
    package var burstDelay = 3
    /// Intervals that `windowed` looks back.
    package var lookback = 30

    package init(_ goal: Goal, keys: [String]) {
        self.goal = goal
        self.keys = keys
    }
}
