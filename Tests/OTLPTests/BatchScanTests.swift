import Testing

@testable import OTLP

/// A batch over a copy of `bytes`.
func batch(
    _ bytes: [UInt8], _ signal: Signal = .traces, _ limits: DecodeLimits = .default
) throws(OTLPDecodeError) -> TelemetryBatch {
    let copy = bytes.withUnsafeBytes { WireBytes(copying: $0) }
    return try TelemetryBatch(copy, signal: signal, limits: limits)
}

/// A span with valid ids and the given fields after them.
func span(_ fields: [UInt8] = [], id: UInt8 = 1) -> [UInt8] {
    field(1, [UInt8](repeating: id, count: 16)) + field(2, [UInt8](repeating: id, count: 8)) + fields
}

/// A length-delimited field of any size.
func longField(_ number: UInt8, _ payload: [UInt8]) -> [UInt8] {
    var writer = WireWriter()
    payload.withUnsafeBytes { writer.append(field: UInt32(number), bytes: $0) }
    return Array(writer.bytes)
}

/// A request of one resource and one scope.
func request(_ spans: [[UInt8]]) -> [UInt8] {
    longField(1, longField(2, spans.flatMap { longField(2, $0) }))
}

@Suite struct BatchScanTests {
    @Test func recordsLieWhereTheItemsAre() throws {
        let spans = [span(field(5, "first"), id: 1), span(field(5, "second"), id: 2)]
        let batch = try batch(request(spans))
        #expect(batch.items.map { Array(batch.payload(of: $0)) } == spans)
        #expect(batch.scopes.map(\.items) == [0..<2])
        #expect(batch.resources.map(\.scopes) == [0..<1])
        #expect(batch.isPristine && batch.rejectedItems == 0 && batch.itemCount == 2)
    }

    @Test func anEmptyRequestIsAnEmptyBatch() throws {
        let batch = try batch([])
        #expect(batch.isEmpty && batch.rejectedItems == 0)
    }

    @Test func metricsCountDataPoints() throws {
        let point = field(7, attribute("k", "v"))
        let metric = field(1, "m") + field(5, field(1, point) + field(1, point) + field(1, point))
        let batch = try batch(request([metric, metric]), .metrics)
        #expect(batch.items.count == 2 && batch.itemCount == 6)
    }

    @Test(arguments: [
        field(1, [UInt8](repeating: 1, count: 15)) + field(2, [UInt8](repeating: 1, count: 8)),
        field(1, [UInt8](repeating: 1, count: 16)) + field(2, [UInt8](repeating: 1, count: 9)),
        field(1, [UInt8](repeating: 0, count: 16)) + field(2, [UInt8](repeating: 1, count: 8)),
        field(1, [UInt8](repeating: 1, count: 16)) + field(2, [UInt8](repeating: 0, count: 8)),
        field(1, [UInt8](repeating: 1, count: 16)),
        field(5, "no ids"),
        [],
        span(field(4, [1, 2, 3])),
        span(field(13, field(1, [1]))),
    ]) func invalidIDsRejectTheSpanAlone(_ bad: [UInt8]) throws {
        let batch = try batch(request([span(id: 1), bad, span(id: 2)]))
        #expect(batch.rejectedItems == 1 && batch.itemCount == 2 && !batch.isPristine)
        var writer = WireWriter()
        batch.encode(into: &writer)
        let again = try OTLPTests.batch(Array(writer.bytes))
        #expect(again.items.map { Array(again.payload(of: $0)) } == [span(id: 1), span(id: 2)])
    }

    @Test func logRecordsNeedNoIDs() throws {
        let batch = try batch(request([field(3, "INFO"), field(9, [1])]), .logs)
        #expect(batch.itemCount == 1 && batch.rejectedItems == 1)
    }

