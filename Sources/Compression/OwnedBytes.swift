internal import Glibc

/// Bytes from `malloc` with one owner, who frees them by letting go of this value.
package struct OwnedBytes: ~Copyable, @unchecked Sendable {
    // Sendable is unchecked because of the raw pointer; the value cannot be copied, so one thread has it at a time.

    /// First byte; nil only when `count` is 0.
    package let base: UnsafeMutableRawPointer?
    /// Valid bytes from `base`.
    package let count: Int

    /// Takes over `base`, which must come from `malloc` and be freed by nobody else.
    package init(adopting base: UnsafeMutableRawPointer?, count: Int) {
        self.base = base
        self.count = base == nil ? 0 : count
    }

    /// A copy of all `slices`, one after the other.
    /// - Throws: `.outOfMemory`.
    package init(gathering slices: [UnsafeRawBufferPointer]) throws(CompressionError) {
        let total = slices.reduce(0) { $0 + $1.count }
        guard let copy = malloc(max(total, 1)) else { throw .outOfMemory }
        gather(slices, into: copy)
        self.init(adopting: copy, count: total)
    }

    /// A copy of `bytes`.
    /// - Throws: `.outOfMemory`.
    package init(copying bytes: [UInt8]) throws(CompressionError) {
        guard let copy = malloc(max(bytes.count, 1)) else { throw .outOfMemory }
        bytes.withUnsafeBytes { gather([$0], into: copy) }
        self.init(adopting: copy, count: bytes.count)
    }

    deinit { free(base) }

    /// The bytes; valid while this value lives.
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    /// Gives the bytes away: the caller frees `base` with `free`.
    package consuming func release() -> (base: UnsafeMutableRawPointer?, count: Int) {
        let given = (base, count)
        discard self
        return given
    }
}

/// Copies `slices` one after the other to `target`, which has room for all of them.
func gather(_ slices: [UnsafeRawBufferPointer], into target: UnsafeMutableRawPointer) {
    var next = target
    for slice in slices {
        guard let source = slice.baseAddress, !slice.isEmpty else { continue }
        memcpy(next, source, slice.count)
        next += slice.count
    }
}

/// A `malloc`ed output buffer while it is being filled.
struct OutputBuffer: ~Copyable {
    private(set) var base: UnsafeMutableRawPointer
    private(set) var capacity: Int

    /// - Throws: `.outOfMemory`.
    init(capacity: Int) throws(CompressionError) {
        guard let base = malloc(max(capacity, 1)) else { throw .outOfMemory }
        self.base = base
        self.capacity = capacity
    }

    deinit { free(base) }

    /// Makes room for `capacity` bytes in all; the content stays, its address may change.
    /// - Throws: `.outOfMemory`; the buffer is then as it was.
    mutating func grow(to capacity: Int) throws(CompressionError) {
        guard let moved = realloc(base, max(capacity, 1)) else { throw .outOfMemory }
        base = moved
        self.capacity = capacity
    }

    /// The first `count` bytes; the rest of the buffer goes back to the allocator.
    consuming func finish(count: Int) -> OwnedBytes {
        let base = base
        let capacity = capacity
        discard self
        // A shrinking realloc may only fail by leaving the block as it was.
        guard count < capacity, let shrunk = realloc(base, max(count, 1)) else {
            return OwnedBytes(adopting: base, count: count)
        }
        return OwnedBytes(adopting: shrunk, count: count)
    }
}
