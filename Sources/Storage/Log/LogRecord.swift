internal import Glibc

/// A record on its way into a log.
package struct LogRecord: Sendable {
    /// What the body is; the owner's own word, 1 to 239.
    package var kind: UInt8
    /// What the record counts as, for sums such as "spans in the queue".
    package var items: Int
    /// Bytes that the owner wants back with the body, at most 16 MiB - 1.
    package var context: [UInt8]
    package var content: any LogContent

    package init(kind: UInt8, items: Int, context: [UInt8] = [], content: any LogContent) {
        self.kind = kind
        self.items = items
        self.context = context
        self.content = content
    }
}

/// The bytes of a record's body, where they lie. They are written from there, without a copy.
package protocol LogContent: AnyObject, Sendable {
    /// The parts of the body in order; valid, and the same each time, as long as this object lives. Called on the log's
    /// thread.
    var slices: [UnsafeRawBufferPointer] { get }
}

/// Bytes of its own as the body of a record.
package final class ByteContent: LogContent {
    private let bytes: StoredBytes

    package init(_ bytes: [UInt8]) { self.bytes = StoredBytes(copying: bytes) }

    package var slices: [UnsafeRawBufferPointer] { [bytes.buffer] }
}

/// A record read back.
package struct StoredRecord: Sendable {
    package let sequence: UInt64
    package let kind: UInt8
    package let items: Int
    /// Bytes at the start of `bytes` that are the context.
    package let contextLength: Int
    /// Context and body.
    package let bytes: StoredBytes

    /// Bytes of the body.
    package var bodyLength: Int { bytes.count - contextLength }
}

/// Bytes on the heap that were read from a log. One owner at a time may take them out.
package final class StoredBytes: @unchecked Sendable {
    // Sendable: filled before anybody else sees the object; `take` is for the one thread that consumes the record.
    private var base: UnsafeMutableRawPointer?
    package let count: Int

    /// Nil when memory is refused.
    init?(count: Int) {
        self.count = count
        guard count > 0 else { return }
        guard let storage = malloc(count) else { return nil }
        base = storage
    }

    init(copying bytes: [UInt8]) {
        let storage = bytes.isEmpty ? nil : malloc(bytes.count)
        count = storage == nil ? 0 : bytes.count
        base = storage
        bytes.withUnsafeBytes { from in
            if let storage, let start = from.baseAddress { memcpy(storage, start, from.count) }
        }
    }

    deinit { free(base) }

    /// Valid as long as this object lives and nobody has taken the bytes.
    package var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: base == nil ? 0 : count) }

    var mutableBuffer: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: base, count: base == nil ? 0 : count)
    }

    /// Gives the storage, which came from `malloc`, to the caller, who frees it. Nil when it is empty or taken.
    package func take() -> UnsafeMutableRawPointer? {
        defer { base = nil }
        return base
    }
}
