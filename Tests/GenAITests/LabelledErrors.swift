/// What a failed call says about itself, and what went wrong by the provider's own documentation.
struct LabelledError {
    /// Who answers, and what wraps the answer.
    let source: String
    /// `error.type` or `exception.type`.
    let type: String
    /// The span's status message, or `exception.message`.
    let message: String
    let status: Int64?
    /// The name in metrics.
    let category: String

    init(_ source: String, _ type: String, _ message: String, _ status: Int64?, _ category: String) {
        self.source = source
        self.type = type
        self.message = message
        self.status = status
        self.category = category
    }
}

/// Errors as libraries hand them on. The labels are from the providers' pages about errors, status codes and limits; for
/// what happens before an answer comes, from the documentation of the client's exceptions.
enum LabelledErrors {
    static let all = openAI + anthropic + google + bedrock + azure + others + gateways + clients + answers

    /// OpenAI's "Error codes" page; SDKs for Python and JavaScript, and what frameworks make of their exceptions.
    static let openAI = [
        LabelledError(
            "OpenAI, Python", "RateLimitError",
            "Error code: 429 - {'error': {'message': 'Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29841, Requested 512. Please try again in 706ms.', 'type': 'tokens', 'param': None, 'code': 'rate_limit_exceeded'}}",
            429, "rate_limit"),
        LabelledError(
            "OpenAI, Python", "openai.RateLimitError",
            "Error code: 429 - {'error': {'message': 'Rate limit reached for gpt-4o-mini in organization org-x on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 120ms.', 'type': 'requests', 'param': None, 'code': 'rate_limit_exceeded'}}",
            nil, "rate_limit"),
        LabelledError(
            "OpenAI, Python", "openai.RateLimitError",
            "Error code: 429 - {'error': {'message': 'You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs.', 'type': 'insufficient_quota', 'param': None, 'code': 'insufficient_quota'}}",
            429, "quota"),
        LabelledError(
            "OpenAI, JavaScript", "RateLimitError",
            "429 You exceeded your current quota, please check your plan and billing details.", 429, "quota"),
        LabelledError(
            "OpenAI, LangChain", "insufficient_quota", "You exceeded your current quota, please check your plan.", nil,
            "quota"),
        LabelledError(
            "OpenAI, Python", "AuthenticationError",
            "Error code: 401 - {'error': {'message': 'Incorrect API key provided: sk-abc*****xyz. You can find your API key in your account settings.', 'type': 'invalid_request_error', 'param': None, 'code': 'invalid_api_key'}}",
            401, "auth"),
        LabelledError(
            "OpenAI, raw", "invalid_request_error", "Incorrect API key provided: sk-abc*****xyz.", 401, "auth"),
        LabelledError(
            "OpenAI, Python", "PermissionDeniedError",
            "Error code: 403 - {'error': {'code': 'unsupported_country_region_territory', 'message': 'Country, region, or territory not supported', 'param': None, 'type': 'request_forbidden'}}",
            403, "auth"),
        LabelledError(
            "OpenAI, Python", "NotFoundError",
            "Error code: 404 - {'error': {'message': 'The model `gpt-5-nonsense` does not exist or you do not have access to it.', 'type': 'invalid_request_error', 'param': None, 'code': 'model_not_found'}}",
            404, "model_not_found"),
        LabelledError(
            "OpenAI, raw", "model_not_found", "The model `gpt-4-vision` has been deprecated.", 404, "model_not_found"),
        LabelledError(
            "OpenAI, Python", "BadRequestError",
            "Error code: 400 - {'error': {'message': \"This model's maximum context length is 128000 tokens. However, your messages resulted in 131230 tokens. Please reduce the length of the messages.\", 'type': 'invalid_request_error', 'param': 'messages', 'code': 'context_length_exceeded'}}",
            400, "context_length"),
        LabelledError(
            "OpenAI, Responses", "BadRequestError",
            "Error code: 400 - {'error': {'message': 'Your input exceeds the context window of this model. Please adjust your input and try again.', 'type': 'invalid_request_error', 'param': 'input', 'code': 'context_length_exceeded'}}",
            400, "context_length"),
        LabelledError(
            "OpenAI, embeddings", "BadRequestError",
            "Error code: 400 - {'error': {'message': \"This model's maximum context length is 8192 tokens, however you requested 9003 tokens (9003 in your prompt; 0 for the completion).\", 'type': 'invalid_request_error', 'param': None, 'code': None}}",
            400, "context_length"),
        LabelledError(
            "OpenAI, Python", "BadRequestError",
            "Error code: 400 - {'error': {'message': \"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.\", 'type': 'invalid_request_error', 'param': 'max_tokens', 'code': 'unsupported_parameter'}}",
            400, "invalid_request"),
        LabelledError(
            "OpenAI, Python", "BadRequestError",
            "Error code: 400 - {'error': {'message': \"Invalid value: 'developers'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.\", 'type': 'invalid_request_error', 'param': 'messages[0].role', 'code': 'invalid_value'}}",
            400, "invalid_request"),
        LabelledError(
            "OpenAI, Python", "BadRequestError",
            "Error code: 400 - {'error': {'message': \"An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.\", 'type': 'invalid_request_error', 'param': 'messages.[3].role', 'code': None}}",
            400, "invalid_request"),
        LabelledError(
            "OpenAI, Python", "UnprocessableEntityError", "Error code: 422 - {'error': {'message': 'Unprocessable'}}",
            422, "invalid_request"),
        LabelledError(
            "OpenAI, images", "BadRequestError",
            "Error code: 400 - {'error': {'code': 'content_policy_violation', 'message': 'Your request was rejected as a result of our safety system. Image descriptions generated from your prompt may contain text that is not allowed by our safety system.', 'param': None, 'type': 'invalid_request_error'}}",
            400, "content_filter"),
        LabelledError(
            "OpenAI, reasoning", "BadRequestError",
            "Error code: 400 - {'error': {'message': 'Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a different prompt.', 'type': 'invalid_request_error', 'param': None, 'code': 'invalid_prompt'}}",
            400, "content_filter"),
        LabelledError(
            "OpenAI, Python", "InternalServerError",
            "Error code: 500 - {'error': {'message': 'The server had an error while processing your request. Sorry about that!', 'type': 'server_error', 'param': None, 'code': None}}",
            500, "internal"),
        LabelledError(
            "OpenAI, Python", "InternalServerError",
            "Error code: 503 - {'error': {'message': 'The engine is currently overloaded, please try again later', 'type': 'server_error', 'param': None, 'code': None}}",
            503, "overloaded"),
        LabelledError(
            "OpenAI, raw", "503", "That model is currently overloaded with other requests. You can retry your request.",
            503, "overloaded"),
        LabelledError("OpenAI, Python", "APITimeoutError", "Request timed out.", nil, "timeout"),
        LabelledError("OpenAI, Python", "openai.APITimeoutError", "Request timed out.", nil, "timeout"),
        LabelledError("OpenAI, Python", "APIConnectionError", "Connection error.", nil, "network"),
        LabelledError("OpenAI, JavaScript", "APIUserAbortError", "Request was aborted.", nil, "cancelled"),
        LabelledError(
            "OpenAI, Python", "ConflictError",
            "Error code: 409 - {'error': {'message': 'The resource was updated by another request'}}",
            409, "invalid_request"),
        LabelledError(
            "OpenAI, parse", "LengthFinishReasonError",
            "Could not parse response content as the length limit was reached - CompletionUsage(completion_tokens=100)",
            nil, "output_parse"),
        LabelledError(
            "OpenAI, parse", "ContentFilterFinishReasonError",
            "Could not parse response content as the request was rejected by the content filter", nil,
            "content_filter"),
    ]

