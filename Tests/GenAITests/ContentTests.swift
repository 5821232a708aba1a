import OTLP
import Testing

@testable import GenAI

@Suite struct ContentTests {
    private func digest(_ text: String) -> String {
        String(decoding: Array(text.utf8).withUnsafeBytes { SHA256.text(of: $0) }, as: UTF8.self)
    }

    /// Of FIPS 180-4 and its test vectors.
    @Test func digestsAreThoseOfTheStandard() {
        #expect(digest("") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(digest("abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
                == "sha256:248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        #expect(
            digest(String(repeating: "a", count: 1_000_000))
                == "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test func namesOfContent() throws {
        let names = try GenAIMapping.builtIn().content
        func isContent(_ key: String) -> Bool { Array(key.utf8).withUnsafeBytes { names.contains($0) } }
        for key in [
            "gen_ai.input.messages", "gen_ai.prompt", "gen_ai.prompt.0.content", "gen_ai.completion.3.content",
            "llm.input_messages.0.message.content", "llm.openai.stringified_raw_response", "input.value", "ai.prompt",
            "ai.prompt.messages", "haystack.agent.input", "traceloop.entity.output", "mcp.tool.result", "db.query.text",
        ] {
            #expect(isContent(key), "\(key)")
        }
        for key in [
            "gen_ai.prompt.name", "gen_ai.prompt.version", "gen_ai.request.model", "gen_ai.usage.input_tokens",
            "http.url", "llm.model_name", "gen_ai.tool.name", "input.mime_type",
        ] {
            #expect(!isContent(key), "\(key)")
        }
    }

    @Test func textsAreCutBetweenCharacters() {
        let text = Array("añb€c".utf8)
        text.withUnsafeBytes { text in
            let heads = (0...text.count).map { String(decoding: SpanRewriter.head(of: text, $0), as: UTF8.self) }
            #expect(heads == ["", "a", "a", "añ", "añb", "añb", "añb", "añb€", "añb€c"])
        }
    }

    @Test func errorsByTypeMessageAndStatus() throws {
        let mapping = try GenAIMapping.builtIn()
        func category(_ type: String, _ message: String = "", _ status: Int64? = nil) -> String {
            Array(type.utf8).withUnsafeBytes { type in
                Array(message.utf8).withUnsafeBytes { message in
                    "\(mapping.errorCategory(type: type, message: message, status: status).metricName)"
                }
            }
        }
        #expect(category("openai.RateLimitError") == "rate_limit")
        #expect(category("openai.RateLimitError", "You exceeded your current quota") == "quota")
        #expect(category("", "You exceeded your current quota, please check your plan", 429) == "quota")
        #expect(
            category("openai.BadRequestError", "This model's maximum context length is 128000 tokens")
                == "context_length")
        #expect(category("anthropic.BadRequestError", "Your credit balance is too low") == "quota")
        #expect(category("BadRequestError", "messages: at least one is required", 400) == "invalid_request")
        #expect(category("", "Overloaded", 529) == "overloaded")
        #expect(category("529") == "overloaded" && category("503") == "overloaded" && category("500") == "internal")
        #expect(category("openai.NotFoundError", "The model `gpt-9` does not exist") == "model_not_found")
        #expect(category("openai.AuthenticationError", "Incorrect API key provided") == "auth")
        #expect(category("openai.APITimeoutError") == "timeout" && category("", "Request timed out.") == "timeout")
        #expect(category("", "The response was filtered due to the content management policy") == "content_filter")
        #expect(category("OutputParserException", "Could not parse LLM output") == "output_parse")
        #expect(category("json.decoder.JSONDecodeError") == "output_parse")
        #expect(category("httpx.ConnectError", "[Errno -2] Name resolution failed") == "network")
        #expect(category("", "", 401) == "auth" && category("", "", 404) == "model_not_found" && category("") == "")
    }
}
