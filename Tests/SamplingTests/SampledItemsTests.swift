import OTLP
import Testing

@testable import Sampling

@Suite struct SampledItemsTests {
    private static let id = (1...16).map { UInt8($0) }

    /// A span with a name, attributes, the trace state in the middle, and an unknown field at the end.
    private func span(_ state: String?) -> [UInt8] {
        var writer = WireWriter()
        Self.id.withUnsafeBytes { writer.append(field: 1, bytes: $0) }
        writer.append(field: 2, bytes: text("12345678"))
        writer.append(field: 9, key: text("sampling.priority"), .int(1))
        if let state { writer.append(field: 3, bytes: text(state)) }
        writer.append(field: 9, key: text("sampling.priority"), .int(0))
        writer.append(tag: 16, .fixed32)
        writer.append(fixed32: 0x301)
        writer.append(tag: 200, .varint)
        writer.append(varint: 1 << 40)
        return Array(writer.bytes)
    }

    /// Bytes that live as long as the process.
    private func text(_ text: String) -> UnsafeRawBufferPointer {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
        bytes.copyBytes(from: text.utf8)
        return UnsafeRawBufferPointer(bytes)
    }

    private func rewritten(_ span: [UInt8], _ state: String) -> [UInt8] {
        var writer = WireWriter()
        span.withUnsafeBytes { appendSpan($0, tail: .nothing, traceState: text(state), to: &writer) }
        return Array(writer.bytes)
    }

    @Test func readsWhatIsNeeded() throws {
        try span("ot=th:8").withUnsafeBytes { bytes in
            let span = SampledSpan(bytes, tail: .nothing)
            #expect(Array(span.traceID) == Self.id)
            #expect(span.hasTraceState)
            let (state, randomness) = try span.sampling()
            #expect(state.threshold == threshold("8"))
            #expect(randomness?.value == 0x0A_0B0C_0D0E_0F10)
            // The first of a name counts.
            guard case .int(1) = SampledValue(try #require(span.priority)) else {
                Issue.record("another priority")
                return
            }
        }
    }

    @Test func aTailGoesBeforeThePayload() throws {
        try span("ot=th:8").withUnsafeBytes { bytes in
            var tail = WireWriter()
            tail.append(field: 3, bytes: text("ot=th:c"))
            let span = SampledSpan(bytes, tail: tail.bytes)
            let state = try span.sampling().state
            #expect(state.threshold == threshold("c"))
            var writer = WireWriter()
            appendSpan(bytes, tail: tail.bytes, traceState: text("ot=th:e"), to: &writer)
            #expect(Array(writer.bytes) == rewritten(self.span(nil), "ot=th:e"))
        }
    }

    @Test func rewritingKeepsAllElse() {
        #expect(rewritten(span("ot=th:8"), "ot=th:c") == rewritten(span(nil), "ot=th:c"))
        #expect(rewritten(span("ot=th:8"), "") == span(nil))
    }

    @Test func truncatedAtEveryByte() {
        let whole = span("ot=th:8;rv:0123456789abcd,v=1")
        for count in 0...whole.count {
            whole[..<count].withUnsafeBytes { bytes in
                let span = SampledSpan(bytes, tail: bytes)
                _ = try? span.sampling()
                if let priority = span.priority { _ = SampledValue(priority) }
                let keys = SampledLogRecord.Keys(source: text("a"), priority: text("sampling.priority"))
                _ = SampledLogRecord(bytes, tail: bytes, keys: keys)
                var writer = WireWriter()
                appendSpan(bytes, tail: bytes, traceState: text("v=1"), to: &writer)
                #expect(writer.count <= 2 * count + 5)
            }
        }
    }

    @Test func anyBytes() {
        var generator = Seeded(21)
        for _ in 0..<20_000 {
            var bytes = span("ot=th:8")
            for _ in 0...generator.next() % 4 {
                bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: generator.next())
            }
            bytes.withUnsafeBytes { bytes in
                let span = SampledSpan(bytes, tail: .nothing)
                _ = try? span.sampling()
                if let priority = span.priority { _ = SampledValue(priority) }
                var writer = WireWriter()
                appendSpan(bytes, tail: .nothing, traceState: .nothing, to: &writer)
                #expect(writer.count <= bytes.count)
            }
        }
    }
}
