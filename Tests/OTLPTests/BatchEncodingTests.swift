import Testing

@testable import OTLP

extension JSONFixture {
    /// The signal of an export request; nil for other messages.
    var signal: Signal? {
        if name.hasPrefix("traceRequest") { return .traces }
        if name.hasPrefix("metricsRequest") { return .metrics }
        return name.hasPrefix("logsRequest") ? .logs : nil
    }

    static var requests: [JSONFixture] { all.filter { $0.signal != nil } }
}

/// Each item as JSON of a request that holds nothing else: what it means, resource and scope included.
private func meanings(_ batch: TelemetryBatch) throws -> [String] {
    try batch.items.indices.map { index in
        var wire = WireWriter()
        batch.encode(index..<index + 1, into: &wire)
        var text = WireWriter()
        try OTLPJSONEncoder.encode(wire.bytes, as: .request(of: batch.signal), into: &text)
        return String(decoding: text.bytes, as: UTF8.self)
    }
}

private func encoded(_ batch: TelemetryBatch, _ range: Range<Int>? = nil) -> [UInt8] {
    var writer = WireWriter()
    batch.encode(range ?? 0..<batch.items.count, into: &writer)
    return Array(writer.bytes)
}

@Suite struct BatchEncodingTests {
    @Test(arguments: 0..<20) func untouchedBytesLeaveAsTheyCame(_ seed: Int) throws {
        let bytes = randomRequest(seed)
        let same = try encoded(batch(bytes)) == bytes
        #expect(same)
    }

    @Test(arguments: 0..<20) func anySplitMergesIntoTheSame(_ seed: Int) throws {
        let whole = try batch(randomRequest(seed))
        #expect(whole.rejectedItems == 0 && whole.itemCount > 0)
        let expected = try meanings(whole)
        var random = SeededGenerator(state: UInt64(seed))
        for _ in 0..<20 {
            var merged: [UInt8] = []
            var start = 0
            while start < whole.items.count {
                let end = Int.random(in: start + 1...whole.items.count, using: &random)
                merged += encoded(whole, start..<end)
                start = end
            }
            let same = try meanings(batch(merged)) == expected
            #expect(same)
        }
    }

    @Test(arguments: JSONFixture.requests) func validItemsOfAnyRequestKeepTheirMeaning(_ fixture: JSONFixture) throws {
        let signal = try #require(fixture.signal)
        let first = try batch(fixture.wire, signal)
        let again = try batch(encoded(first), signal)
        #expect(again.rejectedItems == 0)
        let same = try meanings(first) == meanings(again)
        #expect(same)
    }

    /// Several resources and scopes, with spans of random fields and sizes.
    private func randomRequest(_ seed: Int) -> [UInt8] {
        var random = SeededGenerator(state: UInt64(seed) &* 977)
        func text() -> String { String(repeating: "né", count: Int.random(in: 0...20, using: &random)) }
        func attributes() -> [UInt8] {
            (0..<Int.random(in: 0...5, using: &random)).flatMap { longField(9, attribute("key \($0)", text())) }
        }
        func anySpan() -> [UInt8] {
            let event = longField(11, field(2, text()) + longField(3, attribute("e", text())))
            return span(field(5, text()) + attributes() + event, id: UInt8.random(in: 1...255, using: &random))
        }
        return (0..<Int.random(in: 1...4, using: &random)).flatMap { number in
            let scopes = (0..<Int.random(in: 1...3, using: &random)).flatMap { _ in
                let spans = (0..<Int.random(in: 1...9, using: &random)).flatMap { _ in longField(2, anySpan()) }
                return longField(2, field(1, field(1, text())) + spans + field(3, "schema"))
            }
            return longField(1, field(1, longField(1, attribute("resource", "\(number)"))) + scopes)
        }
    }

    @Test func unknownFieldsSurviveASplit() throws {
        // Field 20, which no message here has.
        let unknown: [UInt8] = [0xA2, 0x01, 5] + Array("later".utf8)
        let first = span(unknown, id: 1)
        let scope = field(1, field(1, "scope")) + longField(2, first) + longField(2, span(id: 2)) + unknown
        let resource = field(1, field(1, attribute("k", "v"))) + longField(2, scope) + unknown + field(3, "url")
        let batch = try batch(longField(1, resource))
        let half = try OTLPTests.batch(encoded(batch, 0..<1))
        #expect(half.items.map { Array(half.payload(of: $0)) } == [first])
        let expectedScope = field(1, field(1, "scope")) + unknown + longField(2, first)
        #expect(half.scopes.map { Array(half.message(of: $0)) } == [expectedScope])
        let expectedResource =
            field(1, field(1, attribute("k", "v"))) + unknown + field(3, "url") + longField(2, expectedScope)
        #expect(half.resources.map { Array(half.message(of: $0)) } == [expectedResource])
    }

