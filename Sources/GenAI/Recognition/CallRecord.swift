/// What counting once needs to know of an AI span: plain values, to be kept as long as need be. 96 bytes.
package struct CallRecord: Sendable, Equatable {
    package var traceID: (UInt64, UInt64)
    package var spanID: UInt64
    /// 0 for a root span.
    package var parentSpanID: UInt64
    /// Hash of the model's name (response model, else request model), as `ModelFamily` has it; 0 without one.
    package var model: UInt64
    /// Hash of the response id; 0 without one.
    package var response: UInt64
    /// Hash of the name of the instrumentation scope; 0 without one.
    package var scope: UInt64
    /// Nanoseconds since the epoch; 0 when not said.
    package var startTime: UInt64
    package var endTime: UInt64
    /// Normalised counts; -1 when not reported.
    package var input: Int64
    package var output: Int64
    package var kind: CallKind
    /// What the span alone says.
    package var aggregate: AggregateRule
    /// `none` for a call that did not fail.
    package var error: ErrorCategory

    /// True when some count is known.
    package var hasUsage: Bool { input >= 0 || output >= 0 }
    /// True when the usage may be priced, as far as the span alone says.
    package var isCandidate: Bool { kind.isBillable && aggregate == .none }

    /// The record of a recognised span.
    package init(_ call: ModelCall) {
        self = withUnsafePointer(to: call) { call in
            CallRecord(call, model: Self.modelHash(call.pointee.responseModel ?? call.pointee.requestModel))
        }
    }

    /// The same for a caller that knows the hash of the model's name. Only priceable spans are compared by it.
    package init(_ call: UnsafePointer<ModelCall>, model: UInt64) {
        self.init(call, model: model, call.pointee.aggregate)
    }

    @inline(__always)
    init(_ call: UnsafePointer<ModelCall>, model: UInt64, _ aggregate: AggregateRule) {
        traceID = call.pointee.traceID
        spanID = call.pointee.spanID
        parentSpanID = call.pointee.parentSpanID
        self.model = model
        response = Self.hash(call.pointee.responseID)
        scope = call.pointee.scope
        startTime = call.pointee.startTime
        endTime = call.pointee.endTime
        input = call.pointee.usage.input ?? -1
        output = call.pointee.usage.output ?? -1
        kind = call.pointee.kind
        self.aggregate = aggregate
        error = call.pointee.isFailed ? call.pointee.errorCategory : .none
    }

    /// A span that is no AI span. It only links others.
    package init(traceID: (UInt64, UInt64), spanID: UInt64, parentSpanID: UInt64) {
        self.traceID = traceID
        self.spanID = spanID
        self.parentSpanID = parentSpanID
        model = 0
        response = 0
        scope = 0
        startTime = 0
        endTime = 0
        input = -1
        output = -1
        kind = .other
        aggregate = .none
        error = .none
    }

    /// The record of an encoded span that is no AI span. Nil when it has no parent, and so links nothing to anything.
    package init?(linkOf span: UnsafeRawBufferPointer) {
        guard var cursor = WireCursor(span) else { return nil }
        var ids: (trace: (UInt64, UInt64), span: UInt64, parent: UInt64) = ((0, 0), 0, 0)
        while let tag = cursor.varint() {
            guard tag & 7 == 2, tag <= 0x22 else {
                // Writers put the ids first, the span's before its parent's.
                if tag > 0x22, ids.parent != 0 { break }
                cursor.skipField(tag)
                continue
            }
            guard let payload = cursor.payload() else { break }
            let size = payload.end - payload.at
            switch (tag, size) {
            case (0x0A, 16): ids.trace = (SpanScan.word(payload.at), SpanScan.word(payload.at + 8))
            case (0x12, 8): ids.span = SpanScan.word(payload.at)
            case (0x22, 8): ids.parent = SpanScan.word(payload.at)
            default: break
            }
        }
        guard ids.parent != 0 else { return nil }
        self.init(traceID: ids.trace, spanID: ids.span, parentSpanID: ids.parent)
    }

    /// Whether all fields are the same.
    package static func == (left: CallRecord, right: CallRecord) -> Bool {
        left.traceID == right.traceID && left.spanID == right.spanID && left.parentSpanID == right.parentSpanID
            && left.model == right.model && left.response == right.response && left.input == right.input
            && left.output == right.output && left.kind == right.kind && left.aggregate == right.aggregate
            && left.error == right.error && left.scope == right.scope && left.startTime == right.startTime
            && left.endTime == right.endTime
    }

    /// Hash of what stays of a model's name without its version.
    static func modelHash(_ name: UnsafeRawBufferPointer?) -> UInt64 { hash(name.map(ModelFamily.name)) }

    /// A hash of a name, the same in every process. 0 stands for "none".
    package static func hash(_ text: UnsafeRawBufferPointer?) -> UInt64 {
        guard let text, text.count > 0 else { return 0 }
        let head = UnsafeRawBufferPointer(rebasing: text.prefix(maximumHashed))
        return max(1, NameHash.of(head, .nothing, seed: 0))
    }

    /// Bytes of a name that are hashed.
    private static let maximumHashed = 512
}
