/// What one AI span says, in the words of the current conventions.
///
/// All text is slices: into the span, the scope or the mapping. They are valid as long as those bytes are not changed
/// and the mapping lives. Keep a `CallRecord`, or copies, beyond that. Fields that no attribute fills are nil.
package struct ModelCall {
    /// Things about the span that a reader of its numbers should know.
    package struct Marks: OptionSet, Sendable {
        package let rawValue: UInt16
        package init(rawValue: UInt16) { self.rawValue = rawValue }

        /// The span has more attributes or events than are read; the rest was not looked at.
        package static let truncated = Marks(rawValue: 1 << 0)
        /// A structured text ended early or could not be read to its end; what stood before counts.
        package static let unreadableText = Marks(rawValue: 1 << 1)
        /// Structured text beyond the limit was not read.
        package static let textTooLong = Marks(rawValue: 1 << 2)
        /// An attribute for a count held something that is no count.
        package static let invalidCount = Marks(rawValue: 1 << 3)
        /// A cost of 0 with tokens was taken for "unknown", as its emitter means it.
        package static let zeroCostIgnored = Marks(rawValue: 1 << 4)
        /// Reasoning tokens lay outside the output tokens and were added to them.
        package static let reasoningAdded = Marks(rawValue: 1 << 5)
        /// An inclusive count was smaller than its cached part and was raised to it.
        package static let inputRaised = Marks(rawValue: 1 << 6)
        /// Prompt tokens that the provider counts apart were added to the input tokens.
        package static let extraAdded = Marks(rawValue: 1 << 7)
    }

    // MARK: The span

    package internal(set) var traceID: (UInt64, UInt64) = (0, 0)
    package internal(set) var spanID: UInt64 = 0
    /// 0 for a root span.
    package internal(set) var parentSpanID: UInt64 = 0
    /// Nanoseconds since 1970.
    package internal(set) var startTime: UInt64 = 0
    /// Nanoseconds since 1970.
    package internal(set) var endTime: UInt64 = 0
    package internal(set) var name = UnsafeRawBufferPointer.nothing
    /// True when the span's status is an error.
    package internal(set) var isError = false

    // MARK: What was recognised

    package internal(set) var kind = CallKind.other
    /// `none` when the usage may be priced on this span, as far as the span alone tells.
    package internal(set) var aggregate = AggregateRule.none
    /// Hash of the instrumentation scope's name; 0 without one.
    package internal(set) var scope: UInt64 = 0
    /// Who wrote the span: an index for `GenAIMapping.sourceName`.
    package internal(set) var source: UInt8 = 0
    /// What made it an AI span: an index for `GenAIMapping.ruleName`.
    package internal(set) var rule: UInt8 = 0
    package internal(set) var providerOrigin = ProviderOrigin.unknown
    package internal(set) var usageRule = UsageRule.none
    package internal(set) var errorCategory = ErrorCategory.none
    package internal(set) var marks: Marks = []
    /// Tokens in the normal form of `TokenUsage`: inclusive, whatever was reported.
    package internal(set) var usage = TokenUsage()

    /// Attributes of the kind that Martlet adds and that are on the span. Not all of them when `marks` has `truncated`.
    package internal(set) var presentCosts: PresentCosts = []

    // MARK: The fields

    /// Fields that have a value.
    package internal(set) var present: CallFields = []
    /// Fields whose value stands on the span under the current name, in the right type.
    package internal(set) var current: CallFields = []
    /// Fields under whose current name something stands that is not the field's value (another type, another count).
    package internal(set) var outdated: CallFields = []

    var texts = InlineArray<26, UnsafeRawBufferPointer>(repeating: UnsafeRawBufferPointer.nothing)
    var numbers = InlineArray<22, UInt64>(repeating: 0)
    var ranks = InlineArray<49, UInt8>(repeating: ModelCall.unranked)
    var finishReasons = AttributeValue()

    static let unranked = UInt8.max

    package init() {}

    /// Forgets the last span, but for the slots: texts and numbers are guarded by `present`, ranks are cleared with them.
    mutating func reset() {
        traceID = (0, 0)
        spanID = 0
        parentSpanID = 0
        startTime = 0
        endTime = 0
        name = UnsafeRawBufferPointer.nothing
        isError = false
        kind = .other
        aggregate = .none
        scope = 0
        source = 0
        rule = 0
        providerOrigin = .unknown
        usageRule = .none
        errorCategory = .none
        marks = []
        presentCosts = []
        usage = TokenUsage()
        present = []
        current = []
        outdated = []
        finishReasons = AttributeValue()
    }

    /// Fills `presentCosts` from all attributes of a span that has more than are read.
    package mutating func look(
        forCostsIn payload: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer, _ names: CostAttributeNames
    ) {
        presentCosts.formUnion(PresentCosts(payload, names))
        if tail.count > 0 { presentCosts.formUnion(PresentCosts(tail, names)) }
    }

    /// The text of a field; nil when it has none or is not a text.
    @inline(__always)
    package func text(_ field: CallField) -> UnsafeRawBufferPointer? {
        guard present.contains(field), Int(field.rawValue) < CallField.textSlots else { return nil }
        return texts[Int(field.rawValue)]
    }

    /// The count of a field as it came, before normalisation; nil when it has none or is not a count.
    @inline(__always)
    package func count(_ field: CallField) -> Int64? {
        guard present.contains(field), field.form == .count else { return nil }
        return Int64(bitPattern: numbers[Int(field.rawValue) - CallField.textSlots])
    }

    /// The value of a field that is a double.
    @inline(__always)
    package func double(_ field: CallField) -> Double? {
        guard present.contains(field), field.form == .double else { return nil }
        return Double(bitPattern: numbers[Int(field.rawValue) - CallField.textSlots])
    }
}

