internal import OTLP

/// The detailed form of spans and log records.
extension DebugFormatter {
    mutating func putDetailed(_ span: SpanView, _ number: Int) {
        putHeading("Span", number)
        putField("    Trace ID       : ", hex: span.traceID)
        putField("    Parent ID      : ", hex: span.parentSpanID)
        putField("    ID             : ", hex: span.spanID)
        putField("    Name           : ", text: span.name)
        putField("    Kind           : ", Self.name(ofKind: span.kind))
        if !span.traceState.isEmpty { putField("    TraceState     : ", text: span.traceState) }
        putField("    Start time     : ", time: span.startTime)
        putField("    End time       : ", time: span.endTime)
        if let status = StatusView(span.status, arena: arena) {
            putField("    Status code    : ", Self.name(ofStatus: status.code))
            putField("    Status message : ", text: status.text)
        } else {
            putUnreadable()
        }
        if span.flags > 0 { putField("    Flags          : ", "0x" + String(span.flags, radix: 16)) }
        putDropped("    DroppedAttributesCount: ", span.droppedAttributesCount)
        putDropped("    DroppedEventsCount: ", span.droppedEventsCount)
        putDropped("    DroppedLinksCount: ", span.droppedLinksCount)
        putAttributes("Attributes:", span.attributes)
        if !span.events.isEmpty { text.put("Events:\n") }
        for (index, bytes) in span.events.enumerated() {
            if text.isFull { return }
            putEvent(bytes, index)
        }
        if !span.links.isEmpty { text.put("Links:\n") }
        for (index, bytes) in span.links.enumerated() {
            if text.isFull { return }
            putLink(bytes, index)
        }
    }

    private mutating func putEvent(_ bytes: UnsafeRawBufferPointer, _ number: Int) {
        putHeading("SpanEvent", number)
        guard let event = EventView(bytes, arena: arena) else { return putUnreadable() }
        putField("     -> Name: ", text: event.name)
        putField("     -> Timestamp: ", time: event.time)
        putDropped("     -> DroppedAttributesCount: ", event.droppedAttributesCount)
        putAttributes("     -> Attributes:", event.attributes, indent: "          -> ")
    }

    private mutating func putLink(_ bytes: UnsafeRawBufferPointer, _ number: Int) {
        putHeading("SpanLink", number)
        guard let link = LinkView(bytes, arena: arena) else { return putUnreadable() }
        putField("     -> Trace ID: ", hex: link.traceID)
        putField("     -> ID: ", hex: link.spanID)
        putField("     -> TraceState: ", text: link.traceState)
        putDropped("     -> DroppedAttributesCount: ", link.droppedAttributesCount)
        putAttributes("     -> Attributes:", link.attributes, indent: "          -> ")
    }

    mutating func putDetailed(_ record: LogRecordView, _ number: Int) {
        putHeading("LogRecord", number)
        putField("ObservedTimestamp: ", time: record.observedTime)
        putField("Timestamp: ", time: record.time)
        putField("SeverityText: ", text: record.severityText)
        putField("SeverityNumber: ", Self.name(ofSeverity: record.severityNumber))
        if !record.eventName.isEmpty { putField("EventName: ", text: record.eventName) }
        text.put("Body: ")
        putTyped(record.body)
        text.put("\n")
        putAttributes("Attributes:", record.attributes)
        putDropped("DroppedAttributesCount: ", record.droppedAttributesCount)
        putField("Trace ID: ", hex: record.traceID)
        putField("Span ID: ", hex: record.spanID)
        putField("Flags: ", record.flags)
    }

    private static func name(ofKind kind: Int32) -> String {
        let names = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"]
        return names.indices.contains(Int(kind)) ? names[Int(kind)] : String(kind)
    }

    private static func name(ofStatus code: Int32) -> String {
        let names = ["Unset", "Ok", "Error"]
        return names.indices.contains(Int(code)) ? names[Int(code)] : String(code)
    }

    /// `Info(9)`, `Error2(18)`: four steps for each of six names.
    private static func name(ofSeverity number: Int32) -> String {
        let names = ["Trace", "Debug", "Info", "Warn", "Error", "Fatal"]
        guard number >= 1, number <= 24 else { return number == 0 ? "Unspecified(0)" : String(number) }
        let step = (number - 1) % 4 + 1
        return names[Int((number - 1) / 4)] + (step > 1 ? "\(step)" : "") + "(\(number))"
    }
}
