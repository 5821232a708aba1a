internal import OTLP

/// Kinds of traces.
package enum TraceProfile: String, Sendable, CaseIterable {
    /// Runs of agents: model calls, tools, embeddings and retrievals, with the attributes of the GenAI semantic
    /// conventions.
    case genai
    /// Requests through four services, with HTTP and database attributes.
    case plain
}

/// Makes traces and keeps their spans until a request takes them. One owner; not thread-safe.
///
/// The seed decides everything but the times: ids, shapes, names, tokens, failures and durations.
package struct TraceGenerator: ~Copyable {
    /// What has been generated so far.
    package private(set) var totals = TraceTotals()

    let profile: TraceProfile
    var random: SeededRandom
    var spans = SpanBuffer()
    var run = AgentRun()
    private let resources: [[UInt8]]
    private let scope: [UInt8]
    /// All spans belong to one service.
    private let isSingleService: Bool

    /// - Parameter service: `service.name` of all spans; nil for the profile's own services.
    package init(profile: TraceProfile, seed: UInt64, service: String? = nil) {
        self.profile = profile
        random = SeededRandom(seed: seed)
        isSingleService = service != nil
        let names = service.map { [$0] } ?? (profile == .genai ? GeneratedAgent.services : PlainTrace.services)
        resources = names.map(Self.resource)
        var scope = WireWriter()
        scope.append(field: 1, text: "martlet.generate")
        self.scope = Array(scope.bytes)
    }

    /// Spans that no request has taken yet.
    package var pendingSpans: Int { spans.count }

    /// Makes one trace that ends at `now`, nanoseconds since 1970.
    package mutating func makeTrace(endingAt now: UInt64) {
        let before = spans.count
        switch profile {
        case .genai: writeAgentTrace(endingAt: now)
        case .plain: writePlainTrace(endingAt: now)
        }
        totals.traces += 1
        totals.spans += spans.count - before
    }

    /// Takes the oldest spans, `maximum` at most, as an `ExportTraceServiceRequest`.
    /// - Returns: a request that has overflowed when memory was refused.
    package mutating func takeRequest(maximum: Int) -> GeneratedRequest {
        spans.takeRequest(maximum: maximum, resources: resources, scope: scope)
    }

    /// Index of a service of the profile among the resources.
    func service(_ index: Int) -> Int { isSingleService ? 0 : index }

    mutating func countFailure() { totals.failedSpans += 1 }

    mutating func countCall(input: Int, cached: Int, output: Int, reasoning: Int) {
        totals.modelCalls += 1
        totals.inputTokens += input
        totals.cachedInputTokens += cached
        totals.outputTokens += output
        totals.reasoningTokens += reasoning
    }

    private static func resource(_ name: String) -> [UInt8] {
        var writer = WireWriter()
        writer.append(attribute: 1, "service.name", string: name)
        writer.append(attribute: 1, "service.version", text: "1.4.2", hex: nil)
        writer.append(attribute: 1, "service.instance.id", string: "\(name)-0")
        writer.append(attribute: 1, "deployment.environment.name", text: "generated", hex: nil)
        writer.append(attribute: 1, "telemetry.sdk.name", text: "martlet", hex: nil)
        writer.append(attribute: 1, "telemetry.sdk.language", text: "swift", hex: nil)
        return Array(writer.bytes)
    }
}
