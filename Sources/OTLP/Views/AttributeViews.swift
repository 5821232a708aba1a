internal import COTLP

/// KeyValue.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct KeyValueView {
    private let message: UnsafePointer<Martlet__View__KeyValueView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__key_value_view__unpack) else { return nil }
        self.message = message
    }

    /// Field `key`.
    package var key: UnsafeRawBufferPointer { message.pointee.key.slice }
    /// Encoded AnyValue message; empty for an empty value.
    package var value: UnsafeRawBufferPointer { message.pointee.value.slice }
}

/// AnyValue.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct AnyValueView {
    private let message: UnsafePointer<Martlet__View__AnyValueView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__any_value_view__unpack) else { return nil }
        self.message = message
    }

    /// Which member is set, with its value.
    package enum Value {
        case empty
        case string(UnsafeRawBufferPointer)
        case bool(Bool)
        case int(Int64)
        case double(Double)
        /// Encoded ArrayValue message.
        case array(UnsafeRawBufferPointer)
        /// Encoded KeyValueList message.
        case keyValueList(UnsafeRawBufferPointer)
        case bytes(UnsafeRawBufferPointer)
    }

    /// The value. A string-table index, which only profiles may use, reads as empty.
    package var value: Value {
        switch message.pointee.value_case {
        case MARTLET__VIEW__ANY_VALUE_VIEW__VALUE_STRING_VALUE: .string(message.pointee.string_value.slice)
        case MARTLET__VIEW__ANY_VALUE_VIEW__VALUE_BOOL_VALUE: .bool(message.pointee.bool_value != 0)
        case MARTLET__VIEW__ANY_VALUE_VIEW__VALUE_INT_VALUE: .int(message.pointee.int_value)
        case MARTLET__VIEW__ANY_VALUE_VIEW__VALUE_DOUBLE_VALUE: .double(message.pointee.double_value)
        case MARTLET__VIEW__ANY_VALUE_VIEW__VALUE_ARRAY_VALUE: .array(message.pointee.array_value.slice)
        case MARTLET__VIEW__ANY_VALUE_VIEW__VALUE_KVLIST_VALUE: .keyValueList(message.pointee.kvlist_value.slice)
        case MARTLET__VIEW__ANY_VALUE_VIEW__VALUE_BYTES_VALUE: .bytes(message.pointee.bytes_value.slice)
        default: .empty
        }
    }
}

/// ArrayValue.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct ArrayValueView {
    private let message: UnsafePointer<Martlet__View__ArrayValueView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__array_value_view__unpack) else { return nil }
        self.message = message
    }

    /// Encoded AnyValue messages.
    package var values: ByteSlices { ByteSlices(message.pointee.values, message.pointee.n_values) }
}

/// KeyValueList.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct KeyValueListView {
    private let message: UnsafePointer<Martlet__View__KeyValueListView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__key_value_list_view__unpack) else { return nil }
        self.message = message
    }

    /// Encoded KeyValue messages.
    package var values: ByteSlices { ByteSlices(message.pointee.values, message.pointee.n_values) }
}
