internal import COTLP

/// An export request of any signal, cut into its resource groups.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct RequestView {
    private let message: UnsafePointer<Martlet__View__RequestView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__request_view__unpack) else { return nil }
        self.message = message
    }

    /// Encoded ResourceSpans, ResourceMetrics or ResourceLogs messages.
    package var resourceGroups: ByteSlices {
        ByteSlices(message.pointee.resource_groups, message.pointee.n_resource_groups)
    }
}

/// ResourceSpans, ResourceMetrics or ResourceLogs.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct ResourceGroupView {
    private let message: UnsafePointer<Martlet__View__ResourceGroupView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__resource_group_view__unpack) else { return nil }
        self.message = message
    }

    /// Encoded Resource message.
    package var resource: UnsafeRawBufferPointer { message.pointee.resource.slice }
    /// Encoded ScopeSpans, ScopeMetrics or ScopeLogs messages.
    package var scopeGroups: ByteSlices { ByteSlices(message.pointee.scope_groups, message.pointee.n_scope_groups) }
    /// Field `schema_url`.
    package var schemaURL: UnsafeRawBufferPointer { message.pointee.schema_url.slice }
}

/// ScopeSpans, ScopeMetrics or ScopeLogs.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct ScopeGroupView {
    private let message: UnsafePointer<Martlet__View__ScopeGroupView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__scope_group_view__unpack) else { return nil }
        self.message = message
    }

    /// Encoded InstrumentationScope message.
    package var scope: UnsafeRawBufferPointer { message.pointee.scope.slice }
    /// Encoded Span, Metric or LogRecord messages.
    package var items: ByteSlices { ByteSlices(message.pointee.items, message.pointee.n_items) }
    /// Field `schema_url`.
    package var schemaURL: UnsafeRawBufferPointer { message.pointee.schema_url.slice }
}

/// Resource.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct ResourceView {
    private let message: UnsafePointer<Martlet__View__ResourceView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__resource_view__unpack) else { return nil }
        self.message = message
    }

    /// Encoded KeyValue messages.
    package var attributes: ByteSlices { ByteSlices(message.pointee.attributes, message.pointee.n_attributes) }
    /// Field `dropped_attributes_count`.
    package var droppedAttributesCount: UInt32 { message.pointee.dropped_attributes_count }
    /// Encoded EntityRef messages.
    package var entityRefs: ByteSlices { ByteSlices(message.pointee.entity_refs, message.pointee.n_entity_refs) }
}

/// InstrumentationScope.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct ScopeView {
    private let message: UnsafePointer<Martlet__View__ScopeView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__scope_view__unpack) else { return nil }
        self.message = message
    }

    /// Field `name`.
    package var name: UnsafeRawBufferPointer { message.pointee.name.slice }
    /// Field `version`.
    package var version: UnsafeRawBufferPointer { message.pointee.version.slice }
    /// Encoded KeyValue messages.
    package var attributes: ByteSlices { ByteSlices(message.pointee.attributes, message.pointee.n_attributes) }
    /// Field `dropped_attributes_count`.
    package var droppedAttributesCount: UInt32 { message.pointee.dropped_attributes_count }
}
