import OTLP
import TestSupport
import Testing

@testable import Temporality

@Suite struct ExponentialTests {
    private func merged(_ deltas: [SampleExponential]) throws -> SampleExponential {
        var run = DeltaRun()
        var last = SampleExponential()
        for (index, delta) in deltas.enumerated() {
            let time = UInt64(index)
            let point = SamplePoint(start: time, time: time + 1, value: .exponential(delta))
            let points = try run.run(SampleMetric(kind: .exponentialHistogram, points: [point])).points
            if case .exponential(let value)? = points.first?.value { last = value }
        }
        return last
    }

    @Test func scalesMeetAtTheLowerOne() throws {
        let result = try merged([
            SampleExponential(scale: 1, positive: (-3, [1, 2, 4, 8])),
            SampleExponential(scale: 0, positive: (0, [16])),
        ])
        // Indices -3 -2 -1 0 become -2 -1 -1 0.
        #expect(result == SampleExponential(scale: 0, positive: (-2, [1, 6, 24])))
        #expect(try merged([result, SampleExponential(scale: 3, positive: (8, [1]))]).positive == (-2, [1, 6, 24, 1]))
    }

    @Test func wideRangesAreNarrowedTo160Buckets() throws {
        let result = try merged([
            SampleExponential(scale: 5, positive: (0, [1])), SampleExponential(scale: 5, positive: (319, [1])),
        ])
        #expect(result.scale == 4)
        #expect(result.positive.counts.count == 160)
        let farthest = try merged([
            SampleExponential(scale: 20, positive: (.min, [1]), negative: (.max, [2])),
            SampleExponential(scale: 20, positive: (.max, [1]), negative: (.min, [2])),
        ])
        #expect(farthest.positive.counts.reduce(0, +) == 2)
        #expect(farthest.negative.counts.reduce(0, +) == 4)
        #expect(farthest.positive.counts.count <= 160)
        #expect(farthest.scale == -5)
        // One point alone is too wide.
        let alone = try merged([SampleExponential(scale: 2, positive: (0, Array(repeating: 1, count: 321)))])
        #expect(alone.scale == 0)
        #expect(alone.positive.counts.reduce(0, +) == 321)
    }

    @Test func extremeScalesDoNoHarm() throws {
        for scale in [Int32.min, -2000, 2000, .max] {
            let result = try merged([
                SampleExponential(scale: scale, zeroThreshold: 1, positive: (-3, [1, 1, 1, 1, 1, 1])),
                SampleExponential(scale: 0, zeroThreshold: 0.5, positive: (-5, [1]), negative: (7, [1])),
                SampleExponential(scale: scale, zeroThreshold: 1e300, positive: (-9, [1]), negative: (1000, [1])),
            ])
            let total = result.positive.counts.reduce(0, +) + result.negative.counts.reduce(0, +) + result.zeroCount
            #expect(total == 10)
        }
    }

    @Test func theWiderZeroBucketTakesWhatItCovers() throws {
        // At scale 0: (0.25, 0.5], (0.5, 1], (1, 2], (2, 4].
        let plain = SampleExponential(zeroCount: 1, positive: (-2, [1, 2, 4, 8]), negative: (-2, [3, 0, 5]))
        let onABound = try merged([plain, SampleExponential(zeroCount: 10, zeroThreshold: 1)])
        #expect(onABound.zeroThreshold == 1)
        #expect(onABound.zeroCount == 17)
        #expect(onABound.positive == (0, [4, 8]))
        #expect(onABound.negative == (0, [5]))
        // Through a populated bucket: up to its end, in both.
        let through = try merged([
            plain, SampleExponential(zeroCount: 10, zeroThreshold: 1.5, positive: (1, [100])),
        ])
        #expect(through.zeroThreshold == 2)
        #expect(through.zeroCount == 26)
        #expect(through.positive == (1, [108]))
        #expect(through.negative.counts.isEmpty)
        // In an empty one: as it is.
        let empty = try merged([
            SampleExponential(positive: (2, [1])), SampleExponential(zeroCount: 1, zeroThreshold: 1.5),
        ])
        #expect(empty.zeroThreshold == 1.5)
        #expect(empty.positive == (2, [1]))
        // The other way round.
        let reversed = try merged([SampleExponential(zeroCount: 10, zeroThreshold: 1), plain])
        #expect(reversed == onABound)
    }

    @Test func indicesAndBoundsAgree() {
        for scale in Int32(-4)...10 {
            for index in Int64(-200)...200 {
                let bound = ExponentialBuckets.upperBound(index, scale: scale)
                guard bound.isNormal, bound < 1e300 else { continue }
                let above = ExponentialBuckets.index(of: bound * 1.000_000_001, scale: scale)
                let below = ExponentialBuckets.index(of: bound * 0.999_999_999, scale: scale)
                #expect(above == index + 1)
                #expect(below == index)
            }
        }
        for exponent in -1000...1000 where exponent % 7 == 0 {
            let power = Double(sign: .plus, exponent: exponent, significand: 1)
            #expect(ExponentialBuckets.index(of: power, scale: 0) == Int64(exponent) - 1)
        }
    }
}
