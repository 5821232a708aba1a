/// The profile `genai`: one run of an agent is one trace.
extension TraceGenerator {
    /// Tokens of all calls of one run.
    private struct Usage {
        var input = 0
        var cached = 0
        var output = 0
    }

    mutating func writeAgentTrace(endingAt now: UInt64) {
        run.draw(&random)
        let trace = (random.identifier(), random.identifier())
        let root = random.identifier()
        let conversation = random.next()
        let start = now - min(now, run.duration)
        var time = start + AgentRun.pause
        var usage = Usage()
        for step in run.steps {
            let head = SpanBuffer.Head(
                trace: trace, id: random.identifier(), parent: root, kind: .client, service: service(run.agent.service),
                start: time, end: time + step.duration)
            switch step.kind {
            case .embedding: writeEmbedding(head, step)
            case .retrieval: writeRetrieval(head)
            case .chat:
                writeChat(head, step, conversation: conversation)
                usage.input += step.input
                usage.cached += step.cached
                usage.output += step.output
            case .tool(let index): writeTool(head, run.agent.tools[index], failed: step.failed)
            }
            time = head.end + AgentRun.pause
        }
        let head = SpanBuffer.Head(
            trace: trace, id: root, parent: 0, kind: .internal, service: service(run.agent.service), start: start,
            end: now)
        writeAgent(head, usage, conversation: conversation)
    }

    private mutating func writeAgent(_ head: SpanBuffer.Head, _ usage: Usage, conversation: UInt64) {
        spans.begin(head, name: "invoke_agent", run.agent.name)
        spans.attribute("gen_ai.operation.name", "invoke_agent")
        spans.attribute("gen_ai.provider.name", run.model.provider)
        spans.attribute("gen_ai.agent.name", run.agent.name)
        spans.attribute("gen_ai.request.model", run.model.request)
        spans.attribute("gen_ai.conversation.id", prefix: "conv_", hex: conversation)
        // A few hundred users come back again and again.
        spans.attribute("user.id", prefix: "user-", hex: UInt64(random.below(500)))
        if run.agent.repeatsUsage {
            spans.attribute("gen_ai.usage.input_tokens", usage.input)
            spans.attribute("gen_ai.usage.output_tokens", usage.output)
            if usage.cached > 0 { spans.attribute("gen_ai.usage.cache_read.input_tokens", usage.cached) }
        }
        if run.failed {
            spans.attribute("error.type", "model_error")
            spans.fail("the model call failed")
            countFailure()
        }
        spans.end()
    }

    private mutating func writeChat(_ head: SpanBuffer.Head, _ step: AgentRun.Step, conversation: UInt64) {
        let model = run.model
        spans.begin(head, name: "chat", model.request)
        spans.attribute("gen_ai.operation.name", "chat")
        spans.attribute("gen_ai.provider.name", model.provider)
        spans.attribute("gen_ai.request.model", model.request)
        spans.attribute("gen_ai.request.max_tokens", 4096)
        // Models that reason take no temperature.
        if model.reasoning == nil { spans.attribute("gen_ai.request.temperature", 0.2) }
        spans.attribute("gen_ai.request.stream", true)
        spans.attribute("gen_ai.conversation.id", prefix: "conv_", hex: conversation)
        spans.attribute("server.address", model.address)
        spans.attribute("server.port", 443)
        if step.failed {
            writeModelFailure(at: head.end)
        } else {
            spans.attribute("gen_ai.response.model", model.response)
            spans.attribute("gen_ai.response.id", prefix: model.idPrefix, hex: random.next())
            let reason = step.callsTools ? model.toolReason : step.cut ? model.cutReason : model.endReason
            spans.attribute("gen_ai.response.finish_reasons", array: reason)
            spans.attribute("gen_ai.response.time_to_first_chunk", Double(100 + random.below(1500)) / 1000)
            spans.attribute("gen_ai.usage.input_tokens", step.input)
            spans.attribute("gen_ai.usage.output_tokens", step.output)
            if step.cached > 0 { spans.attribute("gen_ai.usage.cache_read.input_tokens", step.cached) }
            if model.reportsCacheWrites, step.cacheWritten > 0 {
                spans.attribute("gen_ai.usage.cache_creation.input_tokens", step.cacheWritten)
            }
            if step.reasoning > 0 { spans.attribute("gen_ai.usage.reasoning.output_tokens", step.reasoning) }
        }
        spans.end()
        countCall(input: step.input, cached: step.cached, output: step.output, reasoning: step.reasoning)
    }

