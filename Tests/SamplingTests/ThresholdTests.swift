import OTLP
import Testing

@testable import Sampling

func text(_ threshold: Threshold) -> String {
    var writer = WireWriter()
    threshold.append(to: &writer)
    return String(decoding: writer.bytes, as: UTF8.self)
}

func threshold(_ digits: String) -> Threshold? { Array(digits.utf8).withUnsafeBytes { Threshold(digits: $0) } }
func randomness(_ digits: String) -> Randomness? { Array(digits.utf8).withUnsafeBytes { Randomness(digits: $0) } }

@Suite struct ThresholdTests {
    @Test(
        arguments: [
            (1, 4, "0"), (0.5, 4, "8"), (0.25, 4, "c"), (0.75, 4, "4"), (0.1, 4, "e666"), (0.1, 14, "e6666666666666"),
            (0.01, 14, "fd70a3d70a3d71"),
            (0.01, 4, "fd70a"), (0.01, 3, "fd71"), (1 / 3.0, 4, "aaab"), (0.4, 3, "99a"), (0.4, 6, "99999a"),
            (0x1p-14, 4, "fffc"), (0x1p-28, 14, "fffffff"), (0x1p-56, 1, "ffffffffffffff"), (0.001, 4, "ffbe77"),
            (0.999, 4, "004189"),
        ] as [(Double, Int, String)])
    func ofProbability(_ probability: Double, _ precision: Int, _ digits: String) throws {
        #expect(text(try #require(Threshold(probability: probability, precision: precision))) == digits)
    }

    /// otelcol holds percentages in single precision.
    @Test func ofSinglePrecision() throws {
        let almostAll = Double(Float((1 - 8e-7) * 100)) / 100
        #expect(text(try #require(Threshold(probability: almostAll, precision: 10))).hasPrefix("00000"))
        let threshold = try #require(Threshold(probability: Double(Float(15.3)) / 100, precision: 4))
        #expect(text(threshold) == "d8d5")
    }

    @Test func outOfRange() {
        for probability in [0, -1, 0x1p-57, 1.000001, .infinity, .nan] {
            #expect(Threshold(probability: probability) == nil)
        }
        #expect(Threshold(rejected: Threshold.range + 1) == nil)
        #expect(text(.never) == "")
    }

    @Test func digits() {
        #expect(threshold("8")?.rejected == 1 << 55)
        #expect(threshold("80000000000000") == threshold("8"))
        #expect(threshold("0") == .always)
        #expect(threshold("FFFC") == threshold("fffc"))
        for bad in ["", "g", "-1", " 8", "0x8", "000000000000000", "8 ", "é"] { #expect(threshold(bad) == nil) }
        #expect(randomness("0123456789abcd")?.value == 0x01_2345_6789_ABCD)
        for bad in ["", "0123456789abc", "0123456789abcde", "0123456789abcg"] { #expect(randomness(bad) == nil) }
    }

    @Test func textIsReadBackAlike() throws {
        var generator = Seeded(7)
        for _ in 0..<20_000 {
            let shift = generator.next() % 57
            let known = try #require(Threshold(rejected: ((generator.next() >> 8) >> shift) << shift))
            #expect(threshold(text(known)) == known)
            #expect(!text(known).hasSuffix("0") || known == .always)
        }
    }

    @Test func precisionHoldsForEveryProbability() throws {
        var generator = Seeded(8)
        for _ in 0..<20_000 {
            let probability = max(0x1p-56, Double(generator.next() >> 11) * 0x1p-53 * generator.scale(40))
            for precision in [1, 4, 8] {
                let found = try #require(Threshold(probability: probability, precision: precision))
                // Half of the last digit, of which the significant ones describe at least a sixteenth; and a Double's own.
                let part = min(probability, 1 - probability)
                let bound = 8 * part * Double(sign: .plus, exponent: -4 * precision, significand: 1) + 0x1p-55
                #expect(abs(found.probability - probability) <= bound)
                #expect(found < .never)
            }
        }
    }

    @Test func keepsFromTheThresholdOn() throws {
        let half = try #require(threshold("8"))
        #expect(half.keeps(Randomness(truncating: 1 << 55)))
        #expect(!half.keeps(Randomness(truncating: 1 << 55 - 1)))
        #expect(Threshold.always.keeps(Randomness(truncating: 0)))
        #expect(!Threshold.never.keeps(.maximum))
    }

    @Test func counts() throws {
        #expect(Threshold.always.adjustedCount == 1)
        #expect(Threshold.never.adjustedCount == 0)
        #expect(try #require(threshold("8")).adjustedCount == 2)
        #expect(try #require(threshold("fffffffffffff8")).adjustedCount == 0x1p53)
    }

    @Test func proportion() throws {
        let half = try #require(threshold("8"))
        #expect(text(half.keeping(0.5, precision: 4)) == "c")
        #expect(text(half.keeping(0.4, precision: 6)) == "cccccd")
        #expect(try #require(threshold("fffffffffffff8")).keeping(0x1p-4) == .never)
        #expect(half.keeping(0) == .never)
    }

    @Test func traceID() {
        let id: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 0xFF, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x10]
        #expect(id.withUnsafeBytes { Randomness(traceID: $0) }?.value == 0x0A_0B0C_0D0E_0F10)
        #expect(id.dropLast().withUnsafeBytes { Randomness(traceID: $0) } == nil)
    }
}

@Suite struct SeededHashTests {
    /// Published vectors of FNV-1a, 32 bits; four zero bytes stand for seed 0.
    @Test func hash() {
        func hash(_ text: String, seed: UInt32) -> UInt32 {
            Array(text.utf8).withUnsafeBytes { SeededHash(seed: seed).hash($0) }
        }
        // "foobar" is 0xbf9cf968: its first four bytes as the seed.
        #expect(hash("ar", seed: 0x626F_6F66) == 0xBF9C_F968)
        #expect(hash("", seed: 0) == 0x4B95_F515)
    }

    @Test func percentages() {
        for (percentage, digits) in [(100, "0"), (75, "4"), (50, "8"), (25, "c"), (10, "e668"), (100.0 / 3, "aaac")] {
            #expect(text(SeededHash.threshold(percentage: Float(percentage))) == digits)
        }
        #expect(SeededHash.threshold(percentage: 200) == .always)
        #expect(SeededHash.threshold(percentage: 0) == .never)
        #expect(SeededHash.threshold(percentage: 0.006) == .never)
    }

    /// The rule as otelcol had it before thresholds: the hash's low 14 bits are below the percentage's share of 16,384.
    @Test func randomnessDecidesAsTheHashDoes() {
        var generator = Seeded(9)
        for percentage in [0.1, 1, 10, 15.3, 50, 99.99] as [Float] {
            let seed = UInt32(truncatingIfNeeded: generator.next())
            let seeded = SeededHash(seed: seed)
            let threshold = SeededHash.threshold(percentage: percentage)
            let bound = UInt32(percentage * (Float(16384) / 100))
            for _ in 0..<5000 {
                let id = [generator.next(), generator.next()]
                id.withUnsafeBytes {
                    #expect(threshold.keeps(seeded.randomness(of: $0)) == (seeded.hash($0) & 0x3FFF < bound))
                }
            }
        }
    }
}

/// A small generator with a seed (SplitMix64).
struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    /// 2^-n for an n from 0 to `bound`.
    mutating func scale(_ bound: UInt64) -> Double {
        Double(sign: .plus, exponent: -Int(next() % (bound + 1)), significand: 1)
    }
}
