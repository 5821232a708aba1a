import OTLP
import Testing

@testable import GenAI

/// The normal form of usage, over random reports.
@Suite struct RecognitionUsageTests {
    let mapping: GenAIMapping

    init() throws { mapping = try GenAIMapping.builtIn() }

    struct Report {
        var input: Int64
        var output: Int64
        var read: Int64
        var written: Int64
        var reasoning: Int64
        var total: Int64?
        var scope = "app"

        func bytes() -> SpanBytes {
            spanBytes(scope: scope) { span in
                span.attribute("gen_ai.operation.name", "chat")
                span.attribute("gen_ai.provider.name", "anthropic")
                span.attribute("gen_ai.usage.input_tokens", input)
                span.attribute("gen_ai.usage.output_tokens", output)
                if read > 0 { span.attribute("gen_ai.usage.cache_read.input_tokens", read) }
                if written > 0 { span.attribute("gen_ai.usage.cache_creation.input_tokens", written) }
                if reasoning > 0 { span.attribute("gen_ai.usage.reasoning.output_tokens", reasoning) }
                if let total { span.attribute("gen_ai.usage.total_tokens", total) }
            }
        }
    }

    /// The rules of section 3 of the notes on attributes, written once more, plainly.
    private func expected(_ report: Report) -> (input: Int64, output: Int64) {
        let cached = report.read + report.written
        var input = report.input
        if cached > 0 {
            let isConfigured = report.scope.hasPrefix("openlit")
            let sum = report.input + report.output + cached
            if isConfigured || cached > input || report.total == sum
                || report.reasoning > 0 && report.total == sum + report.reasoning
            {
                input += cached
            }
        }
        var output = report.output
        if report.reasoning > 0,
            report.reasoning > output || report.total == input + output + report.reasoning
        {
            output += report.reasoning
        }
        return (input, output)
    }

    @Test func randomReports() {
        var random = RecognitionRandom(state: 99)
        var exclusive = 0
        for _ in 0..<4_000 {
            let small = Bool.random(using: &random)
            let range: ClosedRange<Int64> = small ? 0...6 : 0...100_000
            var report = Report(
                input: .random(in: range, using: &random), output: .random(in: range, using: &random),
                read: .random(in: range, using: &random), written: .random(in: range, using: &random),
                reasoning: .random(in: range, using: &random))
            switch Int.random(in: 0..<5, using: &random) {
            case 0: report.total = report.input + report.output
            case 1: report.total = report.input + report.output + report.read + report.written
            case 2: report.total = report.input + report.output + report.reasoning
            case 3:
                report.total = report.input + report.output + report.read + report.written + report.reasoning
            default: break
            }
            if Int.random(in: 0..<4, using: &random) == 0 { report.scope = "openlit.anthropic" }
            let (input, output) = expected(report)
            let bytes = report.bytes()
            recognise(bytes, mapping) { call in
                #expect(call?.usage.input == input, "\(report)")
                #expect(call?.usage.output == output, "\(report)")
            }
            if input != report.input { exclusive += 1 }
            // Twice is once.
            let tail = appended(bytes, mapping)
            recognise(bytes, tail: tail, mapping) { call in
                #expect(call?.usage.input == input && call?.usage.output == output, "again: \(report)")
            }
            #expect(appended(bytes, tail: tail, mapping) == [], "\(report)")
        }
        #expect(exclusive > 1_000)
    }

    @Test func configuredRangesOfVersions() throws {
        let text = """
            mapping 1
            version t
            sources
              otel
            recognise
              gen_ai.operation.name otel
            field operation = gen_ai.operation.name
              gen_ai.operation.name
            field input = gen_ai.usage.input_tokens
              gen_ai.usage.input_tokens
            field cache-read = gen_ai.usage.cache_read.input_tokens
              gen_ai.usage.cache_read.input_tokens
            operations
              chat model chat
            usage
              inclusive scope=lib* versions=>=2.1
              exclusive scope=lib* versions=>=1.4,<2.1
            """
        let mapping = try GenAIMapping(bytes: Array(text.utf8)[...])
        func input(_ version: String) -> Int64? {
            var bytes = spanBytes(scope: "lib.x") { span in
                span.attribute("gen_ai.operation.name", "chat")
                span.attribute("gen_ai.usage.input_tokens", 100)
                span.attribute("gen_ai.usage.cache_read.input_tokens", 10)
            }
            var scope = WireWriter()
            Array("lib.x".utf8).withUnsafeBytes { scope.append(field: 1, bytes: $0) }
            Array(version.utf8).withUnsafeBytes { scope.append(field: 2, bytes: $0) }
            var scopeSpans = WireWriter()
            scopeSpans.append(field: 1, bytes: scope.bytes)
            bytes.scopeSpans = Array(scopeSpans.bytes)
            return recognise(bytes, mapping) { $0?.usage.input }
        }
        #expect(input("1.3.9") == 100)
        #expect(input("1.4") == 110)
        #expect(input("1.10.2") == 110)
        #expect(input("2.0b1") == 110)
        #expect(input("2.1b0") == 100)
        #expect(input("") == 100)
    }
}
