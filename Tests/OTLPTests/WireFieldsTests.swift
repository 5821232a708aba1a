import Testing

@testable import OTLP

@Suite struct WireFieldsTests {
    private func message() -> [UInt8] {
        var writer = WireWriter()
        writer.append(tag: 1, .varint)
        writer.append(varint: 300)
        writer.append(tag: 2, .fixed64)
        writer.append(fixed64: 7)
        writer.append(tag: 3, .fixed32)
        writer.append(fixed32: 8)
        [UInt8]([1, 2, 3]).withUnsafeBytes { writer.append(field: 4000, bytes: $0) }
        return Array(writer.bytes)
    }

    private func read(_ bytes: [UInt8]) -> (fields: [String], isMalformed: Bool) {
        bytes.withUnsafeBytes { raw in
            var fields = WireFields(raw)
            var found: [String] = []
            var whole: [UInt8] = []
            while let field = fields.next() {
                found.append("\(field.number) \(field.type) \(field.bits) \(Array(field.payload))")
                whole += Array(field.whole)
            }
            #expect(whole.elementsEqual(raw.prefix(whole.count)))
            #expect(fields.isMalformed || whole.count == raw.count)
            return (found, fields.isMalformed)
        }
    }

    @Test func fieldsComeInOrder() {
        let (fields, isMalformed) = read(message())
        #expect(fields == ["1 varint 300 []", "2 fixed64 7 []", "3 fixed32 8 []", "4000 lengthDelimited 0 [1, 2, 3]"])
        #expect(!isMalformed)
        #expect(read([]).fields.isEmpty)
    }

    @Test func aTruncatedMessageEndsAtItsFault() {
        let bytes = message()
        let whole = read(bytes).fields
        for end in 0..<bytes.count {
            let (fields, isMalformed) = read(Array(bytes[..<end]))
            #expect(fields == Array(whole.prefix(fields.count)))
            #expect(isMalformed || [0, 3, 12, 17].contains(end))
        }
    }

    @Test func groupsAreFaults() {
        for type: UInt8 in [3, 4, 6, 7] { #expect(read([1 << 3 | type, 0]).isMalformed) }
        #expect(read([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]).isMalformed)
    }

    @Test func packedVarintsAreRead() {
        [UInt8]([1, 0xAC, 0x02, 0xFF]).withUnsafeBytes { raw in
            var values = PackedVarints(raw)
            #expect(values.next() == 1)
            #expect(values.next() == 300)
            #expect(values.next() == nil)
        }
    }

    @Test func aReplacedMetricCountsItsPoints() throws {
        var writer = WireWriter()
        for _ in 0..<3 {
            writer.append(tag: 1, .lengthDelimited)
            writer.append(varint: 0)
        }
        for field: UInt32 in [5, 2, 2, 1] { writer.wrap(since: 0, field: field) }
        let batch = try TelemetryBatch(WireBytes(taking: &writer), signal: .metrics)
        #expect(batch.itemCount == 3)
        var metric = WireWriter()
        metric.append(tag: 1, .lengthDelimited)
        metric.append(varint: 0)
        metric.wrap(since: 0, field: 5)
        let isReplaced = batch.replaceItem(0, with: metric.bytes, points: 1)
        #expect(isReplaced)
        #expect(batch.itemCount == 1)
        let isKept = batch.replaceItem(0, with: metric.bytes)
        #expect(isKept)
        #expect(batch.itemCount == 1)
    }
}
