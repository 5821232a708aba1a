internal import COTLP

/// LogRecord.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct LogRecordView {
    private let message: UnsafePointer<Martlet__View__LogRecordView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__log_record_view__unpack) else { return nil }
        self.message = message
    }

    /// Nanoseconds since 1970.
    package var time: UInt64 { message.pointee.time_unix_nano }
    /// Nanoseconds since 1970.
    package var observedTime: UInt64 { message.pointee.observed_time_unix_nano }
    /// Field `severity_number`.
    package var severityNumber: Int32 { message.pointee.severity_number }
    /// Field `severity_text`.
    package var severityText: UnsafeRawBufferPointer { message.pointee.severity_text.slice }
    /// Encoded AnyValue message.
    package var body: UnsafeRawBufferPointer { message.pointee.body.slice }
    /// Encoded KeyValue messages.
    package var attributes: ByteSlices { ByteSlices(message.pointee.attributes, message.pointee.n_attributes) }
    /// Field `dropped_attributes_count`.
    package var droppedAttributesCount: UInt32 { message.pointee.dropped_attributes_count }
    /// Field `flags`.
    package var flags: UInt32 { message.pointee.flags }
    /// Field `trace_id`.
    package var traceID: UnsafeRawBufferPointer { message.pointee.trace_id.slice }
    /// Field `span_id`.
    package var spanID: UnsafeRawBufferPointer { message.pointee.span_id.slice }
    /// Field `event_name`.
    package var eventName: UnsafeRawBufferPointer { message.pointee.event_name.slice }
}
