import OTLP
import Prometheus
import Testing

private func buckets(_ offset: Int32, _ counts: [UInt64]) -> Wire {
    let zigzag = UInt64(UInt32(bitPattern: offset << 1 ^ offset >> 31))
    return Wire().varint(1, zigzag).packed(2, varints: counts)
}

private func point(
    scale: Int32, positive: Wire = Wire(), negative: Wire = Wire(), zeroCount: UInt64 = 0, threshold: Double = 0,
    count: UInt64, sum: Double? = 1, flags: UInt64 = 0
) -> Wire {
    let zigzag = UInt64(UInt32(bitPattern: scale << 1 ^ scale >> 31))
    let head = Wire().fixed(3, someTime * 1_000_000).fixed(4, count)
    return (sum.map { head.double(5, $0) } ?? head).varint(6, zigzag).fixed(7, zeroCount).message(8, positive)
        .message(9, negative).varint(10, flags).double(14, threshold)
}

private func native(_ point: Wire) throws -> (RecordingSink.Native?, TranslationReport) {
    let translation = Translation()
    let report = translation.run(try batch([Metric.exponential("h", [point])]))
    #expect(translation.sink.series.count == report.points - report.rejected)
    return (translation.sink.series.first?.native, report)
}

@Suite struct ExponentialHistograms {
    @Test func simple() throws {
        let (found, _) = try native(
            point(
                scale: 3, positive: buckets(-2, [1, 0, 2]), negative: buckets(5, [4]), zeroCount: 3, threshold: 0.5,
                count: 10, sum: 2.5))
        let histogram = try #require(found)
        #expect(histogram.schema == 3 && histogram.count == 10 && histogram.sum == 2.5)
        #expect(histogram.zeroCount == 3 && histogram.zeroThreshold == 0.5)
        #expect(histogram.positive == [-1: 1, 0: 0, 1: 2])
        #expect(histogram.negative == [6: 4])
    }

    @Test func gapsBeginSpans() throws {
        let (found, _) = try native(point(scale: 0, positive: buckets(0, [1, 0, 0, 2, 0, 0, 0, 3, 0]), count: 6))
        let histogram = try #require(found)
        #expect(histogram.spans.map { [Int($0.offset), Int($0.length)] } == [[1, 4], [3, 1]])
        #expect(histogram.positive == [1: 1, 2: 0, 3: 0, 4: 2, 8: 3])
        #expect(histogram.zeroThreshold == 1e-128)
    }

    /// Against the definition: bucket i at scale s covers (2^(i/2^s), 2^((i+1)/2^s)].
    @Test(arguments: [0, 1, -1, -7, 300, -5000]) func downscaling(_ offset: Int32) throws {
        let counts = (0..<50).map { UInt64($0 % 7) }
        for scaleDown in 1...6 {
            let (found, _) = try native(
                point(scale: Int32(8 + scaleDown), positive: buckets(offset, counts), count: counts.reduce(0, +)))
            let histogram = try #require(found)
            var wanted: [Int: Int64] = [:]
            for (index, count) in counts.enumerated() where count > 0 {
                // The merged bucket is the one whose upper bound is the next multiple.
                let upper = Int(offset) + index + 1
                let merged = Int((Double(upper) / Double(1 << scaleDown)).rounded(.up))
                wanted[merged, default: 0] += Int64(count)
            }
            #expect(histogram.schema == 8)
            #expect(histogram.positive.filter { $0.value > 0 } == wanted)
        }
    }

    @Test func limitsOfScale() throws {
        #expect(try native(point(scale: -4, count: 0)).0?.schema == -4)
        #expect(try native(point(scale: -5, count: 0)).1.rejected(.scaleTooLow) == 1)
        let (found, _) = try native(point(scale: 20, positive: buckets(Int32.max - 1, [1, 2]), count: 3))
        #expect(found?.positive.values.reduce(0, +) == 3)
        #expect(try native(point(scale: .max, positive: buckets(.min, [1]), count: 1)).1.rejected == 0)
        // The index of the upper bound does not fit.
        let (_, report) = try native(point(scale: 8, positive: buckets(Int32.max, [1, 2]), count: 3))
        #expect(report.rejected(.malformedHistogram) == 1)
    }

    @Test func countsThatDoNotAddUp() throws {
        let positive = buckets(0, [1, 2])
        #expect(try native(point(scale: 0, positive: positive, count: 4)).1.rejected(.malformedHistogram) == 1)
        #expect(try native(point(scale: 0, positive: positive, count: 2, sum: .nan)).1.rejected == 1)
        #expect(try native(point(scale: 0, positive: positive, count: 4, sum: .nan)).1.rejected == 0)
        let overflow = buckets(0, [.max, 1])
        #expect(try native(point(scale: 0, positive: overflow, count: 0)).1.rejected(.malformedHistogram) == 1)
    }

    @Test func stale() throws {
        let (found, _) = try native(point(scale: 0, positive: buckets(0, [1]), count: 1, flags: 1))
        let histogram = try #require(found)
        #expect(StaleMarker.isStale(histogram.sum) && histogram.count == 0 && histogram.positive.isEmpty)
        let ordinary = try #require(try native(point(scale: 0, count: 0, sum: .nan)).0)
        #expect(ordinary.sum.bitPattern == 0x7FF8_0000_0000_0001)
        #expect(try native(point(scale: 0, count: 0, sum: nil)).0?.sum == 0)
    }

    @Test func unpackedBuckets() throws {
        let unpacked = Wire().varint(2, 4).varint(1, 2).varint(2, 5)
        #expect(try native(point(scale: 0, positive: unpacked, count: 9)).0?.positive == [2: 4, 3: 5])
    }
}
