/// What has been generated.
package struct TraceTotals: Equatable, Sendable {
    package var traces = 0
    package var spans = 0
    /// Spans with the status error.
    package var failedSpans = 0
    /// Spans `chat` and `embeddings`. Only they count as model calls, and only their tokens are below: an agent's span
    /// that repeats the sum of its calls is not counted again.
    package var modelCalls = 0
    /// `gen_ai.usage.input_tokens` of the model calls, cached ones included.
    package var inputTokens = 0
    /// `gen_ai.usage.cache_read.input_tokens`, which are part of the input.
    package var cachedInputTokens = 0
    /// `gen_ai.usage.output_tokens` of the model calls, reasoning included.
    package var outputTokens = 0
    /// `gen_ai.usage.reasoning.output_tokens`, which are part of the output.
    package var reasoningTokens = 0

    package init() {}
}
