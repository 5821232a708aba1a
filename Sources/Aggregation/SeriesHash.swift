/// Hash and comparison of the bytes that identify a series.
enum SeriesHash {
    private static let first: UInt64 = 0xA076_1D64_78BD_642F
    private static let second: UInt64 = 0xE703_7ED1_A0B4_28DB

    @inline(__always)
    private static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    /// Of a number and bytes. Not for secrets and not against an adversary: what collides only costs time, and the
    /// number of series is bounded.
    @inline(__always)
    static func of(_ tag: UInt64, _ bytes: UnsafeRawBufferPointer) -> UInt64 {
        let count = bytes.count
        guard let base = bytes.baseAddress, count > 0 else { return mix(tag ^ first, second) }
        var state = tag ^ first
        var low: UInt64
        var high: UInt64
        if count > 16 {
            var offset = 0
            while offset &+ 16 < count {
                state = mix(
                    base.loadUnaligned(fromByteOffset: offset, as: UInt64.self) ^ second,
                    base.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self) ^ state)
                offset &+= 16
            }
            low = base.loadUnaligned(fromByteOffset: count &- 16, as: UInt64.self)
            high = base.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
        } else if count >= 8 {
            low = base.loadUnaligned(as: UInt64.self)
            high = base.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
        } else if count >= 4 {
            low = UInt64(base.loadUnaligned(as: UInt32.self))
            high = UInt64(base.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
        } else {
            low =
                UInt64(base.load(as: UInt8.self)) &<< 16
                | UInt64(base.load(fromByteOffset: count &>> 1, as: UInt8.self)) &<< 8
                | UInt64(base.load(fromByteOffset: count &- 1, as: UInt8.self))
            high = 0
        }
        return mix(mix(low ^ second, high ^ state), first ^ UInt64(truncatingIfNeeded: count))
    }

    /// Whether `count` bytes are the same.
    @inline(__always)
    static func equal(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ count: Int) -> Bool {
        if count >= 16 {
            // The last words overlap those before them.
            var different = differing(left, right, count &- 16)
            var offset = 0
            while offset < count &- 16 {
                different |= differing(left, right, offset)
                offset &+= 16
            }
            return different[0] | different[1] == 0
        }
        if count >= 8 {
            return left.loadUnaligned(as: UInt64.self) == right.loadUnaligned(as: UInt64.self)
                && left.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
                    == right.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
        }
        var offset = 0
        while offset < count {
            if left.load(fromByteOffset: offset, as: UInt8.self)
                != right.load(fromByteOffset: offset, as: UInt8.self)
            {
                return false
            }
            offset &+= 1
        }
        return true
    }

    /// What differs in 16 bytes.
    @inline(__always)
    private static func differing(
        _ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ offset: Int
    ) -> SIMD2<UInt64> {
        left.loadUnaligned(fromByteOffset: offset, as: SIMD2<UInt64>.self)
            ^ right.loadUnaligned(fromByteOffset: offset, as: SIMD2<UInt64>.self)
    }
}