    /// Anthropic's "Errors" page.
    static let anthropic = [
        LabelledError(
            "Anthropic, Python", "anthropic.RateLimitError",
            "Error code: 429 - {'type': 'error', 'error': {'type': 'rate_limit_error', 'message': \"This request would exceed your organization's rate limit of 40,000 input tokens per minute.\"}}",
            429, "rate_limit"),
        LabelledError(
            "Anthropic, raw", "rate_limit_error", "Number of request tokens has exceeded your per-minute limit", 429,
            "rate_limit"),
        LabelledError(
            "Anthropic, Python", "InternalServerError",
            "Error code: 529 - {'type': 'error', 'error': {'type': 'overloaded_error', 'message': 'Overloaded'}}", 529,
            "overloaded"),
        LabelledError("Anthropic, raw", "overloaded_error", "Overloaded", 529, "overloaded"),
        LabelledError(
            "Anthropic, JavaScript", "529",
            "529 {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}", 529,
            "overloaded"),
        LabelledError(
            "Anthropic, Python", "BadRequestError",
            "Error code: 400 - {'type': 'error', 'error': {'type': 'invalid_request_error', 'message': 'Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.'}}",
            400, "quota"),
        LabelledError(
            "Anthropic, raw", "billing_error", "There is an issue with your payment information.", 402, "quota"),
        LabelledError(
            "Anthropic, Python", "BadRequestError",
            "Error code: 400 - {'type': 'error', 'error': {'type': 'invalid_request_error', 'message': 'prompt is too long: 208310 tokens > 200000 maximum'}}",
            400, "context_length"),
        LabelledError(
            "Anthropic, Python", "BadRequestError",
            "Error code: 400 - {'type': 'error', 'error': {'type': 'invalid_request_error', 'message': 'input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens` and try again'}}",
            400, "context_length"),
        LabelledError(
            "Anthropic, Python", "APIStatusError",
            "Error code: 413 - {'type': 'error', 'error': {'type': 'request_too_large', 'message': 'Request exceeds the maximum size'}}",
            413, "context_length"),
        LabelledError(
            "Anthropic, Python", "BadRequestError",
            "Error code: 400 - {'type': 'error', 'error': {'type': 'invalid_request_error', 'message': 'max_tokens: 16384 > 8192, which is the maximum allowed number of output tokens for claude-3-5-sonnet-20241022'}}",
            400, "invalid_request"),
        LabelledError(
            "Anthropic, Python", "BadRequestError",
            "Error code: 400 - {'type': 'error', 'error': {'type': 'invalid_request_error', 'message': 'messages.2: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_01.'}}",
            400, "invalid_request"),
        LabelledError(
            "Anthropic, Python", "BadRequestError",
            "Error code: 400 - {'type': 'error', 'error': {'type': 'invalid_request_error', 'message': 'messages: text content blocks must be non-empty'}}",
            400, "invalid_request"),
        LabelledError(
            "Anthropic, Python", "BadRequestError",
            "Error code: 400 - {'type': 'error', 'error': {'type': 'invalid_request_error', 'message': 'Output blocked by content filtering policy'}}",
            400, "content_filter"),
        LabelledError(
            "Anthropic, Python", "AuthenticationError",
            "Error code: 401 - {'type': 'error', 'error': {'type': 'authentication_error', 'message': 'invalid x-api-key'}}",
            401, "auth"),
        LabelledError(
            "Anthropic, raw", "permission_error",
            "Your API key does not have permission to use the specified resource.", 403, "auth"),
        LabelledError(
            "Anthropic, Python", "NotFoundError",
            "Error code: 404 - {'type': 'error', 'error': {'type': 'not_found_error', 'message': 'model: claude-3-sonet-20240229'}}",
            404, "model_not_found"),
        LabelledError("Anthropic, raw", "api_error", "Internal server error", 500, "internal"),
        LabelledError("Anthropic, raw", "timeout_error", "Request timed out while processing", 504, "timeout"),
        LabelledError("Anthropic, Python", "APIConnectionError", "Connection error.", nil, "network"),
    ]

