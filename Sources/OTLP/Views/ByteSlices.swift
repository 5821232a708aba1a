internal import COTLP

/// The elements of a repeated length-delimited field, in wire order. Valid until the arena is reset.
package struct ByteSlices: RandomAccessCollection {
    private let base: UnsafePointer<ProtobufCBinaryData>?
    /// Number of elements.
    package let count: Int

    @inline(__always)
    init(_ base: UnsafeMutablePointer<ProtobufCBinaryData>?, _ count: Int) {
        self.base = base.map { UnsafePointer($0) }
        self.count = base == nil ? 0 : count
    }

    /// Zero.
    package var startIndex: Int { 0 }
    /// Same as `count`.
    package var endIndex: Int { count }

    /// The bytes of one element; empty for a position out of range.
    package subscript(position: Int) -> UnsafeRawBufferPointer {
        guard let base, position >= 0, position < count else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return base[position].slice
    }
}

/// The elements of a repeated 64-bit number field. Valid until the arena is reset.
package typealias NumberSlice<Number> = UnsafeBufferPointer<Number>

extension ProtobufCBinaryData {
    /// The bytes, in the arena; empty when the field was absent.
    @inline(__always)
    var slice: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : len)
    }
}

/// Bytes a single message may have: protobuf's own bound, 2 GiB less one.
package let maximumMessageBytes = Int(Int32.max)

extension WireArena {
    /// Unpacks `bytes` with one of the generated functions; nil when malformed or when the arena is exhausted.
    @inline(__always)
    func unpack<Message>(
        _ bytes: UnsafeRawBufferPointer,
        _ function: (
            UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?
        ) -> UnsafeMutablePointer<Message>?
    ) -> UnsafePointer<Message>? {
        guard bytes.count <= maximumMessageBytes else { return nil }
        let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        return function(allocator, bytes.count, start).map { UnsafePointer($0) }
    }
}
