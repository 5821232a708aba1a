import OTLP
import Testing

@testable import GenAI

/// A recogniser that has seen other spans says the same of a span as one that has not.
@Suite struct RecognitionPlanTests {
    let mapping: GenAIMapping

    init() throws { mapping = try GenAIMapping.builtIn() }

    /// A recogniser with what it has learnt.
    private struct Worker: ~Copyable {
        var recogniser: SpanRecogniser
        var call = ModelCall()

        init(_ mapping: GenAIMapping) { recogniser = SpanRecogniser(mapping: mapping) }

        mutating func row(_ bytes: SpanBytes, _ mapping: GenAIMapping) -> String {
            bytes.span.withUnsafeBytes { payload in
                bytes.scopeSpans.withUnsafeBytes { scopeSpans in
                    let scope = SpanScope(scopeSpans: scopeSpans, mapping: mapping)
                    let found = recogniser.recognise(payload, scope: scope, into: &call)
                    return found ? text(of: call, mapping) : "none"
                }
            }
        }
    }

    @Test func spansThatComeAgainAreReadTheSame() {
        var worker = Worker(mapping)
        for golden in GoldenSpan.all {
            let bytes = SpanBytes(golden.request)
            for round in 0..<3 { #expect(worker.row(bytes, mapping) == golden.row, "\(golden), round \(round)") }
        }
        // One after the other, so that what was learnt gives way.
        var random = RecognitionRandom(state: 3)
        for _ in 0..<6 {
            for golden in GoldenSpan.all.shuffled(using: &random) {
                #expect(worker.row(SpanBytes(golden.request), mapping) == golden.row, "\(golden)")
            }
        }
    }

    /// Spans that nearly are what was seen before: without a field, with one twice, with the value of another one, with
    /// some bytes changed.
    @Test func spansThatDifferALittleAreReadAsIfNew() {
        var worker = Worker(mapping)
        var random = RecognitionRandom(state: 17)
        for golden in GoldenSpan.all {
            let whole = SpanBytes(golden.request)
            for _ in 0..<24 {
                _ = worker.row(whole, mapping)
                var bytes = whole
                bytes.span = changed(whole.span, &random)
                // What is no message any more does not come this far.
                guard isWellFormed(bytes.span) else { continue }
                var fresh = Worker(mapping)
                #expect(worker.row(bytes, mapping) == fresh.row(bytes, mapping), "\(golden): \(bytes.span)")
            }
        }
    }

    private func changed(_ span: [UInt8], _ random: inout RecognitionRandom) -> [UInt8] {
        var fields = fields(of: span)
        let place = fields.indices.randomElement(using: &random) ?? 0
        switch Int.random(in: 0..<5, using: &random) {
        case 0: fields.remove(at: place)
        case 1: fields.insert(fields[place], at: min(place + 1, fields.count))
        case 2: fields.swapAt(place, fields.indices.randomElement(using: &random) ?? 0)
        case 3: fields = Array(fields[..<place])
        default:
            var field = fields[place]
            // Not the tag and the length.
            if field.count > 3 {
                field[Int.random(in: 2..<field.count, using: &random)] = .random(in: 0...127, using: &random)
            }
            fields[place] = field
        }
        return Array(fields.joined())
    }

    private func fields(of span: [UInt8]) -> [[UInt8]] {
        span.withUnsafeBytes { bytes in
            guard var cursor = WireCursor(bytes) else { return [] }
            var fields: [[UInt8]] = []
            while !cursor.isAtEnd {
                let start = cursor.at
                guard let tag = cursor.varint() else { break }
                cursor.skipField(tag)
                fields.append(Array(UnsafeBufferPointer(start: start, count: cursor.at - start)))
            }
            return fields
        }
    }

    private func isWellFormed(_ span: [UInt8]) -> Bool {
        var scopeSpans = WireWriter()
        span.withUnsafeBytes { scopeSpans.append(field: 2, bytes: $0) }
        var resourceSpans = WireWriter()
        resourceSpans.append(field: 2, bytes: scopeSpans.bytes)
        var request = WireWriter()
        request.append(field: 1, bytes: resourceSpans.bytes)
        return (try? TelemetryBatch(WireBytes(copying: request.bytes), signal: .traces)) != nil
    }

    /// Many kinds of spans of one scope: plans give way, and then are not made for a while.
    @Test func spansThatDifferAllTheTime() {
        var worker = Worker(mapping)
        for number in 0..<5_000 {
            let bytes = spanBytes(name: "chat") { span in
                span.attribute("gen_ai.operation.name", "chat")
                for index in 0..<8 where number & 1 << index != 0 { span.attribute("app.attribute.\(index)", "x") }
                span.attribute("gen_ai.request.model", "m\(number % 7)")
                span.attribute("gen_ai.usage.input_tokens", Int64(number))
            }
            let row = worker.row(bytes, mapping)
            #expect(row.contains("request=m\(number % 7) ") && row.contains("in=\(number) "), "\(row)")
        }
    }

    /// An exception says what went wrong where no attribute does.
    @Test func exceptionsTellTheCategory() {
        func error(_ status: Bool, _ events: [(String, String)]) -> String? {
            var worker = Worker(mapping)
            let bytes = spanBytes(name: "ChatCompletion") { span in
                span.attribute("openinference.span.kind", "LLM")
                span.attribute("llm.model_name", "gpt-4o")
                for (type, message) in events {
                    var event = WireWriter()
                    event.append(tag: 1, .fixed64)
                    event.append(fixed64: 5)
                    Array("exception".utf8).withUnsafeBytes { event.append(field: 2, bytes: $0) }
                    for (key, value) in [("exception.type", type), ("exception.message", message)] {
                        Array(key.utf8).withUnsafeBytes { key in
                            Array(value.utf8).withUnsafeBytes { event.append(field: 3, key: key, .text($0)) }
                        }
                    }
                    span.append(field: 11, bytes: event.bytes)
                }
                // Status, with the code for an error.
                if status { [UInt8]([0x18, 0x02]).withUnsafeBytes { span.append(field: 15, bytes: $0) } }
            }
            return worker.row(bytes, mapping).split(separator: " ").first { $0.hasPrefix("error=") }.map(String.init)
        }
        #expect(error(true, [("openai.RateLimitError", "Error code: 429")]) == "error=rate-limit")
        #expect(
            error(true, [("APIConnectionError", ""), ("BadRequestError", "prompt is too long")])
                == "error=context-length")
        #expect(error(true, []) == "error=other")
        #expect(error(false, [("openai.RateLimitError", "Error code: 429")]) == nil)
    }
}
