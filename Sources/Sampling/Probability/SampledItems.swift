package import OTLP

/// An attribute's value as sampling needs it. Slices point into the item.
package enum SampledValue {
    case text(UnsafeRawBufferPointer)
    case bytes(UnsafeRawBufferPointer)
    case bool(Bool)
    case int(Int64)
    case double(Double)
    /// A list, a map, or nothing.
    case other

    /// Reads an encoded `AnyValue`.
    package init(_ value: UnsafeRawBufferPointer) {
        self = .other
        guard var fields = WireFields(value) else { return }
        while let field = fields.next() {
            switch (field.number, field.wireType) {
            case (1, 2): self = .text(field.payload)
            case (2, 0): self = .bool(field.varint != 0)
            case (3, 0): self = .int(Int64(bitPattern: field.varint))
            case (4, 1): self = .double(Double(bitPattern: field.fixed64))
            case (7, 2): self = .bytes(field.payload)
            default: self = .other
            }
        }
    }
}

/// What sampling needs of a span, found in one pass that decodes no attribute. Slices point into the span.
package struct SampledSpan {
    /// 16 bytes, or none.
    package private(set) var traceID = UnsafeRawBufferPointer.nothing
    /// `trace_state`; empty when there is none.
    package private(set) var traceState = UnsafeRawBufferPointer.nothing
    /// Whether the span has the field, be it empty.
    package private(set) var hasTraceState = false
    /// The encoded value of the first attribute `sampling.priority`.
    package private(set) var priority: UnsafeRawBufferPointer?

    /// Reads a span that may be in two parts, as a `TelemetryBatch` has it.
    package init(_ payload: UnsafeRawBufferPointer, tail: UnsafeRawBufferPointer) {
        read(payload)
        if tail.count > 0 { read(tail) }
    }

    private static let priorityKey: StaticString = "sampling.priority"

    @inline(__always)
    private mutating func read(_ part: UnsafeRawBufferPointer) {
        guard var fields = WireFields(part) else { return }
        while let field = fields.next() {
            switch field.number {
            case 9:
                // A key of that length, as the first field of the attribute: 1 of thousands.
                guard field.end - field.value > 19, field.value[1] == 17 || field.value[0] != 0x0A, priority == nil
                else { continue }
                if let (key, value) = attribute(field.payload), key.equals(Self.priorityKey) { priority = value }
            case 1:
                if field.end - field.value == 16 { traceID = field.payload }
            case 3:
                traceState = field.payload
                hasTraceState = true
            default:
                continue
            }
        }
    }

    /// The trace state, and the randomness of the span: `rv`, or that of the trace id; nil without either.
    ///
    /// - Throws: when the trace state is not valid.
    package func sampling() throws(TraceStateError) -> (state: TraceState, randomness: Randomness?) {
        let state = try TraceState(traceState)
        return (state, state.randomness ?? Randomness(traceID: traceID))
    }
}

/// What sampling needs of a log record; see `SampledSpan`.
package struct SampledLogRecord {
    /// Names of attributes that a configuration chooses. Empty ones are not looked for.
    package struct Keys {
        package var source: UnsafeRawBufferPointer
        package var priority: UnsafeRawBufferPointer

        package init(source: UnsafeRawBufferPointer, priority: UnsafeRawBufferPointer) {
            self.source = source
            self.priority = priority
        }
    }

    /// Stands for `th`.
    package static let thresholdKey: StaticString = "sampling.threshold"
    /// Stands for `rv`.
    package static let randomnessKey: StaticString = "sampling.randomness"

    /// 16 bytes, not all zero, or none.
    package private(set) var traceID = UnsafeRawBufferPointer.nothing
    /// Encoded values of the first attribute of each name.
    package private(set) var threshold: UnsafeRawBufferPointer?
    package private(set) var randomness: UnsafeRawBufferPointer?
    package private(set) var source: UnsafeRawBufferPointer?
    package private(set) var priority: UnsafeRawBufferPointer?

    /// Reads a log record that may be in two parts, as a `TelemetryBatch` has it.
    package init(_ payload: UnsafeRawBufferPointer, tail: UnsafeRawBufferPointer, keys: Keys) {
        read(payload, keys)
        if tail.count > 0 { read(tail, keys) }
    }

    private mutating func read(_ part: UnsafeRawBufferPointer, _ keys: Keys) {
        guard var fields = WireFields(part) else { return }
        while let field = fields.next() {
            if field.number == 6, let (key, value) = attribute(field.payload) {
                if key.equals(Self.thresholdKey), threshold == nil { threshold = value }
                if key.equals(Self.randomnessKey), randomness == nil { randomness = value }
                if matches(key, keys.source), source == nil { source = value }
                if matches(key, keys.priority), priority == nil { priority = value }
            } else if field.number == 9, field.payload.count == 16, field.payload.contains(where: { $0 != 0 }) {
                traceID = field.payload
            }
        }
    }

    @inline(__always)
    private func matches(_ key: UnsafeRawBufferPointer, _ wanted: UnsafeRawBufferPointer) -> Bool {
        wanted.count > 0 && key.count == wanted.count && key.elementsEqual(wanted)
    }
}

/// Key and value of an encoded `KeyValue`; nil without a key. Of several the last one counts, as protobuf has it.
@inline(__always)
private func attribute(
    _ message: UnsafeRawBufferPointer
) -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
    guard var fields = WireFields(message) else { return nil }
    var key: UnsafeRawBufferPointer?
    var value = UnsafeRawBufferPointer.nothing
    while let field = fields.next() {
        if field.number == 1, field.wireType == 2 { key = field.payload }
        if field.number == 2, field.wireType == 2 { value = field.payload }
    }
    return key.map { ($0, value) }
}

// MARK: Writing

/// Appends a span with another `trace_state`; an empty one leaves the field out. All its other fields stay as they are,
/// in their order. `traceState` may not point into `writer`.
package func appendSpan(
    _ payload: UnsafeRawBufferPointer, tail: UnsafeRawBufferPointer, traceState: UnsafeRawBufferPointer,
    to writer: inout WireWriter
) {
    for part in [payload, tail] {
        guard var fields = WireFields(part) else { continue }
        while let field = fields.next() {
            if field.number != 3 { writer.append(field.whole) }
        }
    }
    if traceState.count > 0 { writer.append(field: 3, bytes: traceState) }
}

extension TelemetryBatch {
    /// Gives a span another `trace_state`; an empty one removes it. A span without one is not rewritten. `traceState`
    /// may not point into the batch.
    ///
    /// - Parameter hasTraceState: whether the span has the field now: `SampledSpan.hasTraceState`.
    /// - Returns: false when there is no such item or the batch cannot grow; the span is then unchanged.
    @discardableResult
    package func setTraceState(
        _ traceState: UnsafeRawBufferPointer, ofItem index: Int, hasTraceState: Bool
    ) -> Bool {
        guard signal == .traces, items.indices.contains(index) else { return false }
        let item = items[index]
        var writer = WireWriter(capacity: hasTraceState ? item.size + traceState.count + 4 : traceState.count + 4)
        if hasTraceState {
            appendSpan(payload(of: item), tail: tail(of: item), traceState: traceState, to: &writer)
            return !writer.overflowed && replaceItem(index, with: writer.bytes)
        }
        guard traceState.count > 0 else { return true }
        writer.append(field: 3, bytes: traceState)
        return !writer.overflowed && append(writer.bytes, toItem: index)
    }
}
