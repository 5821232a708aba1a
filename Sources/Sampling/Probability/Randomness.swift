package import OTLP

/// The 56 random bits of a trace that every sampler on its way compares with its threshold, so that all agree.
package struct Randomness: Equatable, Sendable {
    /// From 0 to 2^56 - 1.
    package let value: UInt64

    /// Kept by every threshold but `never`. Stands for randomness that an item does not have.
    package static let maximum = Randomness(truncating: .max)

    /// The lowest 56 bits of `value`.
    package init(truncating value: UInt64) { self.value = value & (Threshold.range - 1) }

    /// The last seven bytes of a trace id (W3C Trace Context Level 2). Nil when there are not 16 bytes.
    package init?(traceID: UnsafeRawBufferPointer) {
        guard traceID.count == 16 else { return nil }
        self.init(truncating: UInt64(bigEndian: traceID.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }

    /// Reads `rv`: exactly 14 hexadecimal digits. Nil for anything else. Capitals are read too, as the reference
    /// implementation does.
    package init?(digits: UnsafeRawBufferPointer) {
        guard digits.count == Threshold.maximumDigits, let value = hexadecimal(digits) else { return nil }
        self.init(truncating: value)
    }

    /// Appends the value of `rv`: 14 lower-case digits.
    package func append(to writer: inout WireWriter) {
        appendHexadecimal(value, digits: Threshold.maximumDigits, to: &writer)
    }
}

/// The hash of otelcol's `probabilistic_sampler`, mode `hash_seed`: 32-bit FNV-1a over the seed, as four little-endian
/// bytes, and then the source.
package struct SeededHash: Sendable {
    /// Of the hash, this many bits decide.
    package static let decidingBits = 14

    private static let prime: UInt32 = 0x0100_0193
    /// The hash after the seed's bytes.
    private let start: UInt32

    package init(seed: UInt32) {
        var hash: UInt32 = 0x811C_9DC5
        for shift in [0, 8, 16, 24] as [UInt32] { hash = (hash ^ (seed >> shift & 0xFF)) &* Self.prime }
        start = hash
    }

    /// The hash of `bytes`.
    package func hash(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var hash = start
        for byte in bytes { hash = (hash ^ UInt32(byte)) &* Self.prime }
        return hash
    }

    /// The hash as randomness: compared with `threshold(percentage:)` it decides as otelcol's hash does. From the
    /// highest: 14 bits that are the hash's low 14, counted from above; 28 mixed from its other 18; and the low 14.
    package func randomness(of bytes: UnsafeRawBufferPointer) -> Randomness {
        let hash = UInt64(hash(bytes))
        let low = hash & 0x3FFF
        // The reference takes the top 14 bits here, although 18 are free: its `rv` is the same only so.
        let high = hash >> 18
        return Randomness(truncating: (0x3FFF - low) << 42 | (high ^ high << 10) << 14 | low)
    }

    /// The threshold of a percentage (from 0; above 100 counts as 100), with 14 bits as otelcol computes it: in single
    /// precision, rounded down. `never` when that is 0.
    package static func threshold(percentage: Float) -> Threshold {
        let buckets = Float(1 << decidingBits)
        let kept = UInt64(min(max(percentage, 0), 100) * (buckets / 100))
        return Threshold(rejected: (1 << UInt64(decidingBits) - kept) << 42) ?? .never
    }
}
