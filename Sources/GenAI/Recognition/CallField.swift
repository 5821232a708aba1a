/// What a mapping can fill in of a `ModelCall`. The raw value is its slot: texts first, then numbers.
package enum CallField: UInt8, CaseIterable, Sendable {
    // Texts
    case operation, provider, requestModel, responseModel, responseID, session, user, tenant, feature, agent, agentID
    case workflow, tool, toolCallID, prompt, promptVersion, tier, serverAddress, errorType, mcpMethod, vectorSystem
    case evaluation, evaluationLabel, costCurrency, costSource, usageMark
    // Counts
    case input, output, total, extraInput, cacheRead, cacheWrite, cacheWrite1h, cacheWrite5m, reasoning, audioInput
    case audioCacheRead, audioOutput, imageInput, imageOutput, topK, embeddingSize, httpStatus
    // Doubles
    case cost, firstChunk, score, evaluationScore
    // A bool, and the one that may be a list
    case streaming, finish

    // Computed, not stored: a stored global is initialised lazily, which costs a test at each use.
    static var firstCount: CallField { .input }
    static var firstDouble: CallField { .cost }
    static var allCount: Int { Int(CallField.finish.rawValue) + 1 }
    static var textSlots: Int { Int(CallField.input.rawValue) }
    static var numberSlots: Int { Int(CallField.streaming.rawValue) - textSlots + 1 }

    /// How a value is read.
    enum Form { case operation, provider, text, count, double, flag, reasons }

    @inline(__always)
    var form: Form {
        if rawValue > Self.provider.rawValue {
            if rawValue < Self.firstCount.rawValue { return .text }
            if rawValue < Self.firstDouble.rawValue { return .count }
            if rawValue < Self.streaming.rawValue { return .double }
            return self == .streaming ? .flag : .reasons
        }
        return self == .operation ? .operation : .provider
    }

    /// Its name in a mapping file.
    package var name: String { Self.names[Int(rawValue)].description }

    init?(name: some Sequence<UInt8>) {
        let name = Array(name)
        let index = Self.names.firstIndex { candidate in
            candidate.withUTF8Buffer { $0.elementsEqual(name) }
        }
        guard let index else { return nil }
        self.init(rawValue: UInt8(index))
    }

    private static let names: [StaticString] = [
        "operation", "provider", "request-model", "response-model", "response-id", "session", "user", "tenant",
        "feature", "agent", "agent-id", "workflow", "tool", "tool-call-id", "prompt", "prompt-version", "tier",
        "server-address", "error-type", "mcp-method", "vector-system", "evaluation", "evaluation-label",
        "cost-currency", "cost-source", "usage-mark",
        "input", "output", "total", "extra-input", "cache-read", "cache-write", "cache-write-1h", "cache-write-5m",
        "reasoning", "audio-input", "audio-cache-read", "audio-output", "image-input", "image-output", "top-k",
        "embedding-size", "http-status",
        "cost", "first-chunk", "score", "evaluation-score",
        "streaming", "finish",
    ]
}

/// A set of fields.
package struct CallFields: OptionSet, Sendable, Hashable {
    package let rawValue: UInt64
    @inline(__always)
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The set of one field.
    @inline(__always)
    package init(_ one: CallField) { rawValue = 1 &<< UInt64(one.rawValue) }

    /// Whether the set has this field.
    @inline(__always)
    package func contains(_ one: CallField) -> Bool { rawValue & 1 &<< UInt64(one.rawValue) != 0 }
}
