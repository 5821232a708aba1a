/// A model as its provider's telemetry names it, with what makes its calls look real.
struct GeneratedModel: Sendable {
    /// `gen_ai.provider.name`.
    var provider: StaticString
    /// `gen_ai.request.model`.
    var request: StaticString
    /// `gen_ai.response.model`.
    var response: StaticString
    /// `server.address`.
    var address: StaticString
    /// Beginning of `gen_ai.response.id`.
    var idPrefix: StaticString
    /// Finish reason of a call that asks for tools.
    var toolReason: StaticString = "tool_calls"
    /// Finish reason of a complete answer.
    var endReason: StaticString = "stop"
    /// Finish reason of an answer that was cut off.
    var cutReason: StaticString = "length"
    /// Output tokens a second.
    var speed: Int
    /// Thinks before it answers, in tokens; nil when it does not.
    var reasoning: ClosedRange<Int>?
    /// Reads earlier rounds from a prompt cache in so many of 1000 conversations.
    var cachePermille: Int
    /// Says how much it wrote to the cache, too.
    var reportsCacheWrites = false

    static let all: [GeneratedModel] = [
        GeneratedModel(
            provider: "openai", request: "gpt-4o", response: "gpt-4o-2024-08-06", address: "api.openai.com",
            idPrefix: "chatcmpl-", speed: 90, cachePermille: 700),
        GeneratedModel(
            provider: "openai", request: "gpt-4o-mini", response: "gpt-4o-mini-2024-07-18", address: "api.openai.com",
            idPrefix: "chatcmpl-", speed: 140, cachePermille: 700),
        GeneratedModel(
            provider: "openai", request: "o4-mini", response: "o4-mini-2025-04-16", address: "api.openai.com",
            idPrefix: "resp_", speed: 120, reasoning: 64...4000, cachePermille: 600),
        GeneratedModel(
            provider: "anthropic", request: "claude-sonnet-4-5", response: "claude-sonnet-4-5-20250929",
            address: "api.anthropic.com", idPrefix: "msg_", toolReason: "tool_use", endReason: "end_turn",
            cutReason: "max_tokens", speed: 70, cachePermille: 800, reportsCacheWrites: true),
        GeneratedModel(
            provider: "gcp.gemini", request: "gemini-2.5-flash", response: "gemini-2.5-flash",
            address: "generativelanguage.googleapis.com", idPrefix: "gm-", speed: 200, reasoning: 32...1500,
            cachePermille: 300),
        GeneratedModel(
            provider: "mistral_ai", request: "mistral-large-latest", response: "mistral-large-2411",
            address: "api.mistral.ai", idPrefix: "cmpl-", speed: 80, cachePermille: 0),
    ]
}

/// A tool that agents call.
struct GeneratedTool: Sendable {
    var name: StaticString
    /// Milliseconds.
    var duration: ClosedRange<Int>
    /// Route of the HTTP service behind it; nil when it works in the agent's process.
    var route: StaticString?
    /// Tokens that its result adds to the conversation.
    var resultTokens: ClosedRange<Int>
}

/// An agent with the service that it runs in.
struct GeneratedAgent: Sendable {
    /// Index of the service.
    var service: Int
    var name: StaticString
    /// Indices of `GeneratedModel.all`.
    var models: [Int]
    var tools: [GeneratedTool]
    /// Tokens of instructions and question.
    var prompt: ClosedRange<Int>
    /// Most model calls of one run, failed ones not counted.
    var rounds: Int
    /// Looks documents up before it begins: name of the data source.
    var dataSource: StaticString?
    /// Its own span repeats the sum of its calls' tokens, as several frameworks do.
    var repeatsUsage = false

    /// Services of the profile `genai`; the last one is behind the tools.
    static let services: [String] = ["support-agent", "research-agent", "coding-agent", "tools-api"]
    static let toolService = 3

    static let all: [GeneratedAgent] = [
        GeneratedAgent(
            service: 0, name: "support", models: [1, 1, 0, 3],
            tools: [
                GeneratedTool(
                    name: "get_order", duration: 20...400, route: "GET /orders/{id}", resultTokens: 60...600),
                GeneratedTool(
                    name: "refund_order", duration: 80...900, route: "POST /refunds", resultTokens: 20...80),
                GeneratedTool(name: "format_reply", duration: 1...8, resultTokens: 20...200),
            ],
            prompt: 400...3000, rounds: 4, dataSource: "help-center"),
        GeneratedAgent(
            service: 1, name: "research", models: [2, 4, 5],
            tools: [
                GeneratedTool(name: "web_search", duration: 200...2500, route: "GET /search", resultTokens: 300...4000),
                GeneratedTool(name: "fetch_page", duration: 150...4000, route: "GET /pages", resultTokens: 800...9000),
            ],
            prompt: 800...6000, rounds: 6, dataSource: "papers", repeatsUsage: true),
        GeneratedAgent(
            service: 2, name: "coder", models: [3, 3, 0, 2],
            tools: [
                GeneratedTool(name: "read_file", duration: 1...20, resultTokens: 100...5000),
                GeneratedTool(name: "apply_patch", duration: 2...40, resultTokens: 20...120),
                GeneratedTool(name: "run_tests", duration: 500...15_000, resultTokens: 50...2500),
            ],
            prompt: 1500...20_000, rounds: 8),
    ]
}
