import OTLP
import Testing

@testable import GenAI

/// The golden spans: one per emitter and trap.
@Suite struct RecognitionGoldenTests {
    let mapping: GenAIMapping

    init() throws { mapping = try GenAIMapping.builtIn() }

    @Test func theCorpusIsThere() {
        #expect(GoldenSpan.all.count >= 140)
        #expect(GoldenSpan.all.allSatisfy { !$0.row.isEmpty && !$0.request.isEmpty })
    }

    @Test(arguments: GoldenSpan.all) func recognises(_ golden: GoldenSpan) {
        #expect(row(SpanBytes(golden.request), mapping) == golden.row)
    }

    /// What was written to a span says the same as the span said, and nothing more is to be written.
    @Test(arguments: GoldenSpan.all) func writingBackIsIdempotent(_ golden: GoldenSpan) {
        let bytes = SpanBytes(golden.request)
        let tail = appended(bytes, mapping)
        let first = facts(row(bytes, mapping))
        let second = facts(row(bytes, tail: tail, mapping))
        #expect(first == second)
        #expect(appended(bytes, tail: tail, mapping) == [])
        // The same holds when the attributes became part of the span.
        var joined = bytes
        joined.span += tail
        #expect(facts(row(joined, mapping)) == first)
    }

    /// A row without what tells how its facts were found.
    private func facts(_ row: String) -> String {
        row.split(separator: " ").filter { word in
            !["by=", "usage=", "marks=", "rule=", "source="].contains { word.hasPrefix($0) }
        }.joined(separator: " ")
    }

    /// The payload and the tail together are the span, wherever it is cut between fields.
    @Test func aTailIsPartOfTheSpan() {
        for golden in GoldenSpan.all {
            let whole = SpanBytes(golden.request)
            for cut in fieldEnds(whole.span) {
                var bytes = whole
                bytes.span = Array(whole.span[..<cut])
                #expect(row(bytes, tail: Array(whole.span[cut...]), mapping) == golden.row, "\(golden) cut at \(cut)")
            }
        }
    }

    private func fieldEnds(_ span: [UInt8]) -> [Int] {
        span.withUnsafeBytes { bytes in
            guard var cursor = WireCursor(bytes) else { return [] }
            var ends: [Int] = []
            let start = cursor.at
            while let tag = cursor.varint() {
                cursor.skipField(tag)
                ends.append(cursor.at - start)
            }
            return ends
        }
    }

    /// The order of attributes does not matter.
    @Test func orderOfAttributesDoesNotMatter() {
        var random = RecognitionRandom(state: 11)
        for golden in GoldenSpan.all {
            var bytes = SpanBytes(golden.request)
            var fields: [ArraySlice<UInt8>] = []
            var start = 0
            for end in fieldEnds(bytes.span) {
                fields.append(bytes.span[start..<end])
                start = end
            }
            // Events stay in their order among each other: the first chunk is the first.
            let events = fields.filter { $0.first == 0x5A }
            var others = fields.filter { $0.first != 0x5A }
            for _ in 0..<4 {
                others.shuffle(using: &random)
                bytes.span = Array((others + events).joined())
                #expect(row(bytes, mapping) == golden.row, "\(golden)")
            }
        }
    }
}
