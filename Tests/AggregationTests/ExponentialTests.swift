import Glibc
import TestSupport
import Testing

@testable import Aggregation

@Suite struct ExponentialTests {
    @Test func bucketsHoldWhatTheirBoundsSay() {
        var generator = SeededGenerator(seed: 5)
        for scale in Int32(-11)...20 {
            for _ in 0..<200 {
                let value = exp2(Double.random(in: -300...300, using: &generator))
                let index = Double(ExponentialCell.index(of: value, scale: scale))
                let position = log2(value) * exp2(Double(scale))
                // Close to a bound the logarithm decides, to the precision of a Double.
                let slack = 1e-9 * max(1, abs(position))
                #expect(position > index - slack, "\(value) at \(scale)")
                #expect(position <= index + 1 + slack, "\(value) at \(scale)")
            }
            for exponent in [-1022, -100, -1, 0, 1, 7, 1023] {
                let value = exp2(Double(exponent))
                let index = Double(ExponentialCell.index(of: value, scale: scale))
                let position = Double(exponent) * exp2(Double(scale))
                #expect(index == position.rounded(.up) - 1, "2^\(exponent) at \(scale)")
            }
        }
        for value in [Double.leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude] {
            for scale in Int32(-11)...20 { _ = ExponentialCell.index(of: value, scale: scale) }
        }
    }

    @Test(arguments: [2, 3, 16, 160], [1, 2, 3] as [UInt64])
    func countsAreThoseOfEachValueAtTheFinalScale(_ maxSize: Int, _ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for round in 0..<20 {
            var cells = [ExponentialCell.empty, ExponentialCell.empty]
            defer { for cell in cells { free(cell.counts) } }
            var values: [(value: Double, times: UInt64)] = []
            let range = Double(round * round)
            for _ in 0..<Int.random(in: 1...200, using: &generator) {
                let value = exp2(Double.random(in: -range...range, using: &generator))
                let times = UInt64.random(in: 1...3, using: &generator)
                values.append((value, times))
                _ = cells[Int.random(in: 0..<2, using: &generator)].add(value, times, maxSize: maxSize)
            }
            let other = cells[1]
            _ = cells[0].merge(other, maxSize: maxSize)
            let cell = cells[0]
            #expect(Int(cell.length) <= maxSize)
            var expected: [Int32: UInt64] = [:]
            for (value, times) in values {
                expected[ExponentialCell.index(of: value, scale: 20) >> (20 - cell.scale), default: 0] += times
            }
            for position in 0..<cell.length {
                let count = cell.counts?[Int(position)] ?? 0
                let wanted: UInt64 = expected.removeValue(forKey: cell.first + position) ?? 0
                #expect(count == wanted)
            }
            #expect(expected.isEmpty)
        }
    }

    @Test func theWidestRangeFitsTwoBuckets() {
        var cell = ExponentialCell.empty
        defer { free(cell.counts) }
        for value in [Double.leastNonzeroMagnitude, 1, .greatestFiniteMagnitude] { _ = cell.add(value, 1, maxSize: 2) }
        #expect(cell.length == 2 && cell.counts?[0] == 2 && cell.counts?[1] == 1)
    }
}
