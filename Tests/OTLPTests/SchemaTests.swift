import Testing

@testable import OTLP

/// The codec's tables are consistent in themselves; their agreement with OTLP is shown by the golden files.
@Suite struct SchemaTests {
    @Test(arguments: OTLPMessage.allCases) func numbersAndNamesAreUniqueAndFit(_ message: OTLPMessage) {
        let fields = message.fieldDescriptions
        #expect(!fields.isEmpty)
        #expect(Set(fields.map(\.number)).count == fields.count)
        #expect(Set(fields.map { "\($0.name)" }).count == fields.count)
        for field in fields {
            #expect((1...JSONMessageSchema.highestNumber).contains(field.number))
            // Quotes, colon and one bracket or quote come with the name into 32 bytes.
            #expect(field.name.utf8CodeUnitCount <= 28)
            #expect((field.kind == .message) == (field.message != nil))
            #expect((field.kind == .enumeration) == (field.enumeration != .none))
        }
    }

    @Test func prefixesHoldTheNames() {
        let schema = JSONSchema.shared
        let span = schema[.span]
        #expect(text(of: span.pointee.field(1)) == "\"traceId\":\"")
        #expect(text(of: span.pointee.field(6)) == "\"kind\":")
        #expect(text(of: span.pointee.field(9)) == "\"attributes\":[")
        #expect(!span.pointee.field(17).pointee.isKnown)
        #expect(!span.pointee.field(0).pointee.isKnown)
        #expect(!span.pointee.field(.max).pointee.isKnown)
        #expect(schema[.spanStatus].pointee.field(1).pointee.isKnown == false)
    }

    private func text(of field: UnsafePointer<JSONField>) -> String {
        String(decoding: (0..<field.pointee.prefixLength).map { field.pointee.prefix[$0] }, as: UTF8.self)
    }
}
