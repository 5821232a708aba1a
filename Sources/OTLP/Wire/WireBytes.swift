internal import Glibc

/// Immutable bytes on the heap, shared by reference. The bytes are freed with the last reference.
///
/// `accounting` is released at that moment too, so a memory lease kept there counts exactly as long as the bytes live.
package final class WireBytes: @unchecked Sendable {
    // Sendable: the storage is written before `init` takes it and never after.

    /// First byte; nil when empty. Valid as long as this object lives.
    package let base: UnsafePointer<UInt8>?
    /// Number of bytes.
    package let count: Int
    /// Kept alive as long as the bytes; not used otherwise.
    package let accounting: (any AnyObject & Sendable)?
    /// Owns the bytes, when these are part of its own; nil when they are freed with this object.
    private let whole: WireBytes?

    /// Takes ownership of `base`, which must come from `malloc` and is given to `free`.
    package init(
        adopting base: UnsafeMutableRawPointer?, count: Int, accounting: (any AnyObject & Sendable)? = nil
    ) {
        self.base = base.map { UnsafePointer($0.assumingMemoryBound(to: UInt8.self)) }
        self.count = base == nil ? 0 : count
        self.accounting = accounting
        whole = nil
    }

    /// The bytes of `whole` but the first `count`, shared with it. Empty when it has no more.
    package init(_ whole: WireBytes, dropping count: Int) {
        let rest = max(0, whole.count - max(0, count))
        base = rest > 0 ? whole.base.map { $0 + max(0, count) } : nil
        self.count = rest
        accounting = whole.accounting
        self.whole = whole
    }

    /// Takes the storage of a writer, which is empty afterwards.
    package convenience init(taking writer: inout WireWriter, accounting: (any AnyObject & Sendable)? = nil) {
        let (base, count) = writer.takeStorage()
        self.init(adopting: base, count: count, accounting: accounting)
    }

    /// Copies `bytes`. Empty when memory is refused.
    package convenience init(
        copying bytes: UnsafeRawBufferPointer, accounting: (any AnyObject & Sendable)? = nil
    ) {
        let storage = bytes.count > 0 ? malloc(bytes.count) : nil
        if let storage, let from = bytes.baseAddress { memcpy(storage, from, bytes.count) }
        self.init(adopting: storage, count: bytes.count, accounting: accounting)
    }

    deinit { if whole == nil { free(UnsafeMutableRawPointer(mutating: base)) } }

    /// All bytes; valid as long as this object lives.
    package var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }
}