    @Test func runsEndAtTheBounds() throws {
        let batch = try batch(request((1...5).map { span(id: UInt8($0)) }))
        let size = batch.encodedSize(ofItems: 0..<1)
        #expect(size == 30)
        #expect(batch.endOfRun(from: 0, maximumItems: 2, maximumBytes: .max) == 2)
        #expect(batch.endOfRun(from: 1, maximumItems: .max, maximumBytes: 3 * size) == 4)
        #expect(batch.endOfRun(from: 3, maximumItems: .max, maximumBytes: 1) == 4)
        #expect(batch.endOfRun(from: 5, maximumItems: .max, maximumBytes: .max) == 5)
    }

    @Test func appendedFieldsFollowTheItem() throws {
        let batch = try batch(request([span(id: 1), span(id: 2)]))
        for round in 0..<3 {
            for index in 0..<2 {
                let extra = field(9, attribute("round", "\(round)"))
                #expect(extra.withUnsafeBytes { batch.append($0, toItem: index) })
            }
        }
        #expect(extraOutOfRange(batch) == false)
        let rounds = (0..<3).flatMap { field(9, attribute("round", "\($0)")) }
        let expected = [span(rounds, id: 1), span(rounds, id: 2)]
        let again = try OTLPTests.batch(encoded(batch))
        #expect(again.items.map { Array(again.payload(of: $0)) } == expected)
        #expect(!batch.isPristine)
    }

    private func extraOutOfRange(_ batch: TelemetryBatch) -> Bool {
        field(9, "x").withUnsafeBytes { batch.append($0, toItem: 2) }
    }

    @Test func replacedItemsAndForksAreIndependent() throws {
        let original = try batch(request([span(id: 1), span(id: 2)]))
        let fork = original.fork()
        let replacement = span(field(5, "new"), id: 9)
        #expect(replacement.withUnsafeBytes { fork.replaceItem(0, with: $0) })
        #expect(encoded(original) == request([span(id: 1), span(id: 2)]))
        #expect(encoded(fork) == request([replacement, span(id: 2)]))
        let second = fork.fork()
        #expect(field(9, attribute("a", "b")).withUnsafeBytes { second.append($0, toItem: 0) })
        #expect(encoded(fork) == request([replacement, span(id: 2)]))
        #expect(encoded(second) == request([replacement + field(9, attribute("a", "b")), span(id: 2)]))
    }

    @Test func filteringDropsEmptyScopesAndResources() throws {
        let bytes = request([span(id: 1)]) + request([span(id: 2), span(id: 3)]) + request([span(id: 4)])
        let batch = try batch(bytes)
        batch.filterItems { $0 == 2 }
        #expect(batch.items.count == 1 && batch.scopes.count == 1 && batch.resources.count == 1)
        #expect(encoded(batch) == request([span(id: 3)]))
        batch.filterItems { _ in false }
        #expect(batch.isEmpty && encoded(batch).isEmpty)
    }

    @Test func mutatedBytesAreRefusedOrEncodeToWhatTheyMean() throws {
        var random = SeededGenerator(state: 11)
        var accepted = 0
        for round in 0..<20_000 {
            let fixture = JSONFixture.requests[round % JSONFixture.requests.count]
            let signal = try #require(fixture.signal)
            var bytes = fixture.wire
            guard !bytes.isEmpty else { continue }
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: bytes.indices, using: &random)
                bytes[index] = UInt8.random(in: 0...255, using: &random)
            }
            guard let batch = try? batch(bytes, signal) else { continue }
            accepted += 1
            var split: [UInt8] = []
            for index in batch.items.indices { split += encoded(batch, index..<index + 1) }
            let again = try OTLPTests.batch(split, signal)
            #expect(again.items.count == batch.items.count && again.rejectedItems == 0)
        }
        #expect(accepted > 100)
    }
}

@Suite struct WireWriterTests {
    @Test func varintsTakeTheFewestBytes() {
        for (value, size) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (UInt64.max, 10)] as [(UInt64, Int)]
        {
            var writer = WireWriter()
            writer.append(varint: value)
            #expect(writer.count == size && varintSize(value) == size)
            let read = writer.bytes.withMemoryRebound(to: UInt8.self) { bytes -> UInt64? in
                guard var cursor = bytes.baseAddress else { return nil }
                return readVarint(&cursor, cursor + bytes.count)
            }
            #expect(read == value)
        }
    }

    @Test func nothingIsWrittenPastTheLimit() {
        var writer = WireWriter(limit: 10)
        [UInt8](repeating: 1, count: 8).withUnsafeBytes { writer.append($0) }
        var state = (writer.count, writer.overflowed)
        #expect(state == (8, false))
        writer.append(fixed64: 1)
        writer.append(byte: 1)
        state = (writer.count, writer.overflowed)
        #expect(state == (8, true))
        writer.removeAll()
        writer.append(byte: 1)
        state = (writer.count, writer.overflowed)
        #expect(state == (1, false))
    }

    @Test func wrappingPutsTheLengthBefore() {
        for size in [0, 1, 127, 128, 20_000] {
            var writer = WireWriter()
            writer.append(byte: 0xAA)
            [UInt8](repeating: 7, count: size).withUnsafeBytes { writer.append($0) }
            writer.wrap(since: 1, field: 3)
            #expect(Array(writer.bytes) == [0xAA] + longField(3, [UInt8](repeating: 7, count: size)))
        }
    }
}