    /// What a span of a failed model call says.
    private mutating func writeModelFailure(at time: UInt64) {
        switch random.below(3) {
        case 0:
            spans.attribute("error.type", "429")
            spans.exception(at: time, type: "RateLimitError", message: "too many tokens per minute")
            spans.fail("too many tokens per minute")
        case 1:
            spans.attribute("error.type", "timeout")
            spans.exception(at: time, type: "APITimeoutError", message: "no answer in time")
            spans.fail("no answer in time")
        default:
            spans.attribute("error.type", "529")
            spans.exception(at: time, type: "OverloadedError", message: "the provider is overloaded")
            spans.fail("the provider is overloaded")
        }
        countFailure()
    }

    private mutating func writeEmbedding(_ head: SpanBuffer.Head, _ step: AgentRun.Step) {
        spans.begin(head, name: "embeddings", "text-embedding-3-small")
        spans.attribute("gen_ai.operation.name", "embeddings")
        spans.attribute("gen_ai.provider.name", "openai")
        spans.attribute("gen_ai.request.model", "text-embedding-3-small")
        spans.attribute("gen_ai.response.model", "text-embedding-3-small")
        spans.attribute("gen_ai.embeddings.dimension.count", 1536)
        spans.attribute("gen_ai.usage.input_tokens", step.input)
        spans.attribute("server.address", "api.openai.com")
        spans.end()
        countCall(input: step.input, cached: 0, output: 0, reasoning: 0)
    }

    private mutating func writeRetrieval(_ head: SpanBuffer.Head) {
        let source = run.agent.dataSource ?? "documents"
        spans.begin(head, name: "retrieval", source)
        spans.attribute("gen_ai.operation.name", "retrieval")
        spans.attribute("gen_ai.data_source.id", source)
        spans.attribute("gen_ai.retrieval.top_k", 8)
        spans.attribute("db.system.name", "qdrant")
        spans.end()
    }

    /// The tool's span and, when a service is behind it, the two spans of the request to that.
    private mutating func writeTool(_ head: SpanBuffer.Head, _ tool: GeneratedTool, failed: Bool) {
        if let route = tool.route {
            let margin = head.start.distance(to: head.end) / 8
            var call = head
            call.id = random.identifier()
            call.parent = head.id
            call.start += UInt64(margin)
            call.end -= UInt64(margin)
            var served = call
            served.id = random.identifier()
            served.parent = call.id
            served.isParentRemote = true
            served.kind = .server
            served.service = service(GeneratedAgent.toolService)
            served.start += UInt64(margin)
            served.end -= UInt64(margin)
            writeHTTP(served, route, host: "tools-api.internal", status: failed ? 503 : 200)
            writeHTTP(call, route, host: "tools-api.internal", status: failed ? 503 : 200)
        }
        var own = head
        own.kind = .internal
        spans.begin(own, name: "execute_tool", tool.name)
        spans.attribute("gen_ai.operation.name", "execute_tool")
        spans.attribute("gen_ai.tool.name", tool.name)
        spans.attribute("gen_ai.tool.type", "function")
        spans.attribute("gen_ai.tool.call.id", prefix: "call_", hex: random.next())
        if failed {
            spans.attribute("error.type", "ToolError")
            spans.exception(at: head.end, type: "ToolError", message: "the tool gave no result")
            spans.fail("the tool gave no result")
            countFailure()
        }
        spans.end()
    }

    /// One side of an HTTP request: the span is called `route`, such as `GET /orders/{id}`.
    mutating func writeHTTP(_ head: SpanBuffer.Head, _ route: StaticString, host: StaticString, status: Int) {
        spans.begin(head, name: route)
        let isPost = route.utf8CodeUnitCount > 4 && route.utf8Start[0] == UInt8(ascii: "P")
        spans.attribute("http.request.method", isPost ? "POST" : "GET")
        spans.attribute("http.response.status_code", status)
        spans.attribute("server.address", host)
        spans.attribute("url.scheme", "http")
        if status >= 500 {
            spans.attribute("error.type", "503")
            spans.fail("")
            countFailure()
        }
        spans.end()
    }
}
