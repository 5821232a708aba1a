internal import Glibc

/// A growable, contiguous byte buffer with the protobuf wire primitives. One owner; not thread-safe.
///
/// Growth doubles the capacity up to `limit`. A write past `limit`, or one that the allocator refuses, is not
/// performed and sets `overflowed`; every later write is ignored too, so a caller checks once at the end.
package struct WireWriter: ~Copyable {
    /// First byte of the storage; nil before the first write. Invalid after any write.
    @usableFromInline package private(set) var base: UnsafeMutableRawPointer?
    /// Bytes written.
    @usableFromInline package private(set) var count: Int
    @usableFromInline private(set) var capacity: Int
    /// Most bytes this writer may hold.
    package let limit: Int
    /// True once a write was refused. The content is then incomplete and must not be used.
    package private(set) var overflowed: Bool

    /// - Parameters:
    ///   - capacity: bytes to reserve at once.
    ///   - limit: most bytes to hold.
    package init(capacity: Int = 0, limit: Int = .max) {
        self.base = nil
        self.count = 0
        self.capacity = 0
        self.limit = limit
        self.overflowed = false
        if capacity > 0 { grow(toFit: min(capacity, limit)) }
    }

    deinit { free(base) }

    /// Makes room for `extra` more bytes. False, and `overflowed`, when that passes `limit` or memory is refused.
    @inline(__always)
    package mutating func reserve(_ extra: Int) -> Bool {
        if overflowed { return false }
        if extra <= capacity - count { return true }
        return growFor(extra)
    }

    @inline(never)
    private mutating func growFor(_ extra: Int) -> Bool {
        guard extra <= limit - count else {
            overflowed = true
            return false
        }
        return grow(toFit: count + extra)
    }

    @discardableResult
    private mutating func grow(toFit needed: Int) -> Bool {
        let doubled = capacity > limit / 2 ? limit : capacity * 2
        let target = max(needed, min(max(doubled, 256), limit))
        guard let moved = realloc(base, target) else {
            overflowed = true
            return false
        }
        base = moved
        capacity = target
        return true
    }

    /// Forgets the content, keeps the storage.
    package mutating func removeAll() {
        count = 0
        overflowed = false
    }

    /// Cuts the content to its first `length` bytes; longer lengths change nothing.
    package mutating func truncate(to length: Int) {
        if length < count { count = max(0, length) }
    }

    /// Overwrites bytes that have been written. Ignored when `source` does not lie within them.
    package mutating func replace(at start: Int, with source: UnsafeRawBufferPointer) {
        guard start >= 0, source.count > 0, start <= count - source.count, let base, let from = source.baseAddress
        else {
            return
        }
        memmove(base + start, from, source.count)
    }

    /// The bytes written so far; valid until the next mutation.
    package var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base, count: count)
    }

    /// Gives the storage away (to be freed with `free`) and leaves the writer empty.
    package mutating func takeStorage() -> (base: UnsafeMutableRawPointer?, count: Int) {
        let taken = (base, count)
        base = nil
        count = 0
        capacity = 0
        return taken
    }

    /// Takes the content of `other`, and gives it this writer's storage, empty. Nothing is copied.
    ///
    /// - Returns: false, and nothing is changed, when the content is incomplete or does not fit in `limit`.
    package mutating func takeContent(of other: inout WireWriter) -> Bool {
        guard !other.overflowed, !overflowed, other.count <= limit else { return false }
        swap(&base, &other.base)
        swap(&capacity, &other.capacity)
        count = other.count
        other.count = 0
        return true
    }

    /// Room for `size` bytes that the caller has filled or fills at once; nil when refused.
    @inline(__always)
    package mutating func appendUninitialized(_ size: Int) -> UnsafeMutableRawPointer? {
        guard reserve(size), let base else { return nil }
        let start = base + count
        count += size
        return start
    }

    @inline(__always)
    package mutating func append(byte: UInt8) {
        guard let target = appendUninitialized(1) else { return }
        target.storeBytes(of: byte, as: UInt8.self)
    }

    @inline(__always)
    package mutating func append(_ source: UnsafeRawBufferPointer) {
        guard source.count > 0, let from = source.baseAddress, let target = appendUninitialized(source.count) else {
            return
        }
        memcpy(target, from, source.count)
    }

    /// Appends the bytes of a literal.
    @inline(__always)
    package mutating func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Base-128 varint, shortest form.
    @inline(__always)
    package mutating func append(varint value: UInt64) {
        guard reserve(10), let base else { return }
        var rest = value
        var position = count
        while rest >= 0x80 {
            base.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: position, as: UInt8.self)
            rest >>= 7
            position += 1
        }
        base.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: position, as: UInt8.self)
        count = position + 1
    }

    /// Field key: number and wire type.
    @inline(__always)
    package mutating func append(tag field: UInt32, _ type: WireType) {
        append(varint: UInt64(field) << 3 | UInt64(type.rawValue))
    }

    /// Length-delimited field with the given payload.
    @inline(__always)
    package mutating func append(field: UInt32, bytes: UnsafeRawBufferPointer) {
        append(tag: field, .lengthDelimited)
        append(varint: UInt64(bytes.count))
        append(bytes)
    }

    @inline(__always)
    package mutating func append(fixed64 value: UInt64) {
        guard let target = appendUninitialized(8) else { return }
        target.storeBytes(of: value.littleEndian, as: UInt64.self)
    }

    @inline(__always)
    package mutating func append(fixed32 value: UInt32) {
        guard let target = appendUninitialized(4) else { return }
        target.storeBytes(of: value.littleEndian, as: UInt32.self)
    }

    /// Turns the bytes written since `start` into a length-delimited payload: inserts the tag and the length
    /// before them. `start` must be an earlier `count`. Lengths are written in shortest form.
    package mutating func wrap(since start: Int, field: UInt32) {
        let payload = count - start
        guard payload >= 0, !overflowed else { return }
        let header = varintSize(UInt64(field) << 3 | 2) + varintSize(UInt64(payload))
        guard appendUninitialized(header) != nil, let base else { return }
        memmove(base + start + header, base + start, payload)
        count = start
        append(tag: field, .lengthDelimited)
        append(varint: UInt64(payload))
        count = start + header + payload
    }
}

/// Protobuf wire types.
package enum WireType: UInt8, Sendable {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case startGroup = 3
    case endGroup = 4
    case fixed32 = 5
}

/// Bytes that `value` takes as a varint: 1 to 10.
@inline(__always)
package func varintSize(_ value: UInt64) -> Int {
    (70 - (value | 1).leadingZeroBitCount) / 7
}
