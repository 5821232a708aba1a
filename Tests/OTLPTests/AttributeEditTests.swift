import Testing

@testable import OTLP

@Suite struct AttributeEditTests {
    private func bytes<Result>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try Array(text.utf8).withUnsafeBytes(body)
    }

    private func jsonOfSpan(_ batch: TelemetryBatch) throws -> String {
        var wire = WireWriter()
        batch.encode(into: &wire)
        let text = try json(Array(wire.bytes), .traceRequest)
        let start = #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"#
        let ids = #""traceId":"01010101010101010101010101010101","spanId":"0101010101010101","#
        #expect(text.hasPrefix(start + ids))
        return String(text.dropFirst((start + ids).count).dropLast("}]}]}]}".count))
    }

    private func one(_ fields: [UInt8]) throws -> TelemetryBatch { try batch(request([span(fields)])) }

    @Test func everyTypeIsWritten() throws {
        let batch = try one(field(5, "n"))
        for (key, value) in [
            ("b", AttributeContent.bool(true)), ("i", .int(-1)), ("d", .double(0.5)), ("z", .int(0)),
        ] {
            #expect(bytes(key) { batch.appendAttribute($0, value, toItem: 0) })
        }
        #expect(bytes("t") { key in bytes("é") { batch.appendAttribute(key, .text($0), toItem: 0) } })
        let expected =
            #""name":"n","attributes":[{"key":"b","value":{"boolValue":true}},"#
            + #"{"key":"i","value":{"intValue":"-1"}},{"key":"d","value":{"doubleValue":0.5}},"#
            + #"{"key":"z","value":{"intValue":"0"}},{"key":"t","value":{"stringValue":"é"}}]"#
        #expect(try jsonOfSpan(batch) == expected)
    }

    @Test func settingReplacesWhereverItStands() throws {
        let fields = field(9, attribute("a", "1")) + field(5, "n") + field(9, attribute("b", "2"))
        let batch = try one(fields)
        #expect(field(9, attribute("a", "3")).withUnsafeBytes { batch.append($0, toItem: 0) })
        #expect(bytes("a") { batch.setAttribute($0, .int(9), ofItem: 0) })
        let expected =
            #""name":"n","attributes":[{"key":"b","value":{"stringValue":"2"}},{"key":"a","value":{"intValue":"9"}}]"#
        #expect(try jsonOfSpan(batch) == expected)
        #expect(bytes("new") { batch.setAttribute($0, .bool(false), ofItem: 0) })
        #expect(try jsonOfSpan(batch).contains(#"{"key":"new","value":{"boolValue":false}}"#))
    }

    @Test func removingKeepsEverythingElse() throws {
        let unknown: [UInt8] = [0xA2, 0x01, 5] + Array("later".utf8)
        let batch = try one(field(9, attribute("a", "1")) + unknown + field(9, attribute("b", "2")))
        #expect(batch.removeAttributes(ofItem: 0) { $0.elementsEqual("a".utf8) })
        #expect(batch.items.map { Array(batch.payload(of: $0)) } == [span(unknown + field(9, attribute("b", "2")))])
        let before = batch.items
        #expect(batch.removeAttributes(ofItem: 0) { $0.elementsEqual("absent".utf8) })
        #expect(batch.items == before)
    }

    @Test func otherSignals() throws {
        let logs = try batch(request([field(6, attribute("a", "1"))]), .logs)
        #expect(bytes("a") { logs.setAttribute($0, .int(2), ofItem: 0) })
        var wire = WireWriter()
        logs.encode(into: &wire)
        #expect(
            try json(Array(wire.bytes), .logsRequest).contains(#""attributes":[{"key":"a","value":{"intValue":"2"}}]"#))
        let metrics = try batch(request([field(1, "m")]), .metrics)
        #expect(bytes("a") { !metrics.appendAttribute($0, .int(2), toItem: 0) })
        #expect(bytes("a") { !logs.setAttribute($0, .int(2), ofItem: 1) })
    }
}
