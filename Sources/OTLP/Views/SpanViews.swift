internal import COTLP

/// Span.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct SpanView {
    private let message: UnsafePointer<Martlet__View__SpanView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__span_view__unpack) else { return nil }
        self.message = message
    }

    /// 16 bytes in valid data; any length here.
    package var traceID: UnsafeRawBufferPointer { message.pointee.trace_id.slice }
    /// 8 bytes in valid data; any length here.
    package var spanID: UnsafeRawBufferPointer { message.pointee.span_id.slice }
    /// Field `trace_state`.
    package var traceState: UnsafeRawBufferPointer { message.pointee.trace_state.slice }
    /// Empty for a root span.
    package var parentSpanID: UnsafeRawBufferPointer { message.pointee.parent_span_id.slice }
    /// Field `name`.
    package var name: UnsafeRawBufferPointer { message.pointee.name.slice }
    /// A SpanKind number.
    package var kind: Int32 { message.pointee.kind }
    /// Nanoseconds since 1970.
    package var startTime: UInt64 { message.pointee.start_time_unix_nano }
    /// Nanoseconds since 1970.
    package var endTime: UInt64 { message.pointee.end_time_unix_nano }
    /// Encoded KeyValue messages.
    package var attributes: ByteSlices { ByteSlices(message.pointee.attributes, message.pointee.n_attributes) }
    /// Field `dropped_attributes_count`.
    package var droppedAttributesCount: UInt32 { message.pointee.dropped_attributes_count }
    /// Encoded Event messages.
    package var events: ByteSlices { ByteSlices(message.pointee.events, message.pointee.n_events) }
    /// Field `dropped_events_count`.
    package var droppedEventsCount: UInt32 { message.pointee.dropped_events_count }
    /// Encoded Link messages.
    package var links: ByteSlices { ByteSlices(message.pointee.links, message.pointee.n_links) }
    /// Field `dropped_links_count`.
    package var droppedLinksCount: UInt32 { message.pointee.dropped_links_count }
    /// Encoded Status message.
    package var status: UnsafeRawBufferPointer { message.pointee.status.slice }
    /// Field `flags`.
    package var flags: UInt32 { message.pointee.flags }
}

/// Span.Event.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct EventView {
    private let message: UnsafePointer<Martlet__View__EventView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__event_view__unpack) else { return nil }
        self.message = message
    }

    /// Nanoseconds since 1970.
    package var time: UInt64 { message.pointee.time_unix_nano }
    /// Field `name`.
    package var name: UnsafeRawBufferPointer { message.pointee.name.slice }
    /// Encoded KeyValue messages.
    package var attributes: ByteSlices { ByteSlices(message.pointee.attributes, message.pointee.n_attributes) }
    /// Field `dropped_attributes_count`.
    package var droppedAttributesCount: UInt32 { message.pointee.dropped_attributes_count }
}

/// Span.Link.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct LinkView {
    private let message: UnsafePointer<Martlet__View__LinkView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__link_view__unpack) else { return nil }
        self.message = message
    }

    /// Field `trace_id`.
    package var traceID: UnsafeRawBufferPointer { message.pointee.trace_id.slice }
    /// Field `span_id`.
    package var spanID: UnsafeRawBufferPointer { message.pointee.span_id.slice }
    /// Field `trace_state`.
    package var traceState: UnsafeRawBufferPointer { message.pointee.trace_state.slice }
    /// Encoded KeyValue messages.
    package var attributes: ByteSlices { ByteSlices(message.pointee.attributes, message.pointee.n_attributes) }
    /// Field `dropped_attributes_count`.
    package var droppedAttributesCount: UInt32 { message.pointee.dropped_attributes_count }
    /// Field `flags`.
    package var flags: UInt32 { message.pointee.flags }
}

/// Span status.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct StatusView {
    private let message: UnsafePointer<Martlet__View__StatusView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__status_view__unpack) else { return nil }
        self.message = message
    }

    /// The field `message`.
    package var text: UnsafeRawBufferPointer { message.pointee.message.slice }
    /// A StatusCode number: 0 unset, 1 ok, 2 error.
    package var code: Int32 { message.pointee.code }
}
