/// Names of providers, as instrumentations write them, to those of the price table.
enum ProviderName {
    /// Canonical name by alias; both lower case. Names that are not here stand for themselves.
    private static let aliases: [String: String] = [
        "open_ai": "openai", "openai.chat": "openai", "openai-chat": "openai", "openai.responses": "openai",
        "azure.ai.openai": "azure", "az.ai.openai": "azure", "azure_openai": "azure", "azure-openai": "azure",
        "azureopenai": "azure", "azure.ai.inference": "azure", "az.ai.inference": "azure", "azure_ai": "azure",
        "az.ai.agents": "azure", "microsoft.foundry": "azure", "azure_ai_foundry": "azure", "microsoft": "azure",
        "claude": "anthropic",
        "aws.bedrock": "aws_bedrock", "bedrock": "aws_bedrock", "amazon_bedrock": "aws_bedrock",
        "amazon-bedrock": "aws_bedrock", "aws-bedrock": "aws_bedrock", "bedrock_converse": "aws_bedrock",
        "aws": "aws_bedrock",
        "amazon": "aws_bedrock", "awsbedrock": "aws_bedrock", "amazon_nova": "aws_bedrock",
        "gcp.vertex_ai": "vertex_ai", "vertexai": "vertex_ai", "vertex": "vertex_ai", "google_vertexai": "vertex_ai",
        "google-vertex": "vertex_ai", "google_vertex_ai": "vertex_ai", "google.vertex": "vertex_ai", "gcp": "vertex_ai",
        "gcp.gemini": "google", "gemini": "google", "gcp.gen_ai": "google", "google_genai": "google",
        "google-genai": "google", "googleai": "google", "google_ai": "google", "google.generative-ai": "google",
        "google_generative_ai": "google", "google_ai_studio": "google",
        "mistral_ai": "mistral", "mistralai": "mistral", "mistral-ai": "mistral",
        "cohere_chat": "cohere", "x_ai": "xai", "x-ai": "xai", "x.ai": "xai", "grok": "xai",
        "groq_cloud": "groq", "together_ai": "together", "togetherai": "together", "together-ai": "together",
        "fireworks_ai": "fireworks", "fireworks-ai": "fireworks", "fireworksai": "fireworks",
        "perplexity_ai": "perplexity", "perplexityai": "perplexity", "deep_seek": "deepseek",
        "voyageai": "voyage", "voyage_ai": "voyage", "jinaai": "jina", "jina_ai": "jina", "open_router": "openrouter",
    ]

    /// What says nothing about who bills: frameworks, gateways, and words for "not known".
    private static let neutral: Set<String> = [
        "", "unknown", "none", "other", "_other", "custom", "default", "langchain", "langgraph", "litellm",
        "litellm_proxy", "llamaindex", "llama_index", "crewai", "strands-agents", "strands_agents", "spring_ai",
        "haystack", "dspy", "autogen", "ag2", "agno", "genkit", "pydantic_ai", "pydantic-ai", "semantic_kernel",
        "semantic-kernel", "vercel", "ai_gateway", "gateway", "portkey", "helicone", "smolagents", "openai_agents",
        "instructor", "guidance", "promptflow", "dify", "n8n", "flowise", "mlflow", "langfuse", "traceloop",
    ]

    /// Providers whose prices are tried when the first one does not list a model.
    private static let fallbacks: [String: [String]] = [
        "azure": ["openai", "anthropic"], "google": ["vertex_ai"], "vertex_ai": ["google", "anthropic", "mistral"],
    ]

    /// Who is asked, in this order, when nothing says who bills: those who make models before those who host them.
    static let inferenceOrder = [
        "openai", "anthropic", "google", "mistral", "cohere", "xai", "deepseek", "perplexity", "voyage", "jina",
        "aws_bedrock", "groq", "together", "fireworks", "vertex_ai", "azure", "openrouter",
    ]

    /// The table's name of what was written (`trimmedAndLowered`): `openai.chat` and `langgenius/openai/openai` count
    /// as openai. Nil when it says nothing about who bills.
    static func canonical(_ written: [UInt8]) -> String? {
        let text = String(decoding: written, as: UTF8.self)
        if let alias = aliases[text] { return alias }
        if neutral.contains(text) { return nil }
        if let slash = text.utf8.lastIndex(of: UInt8(ascii: "/")) {
            return canonical(Array(text[text.utf8.index(after: slash)...].utf8))
        }
        if let dot = text.utf8.firstIndex(of: UInt8(ascii: ".")) {
            let head = String(text[..<dot])
            if let alias = aliases[head] { return alias }
            if inferenceOrder.contains(head) { return head }
        }
        return text
    }

    /// The provider that a path part names, such as `bedrock` of `bedrock/anthropic.claude-v2`; nil for another part.
    static func ofPathPart(_ part: [UInt8]) -> String? {
        let text = String(decoding: part, as: UTF8.self)
        return aliases[text] ?? (inferenceOrder.contains(text) ? text : nil)
    }

    /// See `fallbacks`.
    static func fallbacks(of provider: String) -> [String] { fallbacks[provider] ?? [] }
}
