internal import OTLP

/// The identity of a stream, or a part of one: 128 bits of a keyed hash.
///
/// Equal hashes count as equal streams. With a key that nobody else knows, a million streams collide with a probability
/// below 2^-88.
package struct StreamHash: Hashable, Sendable {
    var low: UInt64 = 0
    var high: UInt64 = 0

    /// Of nothing.
    package init() {}

    init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// Half of the bits are enough to spread.
    package func hash(into hasher: inout Hasher) { hasher.combine(low) }

    /// The sum of parts whose order does not matter.
    @inline(__always)
    mutating func add(_ other: StreamHash) {
        low = low &+ other.low
        high = high &+ other.high
    }
}

/// Hashes wire bytes under a key: two chains of folded 64 × 64 → 128 bit products.
package struct StreamHasher: Sendable {
    private let first: UInt64
    private let second: UInt64
    private let third: UInt64
    private let fourth: UInt64

    /// A key that `generator` draws.
    package init(using generator: inout some RandomNumberGenerator) {
        first = generator.next()
        second = generator.next()
        third = generator.next()
        fourth = generator.next()
    }

    @inline(__always)
    private static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    /// The hash of some bytes, their number included.
    package func hash(_ bytes: UnsafeRawBufferPointer) -> StreamHash {
        let count = bytes.count
        var low = first ^ UInt64(count)
        var high = second &+ UInt64(count)
        guard count > 0, let base = bytes.baseAddress else { return finish(low, high) }
        var position = 0
        while position &+ 16 < count {
            let left = base.loadUnaligned(fromByteOffset: position, as: UInt64.self)
            let right = base.loadUnaligned(fromByteOffset: position &+ 8, as: UInt64.self)
            low = Self.fold(left ^ third, right ^ low)
            high = Self.fold(right ^ fourth, left ^ high)
            position &+= 16
        }
        let rest = count &- position
        let left: UInt64
        let right: UInt64
        if rest >= 8 {
            left = base.loadUnaligned(fromByteOffset: position, as: UInt64.self)
            right = base.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
        } else if rest >= 4 {
            left = UInt64(base.loadUnaligned(fromByteOffset: position, as: UInt32.self))
            right = UInt64(base.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
        } else {
            left = UInt64(base.load(fromByteOffset: position, as: UInt8.self))
            let middle = UInt64(base.load(fromByteOffset: position &+ rest / 2, as: UInt8.self))
            right = middle << 8 | UInt64(base.load(fromByteOffset: count &- 1, as: UInt8.self))
        }
        low = Self.fold(left ^ third, right ^ low)
        high = Self.fold(right ^ fourth, left ^ high)
        return finish(low, high)
    }

    @inline(__always)
    private func finish(_ low: UInt64, _ high: UInt64) -> StreamHash {
        StreamHash(low: Self.fold(low ^ second, high ^ third), high: Self.fold(low ^ fourth, high ^ first))
    }

    /// One hash of two whose order matters.
    @inline(__always)
    package func join(_ left: StreamHash, _ right: StreamHash) -> StreamHash {
        StreamHash(
            low: Self.fold(left.low ^ first, right.low ^ second) ^ Self.fold(left.high ^ third, right.high ^ fourth),
            high: Self.fold(left.low ^ fourth, right.high ^ first) ^ Self.fold(left.high ^ second, right.low ^ third))
    }

    /// One hash of a hash and a number.
    @inline(__always)
    package func join(_ left: StreamHash, _ number: UInt64) -> StreamHash {
        join(left, StreamHash(low: number, high: ~number))
    }

    /// The hash of a message's repeated `KeyValue` fields of one number, in any order.
    func attributes(_ message: UnsafeRawBufferPointer, field: UInt32) -> StreamHash {
        var sum = StreamHash()
        var fields = WireFields(message)
        while let found = fields.next() {
            if found.number == field, found.type == .lengthDelimited { sum.add(hash(found.payload)) }
        }
        return sum
    }
}
