import Testing

@testable import OTLP

@Suite struct JSONEncoderTests {
    @Test func fixturesAreThere() { #expect(JSONFixture.all.count == 24) }

    @Test(arguments: JSONFixture.all) func goldenTexts(_ fixture: JSONFixture) throws {
        #expect(try json(fixture.wire, fixture.message) == String(decoding: fixture.text, as: UTF8.self))
    }

    @Test func emptyMessages() throws {
        #expect(try json([], .traceRequest) == "{}")
        #expect(try json(field(1, []), .traceRequest) == "{\"resourceSpans\":[{}]}")
        #expect(try json(field(15, []), .span) == "{\"status\":{}}")
    }

    @Test func defaultsAreLeftOut() throws {
        #expect(try json([0x30, 0x00] + field(5, "") + [0x39] + .init(repeating: 0, count: 8), .span) == "{}")
        // A member of a oneof and an optional field are there even when zero.
        #expect(try json([0x18, 0x00], .anyValue) == "{\"intValue\":\"0\"}")
        #expect(try json(field(1, ""), .anyValue) == "{\"stringValue\":\"\"}")
        #expect(try json([0x29] + .init(repeating: 0, count: 8), .histogramDataPoint) == "{\"sum\":0}")
    }

    @Test func appendedAttributesJoinTheOthers() throws {
        let span =
            field(5, "s") + field(9, attribute("a", "1")) + field(15, [0x18, 0x02]) + field(9, attribute("b", "2"))
        let expected =
            #"{"name":"s","attributes":[{"key":"a","value":{"stringValue":"1"}},"#
            + #"{"key":"b","value":{"stringValue":"2"}}],"status":{"code":2}}"#
        #expect(try json(span, .span) == expected)
    }

    @Test func lastScalarWinsAndMessagesMerge() throws {
        #expect(try json(field(5, "first") + field(1, [1]) + field(5, "last"), .span).contains(#""name":"last""#))
        #expect(
            try json(field(15, field(2, "why")) + field(15, [0x18, 0x02]), .span)
                == #"{"status":{"message":"why","code":2}}"#)
        #expect(try json(field(1, "x") + [0x10, 0x01], .anyValue) == #"{"boolValue":true}"#)
        // An array that another member cleared does not come back.
        let array = field(5, field(1, [0x18, 0x01]))
        #expect(try json(array + field(1, "x") + array, .anyValue) == #"{"arrayValue":{"values":[{"intValue":"1"}]}}"#)
        #expect(
            try json(array + array, .anyValue)
                == #"{"arrayValue":{"values":[{"intValue":"1"},{"intValue":"1"}]}}"#)
    }

    @Test func packedAndUnpackedNumbersMix() throws {
        let buckets: [UInt8] = [0x10, 0x01] + field(2, [2, 3]) + [0x08, 0x03] + [0x10, 0x80, 0x01] + field(2, [])
        #expect(try json(buckets, .buckets) == #"{"bucketCounts":["1","2","3","128"],"offset":-2}"#)
        #expect(try json(field(2, []), .buckets) == "{}")
    }

    @Test func unknownFieldsAndWrongWireTypesAreDropped() throws {
        let bytes: [UInt8] = [0xA0, 0x38, 0x05] + field(5, "n") + [0x2D, 1, 2, 3, 4] + [0x98, 0x01, 0x07]
        #expect(try json(bytes, .span) == #"{"name":"n"}"#)
    }

    @Test(arguments: [
        ("", ""), ("plain", "plain"), ("q\"b\\s/", "q\\\"b\\\\s/"), ("\u{8}\t\n\u{C}\r", "\\b\\t\\n\\f\\r"),
        ("\0\u{1F}\u{7F}", "\\u0000\\u001f\u{7F}"), ("é€🙂", "é€🙂"), ("0123456789abcdef", "0123456789abcdef"),
        ("0123456789abcde\"", "0123456789abcde\\\""),
        ("0123456789abcdef\n0123456789abcdef", "0123456789abcdef\\n0123456789abcdef"),
    ])
    func escapes(_ value: String, _ expected: String) throws {
        #expect(try json(field(1, value), .anyValue) == "{\"stringValue\":\"\(expected)\"}")
        // In front of more input, where the writer may read past the string.
        #expect(
            try json(field(1, value) + field(2, attribute("k", "0123456789abcdef")), .scope)
                .hasPrefix(value.isEmpty ? "{\"version" : "{\"name\":\"\(expected)\",\"version"))
    }

    @Test func everyByteAtEveryPlaceOfAString() throws {
        for length in [1, 7, 15, 16, 17, 31, 33] {
            for position in 0..<length {
                for byte in UInt8(0)..<0x80 {
                    var text = [UInt8](repeating: 0x61, count: length)
                    text[position] = byte
                    let encoded = Array(try json(field(1, text), .anyValue).utf8)
                    if try wire(encoded, .anyValue) != field(1, text) { Issue.record("\(text)") }
                }
            }
        }
    }

    @Test func invalidUTF8IsReplaced() throws {
        let bytes: [UInt8] = Array("a".utf8) + [0xFF] + Array("é\"".utf8) + [0xE2, 0x82] + Array("z".utf8)
        #expect(try json(field(1, bytes), .anyValue) == "{\"stringValue\":\"a\u{FFFD}é\\\"\u{FFFD}\u{FFFD}z\"}")
    }