extension ModelCall {
    /// The current operation name (`gen_ai.operation.name`).
    package var operation: UnsafeRawBufferPointer? { text(.operation) }
    /// The current provider name where it is a known one, else the provider as it came.
    package var provider: UnsafeRawBufferPointer? { text(.provider) }
    package var requestModel: UnsafeRawBufferPointer? { text(.requestModel) }
    package var responseModel: UnsafeRawBufferPointer? { text(.responseModel) }
    package var responseID: UnsafeRawBufferPointer? { text(.responseID) }
    /// Conversation, session or thread.
    package var session: UnsafeRawBufferPointer? { text(.session) }
    package var user: UnsafeRawBufferPointer? { text(.user) }
    package var tenant: UnsafeRawBufferPointer? { text(.tenant) }
    package var feature: UnsafeRawBufferPointer? { text(.feature) }
    package var agent: UnsafeRawBufferPointer? { text(.agent) }
    package var workflow: UnsafeRawBufferPointer? { text(.workflow) }
    package var tool: UnsafeRawBufferPointer? { text(.tool) }
    package var serviceTier: UnsafeRawBufferPointer? { text(.tier) }
    /// Host, or URL where an emitter writes one.
    package var serverAddress: UnsafeRawBufferPointer? { text(.serverAddress) }
    package var errorType: UnsafeRawBufferPointer? { text(.errorType) }

    /// The cost that came with the span, not negative, in `costCurrency`. A number for display and comparison.
    package var reportedCost: Double? { double(.cost) }
    /// ISO 4217; nil means US dollars.
    package var costCurrency: UnsafeRawBufferPointer? { text(.costCurrency) }
    /// Who put the cost there, if it says so: `provider`, `local`, `collector`, …
    package var costSource: UnsafeRawBufferPointer? { text(.costSource) }
    /// Seconds from the span's start to the first chunk of the answer, not negative.
    package var timeToFirstChunk: Double? { double(.firstChunk) }
    /// Whether the answer was streamed; nil when nothing says.
    package var isStreaming: Bool? {
        present.contains(.streaming) ? numbers[CallField.numberSlots - 1] != 0 : nil
    }
    /// Whether the call failed: an HTTP status alone, which a retry may have mended, does not say so.
    package var isFailed: Bool { isError || present.contains(.errorType) }
    /// True when the kind is billed by use and nothing about this span alone speaks against pricing it here.
    package var isPriceable: Bool { kind.isBillable && aggregate == .none }

    /// Calls `body` with each finish reason, whether they came as an array, as JSON text or as one text.
    package func forEachFinishReason(_ body: (UnsafeRawBufferPointer) -> Void) {
        if present.contains(.finish) { Self.forEachReason(of: finishReasons, body) }
    }

    static func forEachReason(of value: AttributeValue, _ body: (UnsafeRawBufferPointer) -> Void) {
        switch value.form {
        case .text:
            let text = unquoted(value.content)
            if text.first == UInt8(ascii: "[") { return forEachQuoted(text, body) }
            if text.count > 0 { body(text) }
        case .array:
            guard var cursor = WireCursor(value.content) else { return }
            while let tag = cursor.varint() {
                guard tag == 0x0A else {
                    cursor.skipField(tag)
                    continue
                }
                guard let payload = cursor.payload() else { return }
                let element = AttributeValue(payload)
                if element.form == .text, element.content.count > 0 { body(element.content) }
            }
        default: return
        }
    }

    /// The strings of a JSON array of strings without escapes (and of a Python list's text).
    private static func forEachQuoted(_ text: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) {
        var position = 0
        while position < text.count {
            let quote = text[position]
            position += 1
            guard quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else { continue }
            let start = position
            while position < text.count, text[position] != quote { position += 1 }
            guard position < text.count else { return }
            if position > start { body(UnsafeRawBufferPointer(rebasing: text[start..<position])) }
            position += 1
        }
    }
}
