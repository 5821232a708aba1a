import OTLP
import Testing

@testable import GenAI

@Suite("Errors by what went wrong")
struct LabelledErrorTests {
    private func category(_ error: LabelledError, _ mapping: GenAIMapping) -> String {
        Array(error.type.utf8).withUnsafeBytes { type in
            Array(error.message.utf8).withUnsafeBytes { message in
                let found = mapping.errorCategory(type: type, message: message, status: error.status)
                return (found == .none ? ErrorCategory.other : found).metricName.description
            }
        }
    }

    @Test("of 120 labelled errors and more, at least 95 of 100 are told right")
    func accuracy() throws {
        let mapping = try GenAIMapping.builtIn()
        var wrong: [String] = []
        for error in LabelledErrors.all {
            let found = category(error, mapping)
            if found != error.category {
                wrong.append(
                    "\(error.source) \(error.type): \(error.message.prefix(90)): \(found), not \(error.category)")
            }
        }
        #expect(LabelledErrors.all.count >= 120)
        #expect(wrong.count * 20 <= LabelledErrors.all.count, "\(wrong.joined(separator: "\n"))")
    }

    @Test("every category has labelled errors")
    func coverage() {
        let labels = Set(LabelledErrors.all.map(\.category))
        let names = ErrorCategory.allCases.filter { $0 != .none && $0 != .other }.map { $0.metricName.description }
        #expect(labels == Set(names))
    }

    @Test("one pass over a text finds what looking for one after the other finds")
    func onePass() {
        let all: [(text: [UInt8], category: ErrorCategory)] = [
            ("rate limit", ErrorCategory.rateLimit), ("rate", .quota), ("limi", .timeout), ("rate limits", .server),
            ("abab", .tool), ("babab", .connection), ("[]^_", .overloaded), ("imit ra", .cancelled),
        ].map { (Array($0.0.utf8), $0.1) }
        let texts = ErrorTexts(all)
        defer { texts.deallocate() }
        let letters = Array("rateRATE limitLIMITsab[]^_{}~".utf8)
        var random = RecognitionRandom(state: 5)
        var found = 0
        for round in 0..<20_000 {
            var message: [UInt8] = []
            for _ in 0..<Int.random(in: 0...5, using: &random) {
                if round % 2 == 0, let text = all.randomElement(using: &random)?.text {
                    message += text.prefix(Int.random(in: 1...text.count, using: &random))
                } else if let letter = letters.randomElement(using: &random) {
                    message.append(letter)
                }
            }
            let folded = message.map(foldASCII)
            let expected = all.first { item in
                folded.count >= item.text.count
                    && (0...(folded.count - item.text.count)).contains {
                        folded[$0..<$0 + item.text.count].elementsEqual(item.text)
                    }
            }
            if expected != nil { found += 1 }
            #expect(message.withUnsafeBytes { texts.category(of: $0) } == expected?.category)
        }
        #expect(found > 1000)
    }
}
