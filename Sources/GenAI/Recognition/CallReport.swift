/// What was made of the spans of a request, for people and for programs: what each was taken for, which rule decided,
/// and what it cost, and why. Off the hot path. Prompts and answers are not part of it.
package struct CallReport: Sendable {
    /// One span.
    private struct Span: Sendable {
        var spanID: String
        var facts: [(name: String, value: String)] = []
        var tokens: [(name: String, count: Int64)] = []
        var notes: [String] = []
        var cost: CostReport?
    }

    private var spans: [Span] = []
    private var records: [CallRecord] = []
    /// Of each record, the span.
    private var owners: [Int] = []

    package init() {}

    /// Adds the next span of the request.
    ///
    /// - Parameters:
    ///   - bytes: the encoded Span message. Read during the call only.
    ///   - scope: of the mapping.
    package mutating func add(
        _ bytes: UnsafeRawBufferPointer, _ scope: SpanScope, _ mapping: GenAIMapping, _ book: PriceBook
    ) {
        var recogniser = SpanRecogniser(mapping: mapping)
        var call = ModelCall()
        guard recogniser.recognise(bytes, scope: scope, into: &call) else {
            let link = CallRecord(linkOf: bytes)
            var span = Span(spanID: Self.id(link?.spanID ?? 0))
            span.notes.append("no attribute, scope or name shows an AI span")
            spans.append(span)
            if let link { add(link) }
            return
        }
        var span = Span(spanID: Self.id(call.spanID))
        Self.describe(call, mapping, &span)
        if call.isPriceable { Self.price(call, book, &span) }
        spans.append(span)
        add(CallRecord(call))
    }

    private mutating func add(_ record: CallRecord) {
        records.append(record)
        owners.append(spans.count - 1)
    }

    /// Call it once all spans are there: says which calls count on another span.
    package mutating func finish() {
        var counter = CallCounter(maximumSpans: max(1, records.count))
        for record in records { counter.add(record) }
        counter.decide(.batch)
        for index in records.indices where records[index].kind != .other || records[index].hasUsage {
            let decision = counter.decision(index)
            guard decision.rule != .none else { continue }
            var note = "not counted here: \(Self.reason(decision.rule))"
            if let other = decision.countedBy { note += " (\(spans[owners[other]].spanID))" }
            spans[owners[index]].notes.append(note)
            spans[owners[index]].facts.append(("counted", "false"))
        }
    }

    private static func reason(_ rule: AggregateRule) -> String {
        switch rule {
        case .none: ""
        case .operation: "an agent's or workflow's span repeats what its children used"
        case .wrapper: "a wrapper of another span, or marked aggregate"
        case .aggregatedNames: "its totals stand under names made for totals"
        case .fetch: "a stored response was read again"
        case .repeatsDescendant: "spans below it have the same usage"
        case .sameResponse: "another span has the same response id"
        case .repeatsAncestor: "a span above it has the same usage and the response id"
        case .repeatsSibling: "a span beside it, of another instrumentation, is the same call"
        }
    }

    private static func describe(_ call: ModelCall, _ mapping: GenAIMapping, _ span: inout Span) {
        func add(_ name: String, _ value: UnsafeRawBufferPointer?) {
            if let value, value.count > 0 { span.facts.append((name, String(decoding: value, as: UTF8.self))) }
        }
        span.facts.append(("kind", "\(call.kind.name)"))
        add("emitter", mapping.sourceName(call.source))
        let rule = mapping.ruleName(call.rule)
        add("recognised_by", rule)
        if rule.count == 0 { span.facts.append(("recognised_by", "the span's name and scope")) }
        add("operation", call.operation)
        add("provider", call.provider)
        if call.providerOrigin != .unknown { span.facts.append(("provider_from", "\(call.providerOrigin)")) }
        add("request_model", call.requestModel)
        add("response_model", call.responseModel)
        add("service_tier", call.serviceTier)
        if call.usageRule != .none { span.facts.append(("input_rule", "\(call.usageRule)")) }
        if call.errorCategory != .none { span.facts.append(("error", "\(call.errorCategory.metricName)")) }
        if let cost = call.reportedCost { span.facts.append(("reported_cost", "\(cost)")) }
        for tokenClass in TokenClass.allCases {
            if let count = call.usage[tokenClass] { span.tokens.append(("\(tokenClass)", count)) }
        }
        let marks: [(ModelCall.Marks, String)] = [
            (.truncated, "there are more attributes or events than are read"),
            (.unreadableText, "a structured text ended early"),
            (.textTooLong, "a structured text is too long to be read"),
            (.invalidCount, "a count is no count"), (.zeroCostIgnored, "a cost of 0 with tokens means unknown"),
            (.reasoningAdded, "reasoning lay outside the output and was added"),
            (.inputRaised, "input was less than its cached part and was raised to it"),
            (.extraAdded, "prompt tokens counted apart were added to the input"),
        ]
        for (mark, note) in marks where call.marks.contains(mark) { span.notes.append(note) }
    }

    private static func price(_ call: ModelCall, _ book: PriceBook, _ span: inout Span) {
        func text(_ bytes: UnsafeRawBufferPointer?) -> String {
            bytes.map { String(decoding: $0, as: UTF8.self) } ?? ""
        }
        let result = book.withReader { reader in withUnsafePointer(to: call) { reader.cost(of: $0) } }
        span.cost = CostReport(
            result, book: book, provider: text(call.provider), model: text(call.responseModel ?? call.requestModel),
            tier: call.serviceTier.map { ServiceTier($0) } ?? .standard)
    }

    private static func id(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    // MARK: Output

    /// Paragraphs for a terminal, one a span.
    package var text: String {
        spans.map { span in
            var lines = ["span \(span.spanID)"]
            lines += span.facts.map { "  \($0.name) \($0.value)" }
            if !span.tokens.isEmpty {
                lines.append("  tokens " + span.tokens.map { "\($0.name) \($0.count)" }.joined(separator: ", "))
            }
            lines += span.notes.map { "  note: \($0)" }
            if let cost = span.cost {
                lines += cost.text.split(separator: "\n").map { "  \($0)" }
            }
            return lines.joined(separator: "\n")
        }.joined(separator: "\n\n")
    }

    /// One JSON object a line, one a span. `cost` is that of `martlet prices cost --json`, or null for a span that is no
    /// call of its own.
    package var json: String {
        spans.map { span in
            var members = [("span_id", JSONText.string(span.spanID))]
            members += span.facts.map { ($0.name, JSONText.string($0.value)) }
            members.append(("tokens", JSONText.object(span.tokens.map { ($0.name, "\($0.count)") })))
            members.append(("notes", "[\(span.notes.map(JSONText.string).joined(separator: ","))]"))
            members.append(("cost", span.cost?.json ?? "null"))
            return JSONText.object(members)
        }.joined(separator: "\n")
    }
}
