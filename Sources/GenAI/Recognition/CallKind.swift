/// What an AI span did.
package enum CallKind: UInt8, CaseIterable, Sendable {
    /// An AI span of which nothing more is known.
    case other
    /// A model produced text: chat, completion, content generation.
    case model
    case embeddings
    case rerank
    /// A model produced images.
    case image
    /// Speech to text, text to speech.
    case audio
    /// A vector database or another source of documents was asked.
    case retrieval
    case tool
    case agent
    /// A pipeline, chain, task or SDK wrapper around model calls.
    case workflow
    case guardrail
    case evaluation
    case memory
    /// A protocol message of MCP other than a tool call.
    case mcp
    /// A stored response was read again; its usage was billed before.
    case fetch

    /// True for the kinds that a provider bills by use: their usage may be priced.
    package var isBillable: Bool {
        switch self {
        case .model, .embeddings, .rerank, .image, .audio: return true
        default: return false
        }
    }

    /// Agents and workflows repeat what their children used.
    package var isAggregate: Bool { self == .agent || self == .workflow }

    /// Its name in mapping files, metrics and the ledger.
    package var name: StaticString { Self.names[Int(rawValue)] }

    init?(name: some Sequence<UInt8>) {
        let name = Array(name)
        guard let index = Self.names.firstIndex(where: { $0.withUTF8Buffer { $0.elementsEqual(name) } }) else {
            return nil
        }
        self.init(rawValue: UInt8(index))
    }

    private static let names: [StaticString] = [
        "other", "model", "embeddings", "rerank", "image", "audio", "retrieval", "tool", "agent", "workflow",
        "guardrail", "evaluation", "memory", "mcp", "fetch",
    ]
}

/// Why the usage on a span is not to be priced there.
package enum AggregateRule: UInt8, Sendable {
    /// It is: the span is a leaf as far as it tells.
    case none
    /// The operation is an agent's or a workflow's, which sums its children up.
    case operation
    /// The mapping names this span a wrapper of another one.
    case wrapper
    /// Totals under names made for totals.
    case aggregatedNames
    /// A stored response was read again.
    case fetch
    /// A span below it carries the same usage.
    case repeatsDescendant
    /// Another span of the trace has the same response id.
    case sameResponse
    /// A span above it carries the same usage, and the response id.
    case repeatsAncestor
    /// A span beside it, of another instrumentation and within the same time, carries the same usage.
    case repeatsSibling
}

/// How the count of prompt tokens was found to relate to the cached ones.
package enum UsageRule: UInt8, Sendable {
    /// No cached tokens, or no prompt tokens: nothing to decide.
    case none
    /// The span is marked as normalised before.
    case marked
    /// A line of the mapping's `usage` says inclusive.
    case configuredInclusive
    /// A line of the mapping's `usage` says exclusive.
    case configuredExclusive
    /// More cached than prompt tokens: exclusive.
    case cachedExceedsInput
    /// The total adds up only when cached tokens lie outside the prompt: exclusive.
    case totalAddsUp
    /// None of the above: inclusive.
    case assumedInclusive

    /// True when cached tokens were added to the count that came.
    package var isExclusive: Bool {
        self == .configuredExclusive || self == .cachedExceedsInput || self == .totalAddsUp
    }
}

/// What kept a provider from being read from an attribute, or not.
package enum ProviderOrigin: UInt8, Sendable {
    case unknown, attribute, modelPrefix, serverAddress, modelName
}

/// What went wrong with a call, for grouping.
package enum ErrorCategory: UInt8, CaseIterable, Sendable {
    case none, rateLimit, quota, timeout, cancelled, authentication, invalidRequest, contentFilter, server, tool
    case connection, other

    /// Its name in mapping files and metrics.
    package var name: StaticString { Self.names[Int(rawValue)] }

    init?(name: some Sequence<UInt8>) {
        let name = Array(name)
        guard let index = Self.names.firstIndex(where: { $0.withUTF8Buffer { $0.elementsEqual(name) } }) else {
            return nil
        }
        self.init(rawValue: UInt8(index))
    }

    private static let names: [StaticString] = [
        "none", "rate-limit", "quota", "timeout", "cancelled", "authentication", "invalid-request", "content-filter",
        "server", "tool", "connection", "other",
    ]
}