    @Test func identifiersAreHex() throws {
        let bytes =
            field(1, Array(0x9A...0xA9)) + field(2, [0, 1, 0x7F, 0x80, 0xFF, 0xAB, 0xCD, 0xEF]) + field(4, [0x0A])
        let expected =
            #"{"traceId":"9a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9","spanId":"00017f80ffabcdef","parentSpanId":"0a"}"#
        #expect(try json(bytes, .span) == expected)
    }

    @Test(
        arguments: [
            ([], ""), ([0x66], "Zg=="), ([0x66, 0x6F], "Zm8="), ([0x66, 0x6F, 0x6F], "Zm9v"),
            ([0xFF, 0xEF, 0xBF, 0xFB], "/++/+w=="),
        ] as [([UInt8], String)])
    func base64(_ bytes: [UInt8], _ expected: String) throws {
        #expect(try json(field(7, bytes), .anyValue) == "{\"bytesValue\":\"\(expected)\"}")
    }

    @Test(arguments: [
        (0, "0"), (-0.0, "-0.0"), (1, "1"), (-1.5, "-1.5"), (0.1, "0.1"), (0.001, "0.001"), (1e-5, "1e-05"),
        (4.35, "4.35"),
        (1234567.891, "1234567.891"), (0.1 + 0.2, "0.30000000000000004"), (1e15, "1000000000000000"), (1e22, "1e+22"),
        (Double.leastNonzeroMagnitude, "5e-324"), (.nan, "\"NaN\""),
        (.infinity, "\"Infinity\""), (-.infinity, "\"-Infinity\""), (9_007_199_254_740_991, "9007199254740991"),
        (1.000000001, "1.000000001"),
    ])
    func doubles(_ value: Double, _ expected: String) throws {
        let bytes: [UInt8] = [0x21] + withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
        #expect(try json(bytes, .anyValue) == "{\"doubleValue\":\(expected)}")
    }

    @Test func doublesReadBackTheSame() throws {
        var random = SeededGenerator(state: 7)
        for round in 0..<20_000 {
            let value: Double =
                switch round % 4 {
                case 0: Double(bitPattern: random.next())
                case 1: Double(Int64(truncatingIfNeeded: random.next()) >> 20) / 1000
                case 2: Double.random(in: 0..<1, using: &random)
                default: (Double.random(in: 0..<1e6, using: &random) * 1e4).rounded() / 1e4
                }
            let bytes: [UInt8] = [0x21] + withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
            let back = try wire(Array(try json(bytes, .anyValue).utf8), .anyValue)
            if value.isNaN { continue }
            if back != bytes { Issue.record("\(value)") }
        }
    }

    @Test func integersAtEveryLength() throws {
        var values: [UInt64] = [0, .max, UInt64(Int64.max), UInt64(Int64.max) + 1]
        var power: UInt64 = 1
        for _ in 0..<19 {
            values += [power - 1, power, power + 1]
            power &*= 10
        }
        for value in values {
            var writer = WireWriter()
            writer.append(tag: 3, .varint)
            writer.append(varint: value)
            let expected = Int64(bitPattern: value)
            #expect(try json(Array(writer.bytes), .anyValue) == "{\"intValue\":\"\(expected)\"}")
            writer.removeAll()
            writer.append(tag: 1, .fixed64)
            writer.append(fixed64: value)
            #expect(
                try json(Array(writer.bytes), .logRecord) == (value == 0 ? "{}" : "{\"timeUnixNano\":\"\(value)\"}"))
        }
    }

    @Test func depthIsBounded() throws {
        var value = field(1, "x")
        for _ in 0..<30 { value = field(5, field(1, value)) }
        var long = WireWriter()
        // Longer than the short form of `field`.
        for _ in 0..<60 {
            let inner = Array(value)
            long.removeAll()
            inner.withUnsafeBytes { long.append(field: 1, bytes: $0) }
            let array = Array(long.bytes)
            long.removeAll()
            array.withUnsafeBytes { long.append(field: 5, bytes: $0) }
            value = Array(long.bytes)
        }
        #expect(throws: OTLPJSONEncodingError.tooDeep) { try json(value, .anyValue) }
        #expect(try json(value, .anyValue, depth: 200).utf8.count > 1000)
    }

    @Test func outputIsBounded() throws {
        let text = [UInt8](repeating: 1, count: 100)
        let full = try json(field(1, text), .anyValue).utf8.count
        #expect(throws: OTLPJSONEncodingError.outputLimit) { try json(field(1, text), .anyValue, limit: full - 1) }
        #expect(try json(field(1, text), .anyValue, limit: full + 256).utf8.count == full)
        for limit in [0, 1, 64, 127, 128, 300] {
            #expect(throws: OTLPJSONEncodingError.outputLimit) { try json(field(1, text), .anyValue, limit: limit) }
        }
    }

    @Test func textIsAppendedAndTakenBackOnFailure() throws {
        var writer = WireWriter()
        writer.append("[")
        try [UInt8]([]).withUnsafeBytes { try OTLPJSONEncoder.encode($0, as: .span, into: &writer) }
        #expect(Array(writer.bytes) == Array("[{}".utf8))
        let broken = field(5, "name") + [0x0A, 0x05]
        #expect(throws: OTLPJSONEncodingError.malformedMessage) {
            try broken.withUnsafeBytes { try OTLPJSONEncoder.encode($0, as: .span, into: &writer) }
        }
        #expect(Array(writer.bytes) == Array("[{}".utf8))
    }
}
