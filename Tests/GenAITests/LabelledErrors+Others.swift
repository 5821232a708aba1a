extension LabelledErrors {
    /// Mistral, Cohere, Groq, DeepSeek, xAI, Together, Fireworks, Ollama, vLLM: their pages on errors.
    static let others = [
        LabelledError(
            "Mistral", "SDKError",
            "API error occurred: Status 429\n{\"object\":\"error\",\"message\":\"Requests rate limit exceeded\",\"type\":\"rate_limited\",\"param\":null,\"code\":\"1300\"}",
            429, "rate_limit"),
        LabelledError(
            "Mistral", "SDKError",
            "API error occurred: Status 401\n{\"message\":\"Unauthorized\",\"request_id\":\"1\"}", 401, "auth"),
        LabelledError(
            "Mistral", "SDKError",
            "API error occurred: Status 400\n{\"object\":\"error\",\"message\":\"Invalid model: mistral-huge\",\"type\":\"invalid_model\",\"param\":null,\"code\":\"1500\"}",
            400, "model_not_found"),
        LabelledError(
            "Mistral", "HTTPValidationError",
            "{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"foo\"],\"msg\":\"Extra inputs are not permitted\"}]}",
            422, "invalid_request"),
        LabelledError(
            "Cohere", "TooManyRequestsError",
            "status_code: 429, body: {'message': \"You are using a Trial key, which is limited to 10 API calls / minute.\"}",
            429, "rate_limit"),
        LabelledError(
            "Cohere", "UnauthorizedError", "status_code: 401, body: {'message': 'invalid api token'}", 401, "auth"),
        LabelledError(
            "Cohere", "BadRequestError",
            "status_code: 400, body: {'message': 'too many tokens: total number of tokens in the prompt cannot exceed 128000 - received 150001.'}",
            400, "context_length"),
        LabelledError(
            "Cohere", "NotFoundError",
            "status_code: 404, body: {'message': \"model 'command-z' not found, make sure the correct model ID was used\"}",
            404, "model_not_found"),
        LabelledError(
            "Groq", "RateLimitError",
            "Error code: 429 - {'error': {'message': 'Rate limit reached for model `llama-3.3-70b-versatile` in organization `org` service tier `on_demand` on tokens per day (TPD): Limit 100000', 'type': 'tokens', 'code': 'rate_limit_exceeded'}}",
            429, "rate_limit"),
        LabelledError(
            "Groq", "APIStatusError",
            "Error code: 413 - {'error': {'message': 'Request too large for model `llama-3.1-8b-instant` on tokens per minute (TPM): Limit 6000, Requested 8110, please reduce your message size and try again.', 'type': 'tokens', 'code': 'rate_limit_exceeded'}}",
            413, "rate_limit"),
        LabelledError(
            "Groq", "BadRequestError",
            "Error code: 400 - {'error': {'message': \"Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.\", 'type': 'invalid_request_error', 'code': 'tool_use_failed'}}",
            400, "tool_error"),
        LabelledError(
            "Groq", "BadRequestError",
            "Error code: 400 - {'error': {'message': \"Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for more details.\", 'type': 'invalid_request_error', 'code': 'json_validate_failed'}}",
            400, "output_parse"),
        LabelledError(
            "Groq", "BadRequestError",
            "Error code: 400 - {'error': {'message': 'The model `mixtral-8x7b-32768` has been decommissioned and is no longer supported.', 'type': 'invalid_request_error', 'code': 'model_decommissioned'}}",
            400, "model_not_found"),
        LabelledError(
            "DeepSeek", "APIStatusError",
            "Error code: 402 - {'error': {'message': 'Insufficient Balance', 'type': 'unknown_error', 'param': None, 'code': 'invalid_request_error'}}",
            402, "quota"),
        LabelledError(
            "DeepSeek", "InternalServerError",
            "Error code: 503 - {'error': {'message': 'Service is too busy. We advise users to temporarily switch to alternative LLM API service providers.'}}",
            503, "overloaded"),
        LabelledError(
            "xAI", "PermissionDeniedError",
            "Error code: 403 - {'code': 'The caller does not have permission to execute the specified operation', 'error': 'Your newly created team does not have any credits yet.'}",
            403, "quota"),
        LabelledError(
            "Together", "InvalidRequestError",
            "Error code: 422 - {\"error\": {\"message\": \"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens and 512 `max_new_tokens`\", \"type\": \"invalid_request_error\"}}",
            422, "context_length"),
        LabelledError(
            "Ollama", "ResponseError", "model \"llama9\" not found, try pulling it first", 404, "model_not_found"),
        LabelledError("Ollama", "ConnectError", "[Errno 111] Connection refused", nil, "network"),
        LabelledError(
            "vLLM", "BadRequestError",
            "Error code: 400 - {'object': 'error', 'message': \"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens in the messages, Please reduce the length of the messages.\", 'type': 'BadRequestError', 'code': 400}",
            400, "context_length"),
    ]

    /// LiteLLM's exception mapping, OpenRouter's error codes.
    static let gateways = [
        LabelledError(
            "LiteLLM", "litellm.exceptions.RateLimitError",
            "litellm.RateLimitError: AnthropicException - {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"Number of requests has exceeded your rate limit\"}}",
            429, "rate_limit"),
        LabelledError(
            "LiteLLM", "ContextWindowExceededError",
            "litellm.ContextWindowExceededError: litellm.BadRequestError: OpenAIException - This model's maximum context length is 16385 tokens.",
            400, "context_length"),
        LabelledError(
            "LiteLLM", "ContentPolicyViolationError",
            "litellm.ContentPolicyViolationError: AzureException - The response was filtered", 400, "content_filter"),
        LabelledError(
            "LiteLLM", "BudgetExceededError", "Budget has been exceeded! Current cost: 10.02, Max budget: 10.0", 400,
            "quota"),
        LabelledError(
            "LiteLLM", "ServiceUnavailableError", "litellm.ServiceUnavailableError: AnthropicException - Overloaded",
            503, "overloaded"),
        LabelledError(
            "LiteLLM", "Timeout", "litellm.Timeout: APITimeoutError - Request timed out. Error_str: Request timed out.",
            408, "timeout"),
        LabelledError(
            "OpenRouter", "APIStatusError",
            "Error code: 402 - {'error': {'message': 'This request requires more credits, or fewer max_tokens. You requested up to 4096 tokens, but can only afford 812.', 'code': 402}}",
            402, "quota"),
        LabelledError(
            "OpenRouter", "NotFoundError",
            "Error code: 404 - {'error': {'message': 'No endpoints found for acme/none.', 'code': 404}}", 404,
            "model_not_found"),
    ]

    /// What clients and frameworks say before there is an answer.
    static let clients = [
        LabelledError("httpx", "httpx.ReadTimeout", "The read operation timed out", nil, "timeout"),
        LabelledError("httpx", "ConnectTimeout", "timed out", nil, "timeout"),
        LabelledError(
            "aiohttp", "ClientConnectorError",
            "Cannot connect to host api.openai.com:443 ssl:default [Temporary failure in name resolution]", nil,
            "network"),
        LabelledError(
            "httpx", "RemoteProtocolError",
            "peer closed connection without sending complete message body (incomplete chunked read)", nil, "network"),
        LabelledError(
            "requests", "SSLError",
            "HTTPSConnectionPool(host='api.openai.com', port=443): Max retries exceeded (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]')))",
            nil, "network"),
        LabelledError("Node", "Error", "connect ECONNREFUSED 127.0.0.1:11434", nil, "network"),
        LabelledError("Node", "TypeError", "fetch failed: getaddrinfo ENOTFOUND api.openai.com", nil, "network"),
        LabelledError("asyncio", "CancelledError", "", nil, "cancelled"),
        LabelledError("Java", "java.net.SocketTimeoutException", "Read timed out", nil, "timeout"),
    ]

    /// What goes wrong with an answer, and with tools.
    static let answers = [
        LabelledError(
            "LangChain", "OutputParserException", "Could not parse LLM output: `I do not know`", nil, "output_parse"),
        LabelledError(
            "Pydantic", "pydantic_core._pydantic_core.ValidationError",
            "1 validation error for Answer\ncity\n  Field required [type=missing, input_value={}, input_type=dict]",
            nil, "output_parse"),
        LabelledError(
            "Python", "json.decoder.JSONDecodeError", "Expecting value: line 1 column 1 (char 0)", nil, "output_parse"),
        LabelledError(
            "Pydantic AI", "UnexpectedModelBehavior", "Exceeded maximum retries (1) for output validation", nil,
            "output_parse"),
        LabelledError(
            "instructor", "InstructorRetryException",
            "1 validation error for User: age Input should be a valid integer, unable to parse string as an integer",
            nil, "output_parse"),
        LabelledError("LangChain", "ToolException", "The search tool gave up", nil, "tool_error"),
        LabelledError("MCP", "tool_error", "Unknown city", nil, "tool_error"),
        LabelledError("MCP", "McpError", "Tool 'lookup' execution failed: no such file", nil, "tool_error"),
    ]
}