    /// The Gemini API's "Troubleshooting" page and Vertex AI's error codes; `google-genai`, `google-api-core`.
    static let google = [
        LabelledError(
            "Gemini, google-genai", "ClientError",
            "429 RESOURCE_EXHAUSTED. {'error': {'code': 429, 'message': 'Resource has been exhausted (e.g. check quota).', 'status': 'RESOURCE_EXHAUSTED'}}",
            429, "rate_limit"),
        LabelledError(
            "Gemini, free tier", "ClientError",
            "429 RESOURCE_EXHAUSTED. {'error': {'code': 429, 'message': 'You exceeded your current quota, please check your plan and billing details. Quota exceeded for metric: generate_content_free_tier_requests, limit: 15. Please retry in 23s.', 'status': 'RESOURCE_EXHAUSTED'}}",
            429, "rate_limit"),
        LabelledError(
            "Vertex, api-core", "ResourceExhausted",
            "429 Quota exceeded for aiplatform.googleapis.com/generate_content_requests_per_minute_per_project_per_base_model with base model: gemini-2.5-pro.",
            nil, "rate_limit"),
        LabelledError(
            "Gemini, gRPC", "RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later.", nil, "rate_limit"),
        LabelledError(
            "Gemini, google-genai", "ClientError",
            "400 INVALID_ARGUMENT. {'error': {'code': 400, 'message': 'The input token count (1200345) exceeds the maximum number of tokens allowed (1048576).', 'status': 'INVALID_ARGUMENT'}}",
            400, "context_length"),
        LabelledError(
            "Gemini, google-genai", "ClientError",
            "400 INVALID_ARGUMENT. {'error': {'code': 400, 'message': 'API key not valid. Please pass a valid API key.', 'status': 'INVALID_ARGUMENT', 'details': [{'reason': 'API_KEY_INVALID'}]}}",
            400, "auth"),
        LabelledError(
            "Gemini, google-genai", "ClientError",
            "400 INVALID_ARGUMENT. {'error': {'code': 400, 'message': 'Please ensure that function call turn comes immediately after a user turn or after a function response turn.', 'status': 'INVALID_ARGUMENT'}}",
            400, "invalid_request"),
        LabelledError(
            "Vertex, api-core", "InvalidArgument",
            "400 Unable to submit request because it has an empty text parameter.", nil, "invalid_request"),
        LabelledError(
            "Gemini, google-genai", "ClientError",
            "404 NOT_FOUND. {'error': {'code': 404, 'message': 'models/gemini-9 is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the list of available models.', 'status': 'NOT_FOUND'}}",
            404, "model_not_found"),
        LabelledError(
            "Vertex, api-core", "NotFound",
            "404 Publisher Model `projects/p/locations/us-central1/publishers/google/models/gemini-x` was not found or your project does not have access to it.",
            nil, "model_not_found"),
        LabelledError(
            "Gemini, google-genai", "ServerError",
            "503 UNAVAILABLE. {'error': {'code': 503, 'message': 'The model is overloaded. Please try again later.', 'status': 'UNAVAILABLE'}}",
            503, "overloaded"),
        LabelledError(
            "Vertex, api-core", "ServiceUnavailable", "503 The service is currently unavailable.", nil, "overloaded"),
        LabelledError(
            "Gemini, google-genai", "ServerError",
            "500 INTERNAL. {'error': {'code': 500, 'message': 'An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting', 'status': 'INTERNAL'}}",
            500, "internal"),
        LabelledError(
            "Gemini, google-genai", "ServerError",
            "504 DEADLINE_EXCEEDED. {'error': {'code': 504, 'message': 'The request timed out. Please try again.', 'status': 'DEADLINE_EXCEEDED'}}",
            504, "timeout"),
        LabelledError("Vertex, api-core", "DeadlineExceeded", "504 Deadline Exceeded", nil, "timeout"),
        LabelledError(
            "Gemini, google-genai", "ClientError",
            "403 PERMISSION_DENIED. {'error': {'code': 403, 'message': 'Your API key was reported as leaked. Please use another API key.', 'status': 'PERMISSION_DENIED'}}",
            403, "auth"),
        LabelledError(
            "Vertex, google-auth", "DefaultCredentialsError",
            "Your default credentials were not found. To set up Application Default Credentials, see the documentation.",
            nil, "auth"),
        LabelledError(
            "Gemini, LangChain", "ValueError",
            "Invalid operation: The `response.text` quick accessor requires the response to contain a valid `Part`, but none were returned. The candidate's finish_reason is SAFETY.",
            nil, "content_filter"),
        LabelledError(
            "Gemini, generativeai", "BlockedPromptException", "block_reason: PROHIBITED_CONTENT", nil, "content_filter"),
        LabelledError(
            "Gemini, google-genai", "ClientError",
            "400 FAILED_PRECONDITION. {'error': {'code': 400, 'message': 'User location is not supported for the API use.', 'status': 'FAILED_PRECONDITION'}}",
            400, "invalid_request"),
    ]

