import OTLP
import TestSupport
import Testing

@testable import Aggregation

@Suite struct SpanReadingTests {
    private func count(_ state: String) -> AdjustedCount? {
        Array(state.utf8).withUnsafeBytes { SamplingThreshold.adjustedCount($0) }
    }

    @Test func thresholdsGiveAdjustedCounts() {
        #expect(count("ot=th:0") == .one)
        #expect(count("ot=th:8")?.doubleValue == 2)
        #expect(count("ot=th:c")?.doubleValue == 4)
        #expect(count("ot=rv:12345678901234;th:e,x=y")?.doubleValue == 8)
        #expect(count("a=b , ot=th:c")?.doubleValue == 4)
        #expect(abs((count("ot=th:e6666666666668")?.doubleValue ?? 0) - 10) < 0.0001)
        #expect(abs((count("ot=th:fd70a")?.doubleValue ?? 0) - 100) < 0.01)
        #expect(count("ot=th:ffffffffffffff")?.whole == 1 << 56)
        #expect(AdjustedCount(rejectionThreshold: 1 << 56) == .one)
        #expect(AdjustedCount(rejectionThreshold: .max) == .one)
    }

    @Test(arguments: [
        "", "ot=th:", "ot=th:g", "ot=th:C", "ot=th:123456789012345", "ot=rv:1", "vendor=ot=th:8", "xot=th:8",
    ])
    func otherTracestatesGiveNone(_ state: String) {
        #expect(count(state) == nil)
    }

    @Test func fractionsAddUp() throws {
        let aggregator = MetricAggregator(
            settings([[MetricInstrument(name: "calls", kind: .sum)]]), start: 0, processors: 1)
        // 2^56 / (2^56 - T) = 3.2
        let weight = AdjustedCount(rejectionThreshold: 11 << 52)
        #expect(abs(weight.doubleValue - 3.2) < 0.0001)
        for _ in 0..<1000 {
            aggregator.measure(attributes([]), []) { series, _ in series.add(Int64(series.whole(weight)), to: 0) }
        }
        #expect(abs((try aggregator.points(at: 1).first?.int ?? 0) - 3200) <= 1)
    }

    private func span(_ generator: inout SeededGenerator) -> [UInt8] {
        var writer = WireWriter()
        func bytes(_ field: UInt32, _ count: Int) {
            let content = (0..<count).map { _ in UInt8.random(in: 1...127, using: &generator) }
            content.withUnsafeBytes { writer.append(field: field, bytes: $0) }
        }
        bytes(1, 16)
        bytes(2, 8)
        if Bool.random(using: &generator) { bytes(3, 20) }
        bytes(4, 8)
        bytes(5, Int.random(in: 0...200, using: &generator))
        writer.append(tag: 6, .varint)
        writer.append(varint: UInt64.random(in: 0...5, using: &generator))
        writer.append(tag: 7, .fixed64)
        writer.append(fixed64: UInt64.random(in: 0...1000, using: &generator))
        writer.append(tag: 8, .fixed64)
        writer.append(fixed64: UInt64.random(in: 0...1000, using: &generator))
        for _ in 0..<Int.random(in: 0...5, using: &generator) {
            let start = writer.count
            bytes(1, Int.random(in: 0...300, using: &generator))
            writer.wrap(since: start, field: 9)
        }
        let start = writer.count
        bytes(2, 3)
        writer.append(tag: 3, .varint)
        writer.append(varint: UInt64.random(in: 0...2, using: &generator))
        writer.wrap(since: start, field: 15)
        writer.append(tag: 16, .fixed32)
        writer.append(fixed32: 7)
        return Array(writer.bytes)
    }

