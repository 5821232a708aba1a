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
}
