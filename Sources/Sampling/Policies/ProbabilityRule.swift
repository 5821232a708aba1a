/// The hash of otelcol's tail sampler, 64-bit FNV-1a over a salt and the trace id, and what it is compared with.
struct SaltedHash: Sendable, Equatable {
    private static let prime: UInt64 = 0x0000_0100_0000_01B3
    /// The hash after the salt.
    let start: UInt64

    init(start: UInt64) { self.start = start }

    init(salt: String) {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in salt.utf8 { hash = (hash ^ UInt64(byte)) &* Self.prime }
        start = hash
    }

    /// The hash of a trace id, whose halves are read as big-endian numbers.
    func hash(_ id: (high: UInt64, low: UInt64)) -> UInt64 {
        var hash = start
        for half in [id.high, id.low] {
            for shift in stride(from: UInt64(56), through: 0, by: -8) {
                hash = (hash ^ (half >> shift & 0xFF)) &* Self.prime
            }
        }
        return hash
    }

    /// The hash as randomness: what the limit keeps, the limit's threshold keeps.
    static func randomness(_ hash: UInt64) -> Randomness { Randomness(truncating: ~hash >> 8) }
}

/// A `probabilistic` policy.
struct ProbabilityRule: Sendable {
    let hash: SaltedHash
    /// Hashes up to this one are kept; nil keeps none.
    let limit: UInt64?
    /// The same as a threshold of `SaltedHash.randomness`.
    let threshold: Threshold
    /// From 0 to 1.
    let probability: Double
    /// Whether the salt is the one that all policies of the program have.
    let isCommonSalt: Bool

    init(percentage: Double, salt: String, isCommonSalt: Bool) {
        hash = SaltedHash(salt: salt)
        probability = min(max(percentage / 100, 0), 1)
        limit = probability > 0 ? Self.limit(probability) : nil
        threshold = limit.flatMap { Threshold(rejected: ~$0 >> 8) } ?? .never
        self.isCommonSalt = isCommonSalt
    }

    /// (2^64 - 1) × `ratio` as otelcol computes it: the product rounded to 64 significant bits, then cut to an integer.
    static func limit(_ ratio: Double) -> UInt64 {
        guard ratio > 0 else { return 0 }
        guard ratio < 1 else { return .max }
        var exponent = Int(ratio.exponent) - Double.significandBitCount
        let significand = UInt128(ratio.significandBitPattern | 1 << UInt64(Double.significandBitCount))
        var product = UInt128(UInt64.max) * significand
        let extra = 128 - product.leadingZeroBitCount - 64
        if extra > 0 {
            let shift = UInt128(extra)
            let rest = product & ((1 << shift) - 1)
            let half = UInt128(1) << (shift - 1)
            product >>= shift
            if rest > half || rest == half && product & 1 == 1 { product += 1 }
            exponent += extra
        }
        guard exponent < 0 else { return UInt64(clamping: product << UInt128(exponent)) }
        return exponent <= -128 ? 0 : UInt64(clamping: product >> UInt128(-exponent))
    }
}