    /// The Bedrock Runtime's list of errors for Converse and InvokeModel; botocore.
    static let bedrock = [
        LabelledError(
            "Bedrock, botocore", "ThrottlingException",
            "An error occurred (ThrottlingException) when calling the Converse operation (reached max retries: 4): Too many requests, please wait before trying again.",
            429, "rate_limit"),
        LabelledError(
            "Bedrock, botocore", "botocore.errorfactory.ThrottlingException",
            "An error occurred (ThrottlingException) when calling the InvokeModel operation: Too many tokens, please wait before trying again.",
            429, "rate_limit"),
        LabelledError(
            "Bedrock, botocore", "ServiceQuotaExceededException",
            "An error occurred (ServiceQuotaExceededException) when calling the InvokeModel operation: Your request exceeds the service quota for your account.",
            400, "quota"),
        LabelledError(
            "Bedrock, botocore", "AccessDeniedException",
            "An error occurred (AccessDeniedException) when calling the InvokeModel operation: You don't have access to the model with the specified model ID.",
            403, "auth"),
        LabelledError("Bedrock, botocore", "NoCredentialsError", "Unable to locate credentials", nil, "auth"),
        LabelledError(
            "Bedrock, botocore", "ExpiredTokenException",
            "An error occurred (ExpiredTokenException) when calling the Converse operation: The security token included in the request is expired",
            403, "auth"),
        LabelledError(
            "Bedrock, botocore", "ClientError",
            "An error occurred (UnrecognizedClientException) when calling the Converse operation: The security token included in the request is invalid.",
            403, "auth"),
        LabelledError(
            "Bedrock, botocore", "ValidationException",
            "An error occurred (ValidationException) when calling the Converse operation: The model returned the following errors: Input is too long for requested model.",
            400, "context_length"),
        LabelledError(
            "Bedrock, botocore", "ValidationException",
            "An error occurred (ValidationException) when calling the InvokeModel operation: Malformed input request: #: required key [messages] not found, please reformat your input and try again.",
            400, "invalid_request"),
        LabelledError(
            "Bedrock, botocore", "ValidationException",
            "An error occurred (ValidationException) when calling the InvokeModel operation: The provided model identifier is invalid.",
            400, "model_not_found"),
        LabelledError(
            "Bedrock, botocore", "ResourceNotFoundException",
            "An error occurred (ResourceNotFoundException) when calling the InvokeModel operation: Could not resolve the foundation model from the provided model identifier.",
            404, "model_not_found"),
        LabelledError(
            "Bedrock, botocore", "ModelTimeoutException",
            "An error occurred (ModelTimeoutException) when calling the InvokeModel operation: Model processing time exceeded",
            408, "timeout"),
        LabelledError(
            "Bedrock, botocore", "ModelNotReadyException",
            "An error occurred (ModelNotReadyException) when calling the InvokeModel operation: The model is not ready to serve inference requests.",
            429, "overloaded"),
        LabelledError(
            "Bedrock, botocore", "ServiceUnavailableException",
            "An error occurred (ServiceUnavailableException) when calling the Converse operation: Bedrock is unable to process your request.",
            503, "overloaded"),
        LabelledError(
            "Bedrock, botocore", "ModelErrorException",
            "An error occurred (ModelErrorException) when calling the InvokeModel operation: The request failed due to an error while processing the model.",
            424, "internal"),
        LabelledError(
            "Bedrock, botocore", "InternalServerException",
            "An error occurred (InternalServerException) when calling the Converse operation: An internal server error occurred.",
            500, "internal"),
        LabelledError(
            "Bedrock, botocore", "ReadTimeoutError",
            "Read timeout on endpoint URL: \"https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse\"", nil,
            "timeout"),
        LabelledError(
            "Bedrock, botocore", "EndpointConnectionError",
            "Could not connect to the endpoint URL: \"https://bedrock-runtime.eu-nowhere-1.amazonaws.com/\"", nil,
            "network"),
    ]