    @Test func theFieldsAreThoseThatProtobufReads() throws {
        var generator = SeededGenerator(seed: 11)
        let arena = WireArena(limit: 1 << 20)
        for _ in 0..<200 {
            let bytes = span(&generator)
            try bytes.withUnsafeBytes { bytes in
                let view = try #require(SpanView(bytes, arena: arena))
                let cut = bytes.count / 2
                for fields in [
                    SpanFields(bytes, tail: UnsafeRawBufferPointer(start: nil, count: 0)),
                    SpanFields(UnsafeRawBufferPointer(start: nil, count: 0), tail: bytes),
                ] {
                    #expect(fields.traceID.elementsEqual(view.traceID))
                    #expect(fields.spanID.elementsEqual(view.spanID))
                    #expect(fields.parentSpanID.elementsEqual(view.parentSpanID))
                    #expect(fields.traceState.elementsEqual(view.traceState))
                    #expect(fields.name.elementsEqual(view.name))
                    #expect(fields.kind == UInt64(view.kind))
                    #expect(fields.startTime == view.startTime && fields.endTime == view.endTime)
                    #expect(fields.statusCode == UInt64(StatusView(view.status, arena: arena)?.code ?? 0))
                }
                // A span that ends anywhere is read as far as it goes.
                for length in 0..<bytes.count {
                    let part = UnsafeRawBufferPointer(rebasing: bytes[..<length])
                    let fields = SpanFields(part, tail: UnsafeRawBufferPointer(rebasing: bytes[cut...]))
                    #expect(fields.name.count <= bytes.count)
                }
            }
            arena.reset()
        }
    }
}

@Suite struct AttributeLookupTests {
    private let names = ["a", "", "region", String(repeating: "n", count: 70), "missing"]

    private func span(_ pairs: [(String, String)]) -> [UInt8] {
        var writer = WireWriter()
        for (key, value) in pairs {
            Array(key.utf8).withUnsafeBytes { key in
                Array(value.utf8).withUnsafeBytes { writer.append(field: 9, key: key, .text($0)) }
            }
        }
        return Array(writer.bytes)
    }

    private func texts(_ lookup: AttributeLookup) -> [String?] {
        (0..<lookup.count).map { index in
            guard lookup.value(index).baseAddress != nil else { return nil }
            return String(decoding: WireFields.payload(of: 1, in: lookup.value(index)), as: UTF8.self)
        }
    }

    @Test func theLastValueOfANameCounts() {
        let lookup = AttributeLookup(names)
        let long = names[3]
        let bytes = span([
            ("a", "1"), ("region", "x"), ("other", "o"), ("b", "2"), (long, "l"), ("region", "y"), ("", "e"),
        ])
        bytes.withUnsafeBytes { lookup.find(in: $0, key: 0x4A) }
        #expect(texts(lookup) == ["1", "e", "y", "l", nil])
        let more = span([("region", "z"), ("missing", "m")])
        more.withUnsafeBytes { lookup.find(in: $0, key: 0x4A, keepsFound: true) }
        bytes.withUnsafeBytes { bytes in
            lookup.clear()
            lookup.find(in: bytes, key: 0x0A)
            #expect(texts(lookup) == [nil, nil, nil, nil, nil])
            // Cut anywhere, it finds what is whole.
            for length in 0...bytes.count {
                lookup.clear()
                lookup.find(in: UnsafeRawBufferPointer(rebasing: bytes[..<length]), key: 0x4A)
                #expect(texts(lookup)[0] == (length >= 8 ? "1" : nil) || length < 10)
            }
        }
    }

    @Test func unusualPairsAreRead() {
        let lookup = AttributeLookup(["a", "b", "c"])
        var writer = WireWriter()
        // The value before the name, a name without a value, and one with an unknown field between.
        for pair: [UInt8] in [
            [0x12, 0x03, 0x0A, 0x01, 0x78, 0x0A, 0x01, 0x61], [0x0A, 0x01, 0x62],
            [0x0A, 0x01, 0x63, 0x18, 0x05, 0x12, 0x03, 0x0A, 0x01, 0x79],
        ] {
            pair.withUnsafeBytes { writer.append(field: 9, bytes: $0) }
        }
        lookup.find(in: writer.bytes, key: 0x4A)
        #expect(texts(lookup) == ["x", "", "y"])
    }
}