    @Test(arguments: [
        ([0x0A], OTLPDecodeError.Reason.truncated),
        ([0x0A, 0x05, 0x12], .truncated),
        (request([span([0x39, 1, 2])]), .truncated),
        (request([span([0x85, 0x01, 1])]), .truncated),
        (request([span([0x30] + [UInt8](repeating: 0xFF, count: 10) + [0x01])]), .overlongVarint),
        (request([span([0x30] + [UInt8](repeating: 0xFF, count: 9) + [0x02])]), .overlongVarint),
        (request([span([0x00, 0x00])]), .invalidTag),
        (request([span([0x33])]), .invalidTag),
        (request([span([0x34])]), .invalidTag),
        (request([span([0x37])]), .invalidTag),
        (request([span([0x28, 0x01])]), .wrongWireType(field: 5)),
        (request([span(field(6, "x"))]), .wrongWireType(field: 6)),
        (request([span([0x38, 0x01])]), .wrongWireType(field: 7)),
        (request([span(field(5, [0xFF]))]), .invalidUTF8(field: 5)),
        (request([span(field(9, field(1, [0xC0, 0x80])))]), .invalidUTF8(field: 1)),
        (request([span(field(9, field(2, field(1, [0xED, 0xA0, 0x80]))))]), .invalidUTF8(field: 1)),
        (request([span(field(9, field(1, "k") + field(2, field(1, "a") + [0x18, 1])))]), .duplicateOneof(field: 3)),
        (request([span(field(9, field(2, field(1, "a") + field(1, "b"))))]), .duplicateOneof(field: 1)),
    ]) func malformedRequestsAreRefused(_ bytes: [UInt8], _ reason: OTLPDecodeError.Reason) {
        let error = #expect(throws: OTLPDecodeError.self) { try batch(bytes) }
        #expect(error?.reason == reason)
    }

    @Test func nestingIsBounded() throws {
        func nested(_ levels: Int) -> [UInt8] {
            var value = field(1, "leaf")
            for _ in 0..<levels { value = longField(5, longField(1, value)) }
            return request([span(longField(9, field(1, "k") + longField(2, value)))])
        }
        let limits = DecodeLimits(maximumDepth: 20, maximumItems: 10)
        _ = try batch(nested(5), .traces, limits)
        let error = #expect(throws: OTLPDecodeError.self) { try batch(nested(10), .traces, limits) }
        #expect(error?.reason == .tooDeep(limit: 20))
        #expect(throws: OTLPDecodeError.self) { try batch(nested(20_000)) }
    }

    @Test func floodsOfItemsAreBounded() {
        let flood = request([[UInt8]](repeating: [], count: 1001))
        let error = #expect(throws: OTLPDecodeError.self) {
            try batch(flood, .traces, DecodeLimits(maximumDepth: 64, maximumItems: 1000))
        }
        #expect(error?.reason == .tooManyItems(limit: 1000))
    }

    @Test func emptyEnvelopesTakeNoRecords() throws {
        let empties = [UInt8](repeating: 0, count: 0) + (0..<1000).flatMap { _ in field(1, field(2, [])) }
        let batch = try batch(empties)
        #expect(batch.resources.isEmpty && batch.scopes.isEmpty && batch.heldBytes == empties.count)
    }

    @Test func everyTruncationIsRefusedOrRead() throws {
        for fixture in JSONFixture.all where fixture.name.contains("Request") {
            guard let signal = fixture.signal else { continue }
            for length in fixture.wire.indices {
                guard let batch = try? batch(Array(fixture.wire[..<length]), signal) else { continue }
                var writer = WireWriter()
                batch.encode(into: &writer)
                #expect(writer.count == length || batch.rejectedItems > 0)
            }
        }
    }
}

@Suite struct UTF8ValidationTests {
    @Test func agreesWithTheStandardLibrary() {
        var random = SeededGenerator(state: 7)
        let pieces: [[UInt8]] = [
            [0x41], Array("é".utf8), Array("€".utf8), Array("😀".utf8), [0x80], [0xC0, 0xAF], [0xE0, 0x9F, 0x80],
            [0xED, 0xA0, 0x80], [0xF0, 0x8F, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF5], [0xFF], [0xE2, 0x82],
            [UInt8](repeating: 0x61, count: 17), [UInt8](repeating: 0x62, count: 33),
        ]
        var valid = 0
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...6, using: &random)
            let bytes = (0..<count).flatMap { _ in pieces.randomElement(using: &random) ?? [] }
            let expected = String(validating: bytes, as: UTF8.self) != nil
            let found = bytes.withUnsafeBufferPointer { buffer in
                buffer.baseAddress.map { isValidUTF8($0, count: buffer.count) } ?? true
            }
            #expect(found == expected, "\(bytes)")
            valid += expected ? 1 : 0
        }
        #expect(valid > 1000 && valid < 19_000)
    }
}