    /// Azure OpenAI's and Azure AI Inference's pages on errors, quotas and content filtering.
    static let azure = [
        LabelledError(
            "Azure OpenAI", "RateLimitError",
            "Error code: 429 - {'error': {'code': '429', 'message': 'Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 26 seconds.'}}",
            429, "rate_limit"),
        LabelledError(
            "Azure OpenAI", "BadRequestError",
            "Error code: 400 - {'error': {'message': \"The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry.\", 'type': None, 'param': 'prompt', 'code': 'content_filter', 'status': 400, 'innererror': {'code': 'ResponsibleAIPolicyViolation'}}}",
            400, "content_filter"),
        LabelledError(
            "Azure OpenAI", "NotFoundError",
            "Error code: 404 - {'error': {'code': 'DeploymentNotFound', 'message': 'The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again.'}}",
            404, "model_not_found"),
        LabelledError(
            "Azure OpenAI", "AuthenticationError",
            "Error code: 401 - {'error': {'code': '401', 'message': 'Access denied due to invalid subscription key or wrong API endpoint.'}}",
            401, "auth"),
        LabelledError(
            "Azure OpenAI", "PermissionDeniedError",
            "Error code: 403 - {'error': {'code': '403', 'message': 'Access denied due to Virtual Network/Firewall rules.'}}",
            403, "auth"),
        LabelledError(
            "Azure AI Inference", "HttpResponseError",
            "(too_many_requests) Rate limit is exceeded. Try again in 3 seconds.", 429, "rate_limit"),
        LabelledError("Azure AI Inference", "ClientAuthenticationError", "(None) Invalid API key", 401, "auth"),
        LabelledError(
            "Azure AI Inference", "ServiceRequestError",
            "Failed to resolve 'x.inference.ai.azure.com' (Name or service not known)", nil, "network"),
        LabelledError(
            "Azure OpenAI", "InternalServerError",
            "Error code: 503 - {'error': {'code': 'NoCapacity', 'message': 'The service is temporarily unable to process your request. Please try again later.'}}",
            503, "overloaded"),
        LabelledError("Azure OpenAI", "APITimeoutError", "Request timed out.", 408, "timeout"),
    ]
}
