import Testing

@testable import OTLP

@Suite struct JSONDecoderTests {
    @Test(arguments: JSONFixture.all) func goldenWireBytes(_ fixture: JSONFixture) throws {
        #expect(try wire(fixture.text, fixture.message) == fixture.wire)
    }

    @Test func whiteSpaceIsAllowedBetweenTokens() throws {
        let text = " \r\n\t{ \"name\" : \"x\" , \"attributes\" : [ { \"key\" : \"k\" } , { } ] , \"kind\" : 2 } \n"
        #expect(try wire(text, .span) == field(5, "x") + field(9, field(1, "k")) + field(9, []) + [0x30, 2])
    }

    @Test func unknownNamesAndNullAreSkipped() throws {
        let text = #"""
            {"trace_id":"zz","name":null,"attributes":null,"status":null,"kind":null,"x":{"a":[1,-2.5e3,true,{}],"b":"\ud83d\ude00"},
            "flags":1,"":0,"y":[]}
            """#
        #expect(try wire(text, .span) == [0x85, 0x01, 1, 0, 0, 0])
        // Nothing but a name that only starts like one.
        #expect(try wire(#"{"nam":"x","names":"y"}"#, .span) == [])
    }

    @Test func namesMayHaveEscapes() throws {
        #expect(try wire(#"{"na\u006de":"x"}"#, .span) == field(5, "x"))
    }

    @Test func defaultsAreLeftOut() throws {
        let text = #"{"name":"","traceId":"","kind":0,"startTimeUnixNano":"0","attributes":[],"flags":0}"#
        #expect(try wire(text, .span) == [])
        #expect(try wire(#"{"stringValue":""}"#, .anyValue) == field(1, ""))
        #expect(try wire(#"{"intValue":0}"#, .anyValue) == [0x18, 0])
        #expect(try wire(#"{"boolValue":false}"#, .anyValue) == [0x10, 0])
        #expect(try wire(#"{"bytesValue":""}"#, .anyValue) == field(7, []))
        #expect(try wire(#"{"bucketCounts":[]}"#, .buckets) == [])
        #expect(try wire(#"{"sum":0,"zeroThreshold":0}"#, .exponentialHistogramDataPoint).count == 9)
    }

    @Test(
        arguments: [
            ("0A0b", [0x0A, 0x0B]), ("ffFF00", [0xFF, 0xFF, 0x00]),
            ("000102030405060708090a0b0c0d0e0f", Array(0...15)),
        ] as [(String, [UInt8])])
    func identifiers(_ text: String, _ bytes: [UInt8]) throws {
        #expect(try wire("{\"traceId\":\"\(text)\"}", .span) == field(1, bytes))
    }

    @Test(arguments: ["abc", "0g", "é0", "W47/95gDgQPSabYzgT/GDA==", "0x", " 01"])
    func identifiersThatAreNotHex(_ text: String) {
        #expect(reason(of: "{\"traceId\":\"\(text)\"}", .span) == .invalidHex)
    }

    @Test(
        arguments: [
            ("42", 42), ("\"42\"", 42), ("-1", -1), ("\"-9223372036854775808\"", .min), ("9223372036854775807", .max),
            ("1e3", 1000), ("\"1.50e1\"", 15), ("0", 0),
            ("-0", 0), (#""\u0034\u0032""#, 42),
        ] as [(String, Int64)])
    func integers(_ text: String, _ value: Int64) throws {
        var writer = WireWriter()
        writer.append(tag: 3, .varint)
        writer.append(varint: UInt64(bitPattern: value))
        #expect(try wire("{\"intValue\":\(text)}", .anyValue) == Array(writer.bytes))
    }

    @Test(
        arguments: [
            ("intValue", "9223372036854775808", .numberOutOfRange),
            ("intValue", "\"-9223372036854775809\"", .numberOutOfRange), ("intValue", "1.5", .numberOutOfRange),
            ("intValue", "99999999999999999999", .numberOutOfRange), ("intValue", "1e300", .numberOutOfRange),
            ("intValue", "\"\"", .invalidNumber),
            ("intValue", "\" 1\"", .invalidNumber), ("intValue", "\"1x\"", .invalidNumber),
            ("intValue", "01", .invalidNumber), ("intValue", "-", .unexpectedEnd),
            ("intValue", "1.", .invalidNumber), ("intValue", "1e+", .invalidNumber), ("intValue", "true", .wrongType),
            ("intValue", "[1]", .wrongType), ("intValue", "nul", .wrongType),
            ("intValue", "+1", .wrongType), ("intValue", "NaN", .wrongType), ("boolValue", "1", .wrongType),
            ("boolValue", "\"true\"", .wrongType), ("stringValue", "1", .wrongType),
            ("doubleValue", "1e400", .numberOutOfRange), ("doubleValue", "\"nan\"", .invalidNumber),
            ("doubleValue", "Infinity", .wrongType), ("arrayValue", "[]", .wrongType),
            ("bytesValue", "\"A\"", .invalidBase64), ("bytesValue", "\"AA=A\"", .invalidBase64),
            ("bytesValue", "\"AA*A\"", .invalidBase64), ("bytesValue", "\"AAA==\"", .invalidBase64),
            ("stringValue", "\"\\x\"", .invalidString), ("stringValue", "\"\\u12g4\"", .invalidString),
            ("stringValue", "\"a\u{1}\"", .invalidString), ("stringValue", "\"\n\"", .invalidString),
            ("stringValue", "\"\\ud800\"", .loneSurrogate), ("stringValue", "\"\\udc00x\"", .loneSurrogate),
            ("stringValue", "\"\\ud800\\u0041\"", .loneSurrogate),
        ] as [(String, String, OTLPJSONError.Reason)])
    func refusedValues(_ name: String, _ text: String, _ expected: OTLPJSONError.Reason) {
        let found = reason(of: "{\"\(name)\":\(text)}", .anyValue)
        // A lone minus is followed by the brace.
        #expect(found == expected || (text == "-" && found == .invalidNumber))
    }

    @Test(arguments: [
        ("1", 1), ("-2.5", -2.5), ("\"3.25\"", 3.25), ("1e22", 1e22),
        ("123456789012345678901234567890", 1.2345678901234568e29), ("0.1", 0.1),
        ("2.2250738585072014e-308", .leastNormalMagnitude), ("1e-400", 0), ("\"Infinity\"", .infinity),
        ("\"-Infinity\"", -.infinity), ("-0.0", -0.0), ("1e23", 1e23),
        ("0.30000000000000004", 0.30000000000000004), ("9007199254740993", 9_007_199_254_740_992),
    ])
    func doubles(_ text: String, _ value: Double) throws {
        let expected: [UInt8] = [0x21] + withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
        #expect(try wire("{\"doubleValue\":\(text)}", .anyValue) == expected)
    }

    @Test(arguments: [
        ("2", 2), ("\"3\"", 3), ("\"SPAN_KIND_SERVER\"", 2), ("77", 77),
    ])
    func enumerations(_ text: String, _ value: UInt8) throws {
        #expect(try wire("{\"kind\":\(text)}", .span) == [0x30, value])
    }

    @Test func enumerationsThatAreUnknown() {
        #expect(reason(of: #"{"kind":"SERVER"}"#, .span) == .unknownEnumName)
        #expect(reason(of: #"{"kind":2147483648}"#, .span) == .numberOutOfRange)
        #expect(reason(of: #"{"flags":4294967296}"#, .span) == .numberOutOfRange)
        #expect(reason(of: #"{"droppedLinksCount":-1}"#, .span) == .numberOutOfRange)
        #expect(reason(of: #"{"startTimeUnixNano":"-1"}"#, .span) == .numberOutOfRange)
    }

    @Test func signedNumbersAreFolded() throws {
        #expect(try wire(#"{"scale":-1}"#, .exponentialHistogramDataPoint) == [0x30, 1])
        #expect(
            try wire(#"{"offset":-2147483648,"bucketCounts":["1",300]}"#, .buckets)
                == [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F] + field(2, [1, 0xAC, 0x02]))
    }

    @Test(arguments: ["//79", "__79", "__79=="]) func base64Spellings(_ text: String) throws {
        if text.hasSuffix("==") {
            #expect(reason(of: "{\"bytesValue\":\"\(text)\"}", .anyValue) == .invalidBase64)
        } else {
            #expect(try wire("{\"bytesValue\":\"\(text)\"}", .anyValue) == field(7, [0xFF, 0xFE, 0xFD]))
        }
        #expect(try wire(#"{"bytesValue":"\/w=="}"#, .anyValue) == field(7, [0xFF]))
        #expect(try wire(#"{"bytesValue":"_w"}"#, .anyValue) == field(7, [0xFF]))
    }

    @Test func stringsWithEscapes() throws {
        let text = #"{"stringValue":"\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\ude42é€🙂\u0000"}"#
        #expect(try wire(text, .anyValue) == field(1, "\"\\/\u{8}\u{C}\n\r\tAé€🙂é€🙂\0"))
        let long = String(repeating: "line\\n", count: 60)
        let expected = String(repeating: "line\n", count: 60)
        var writer = WireWriter()
        Array(expected.utf8).withUnsafeBytes { writer.append(field: 1, bytes: $0) }
        #expect(try wire("{\"stringValue\":\"\(long)\"}", .anyValue) == Array(writer.bytes))
    }

    @Test(arguments: [[0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xC0, 0x80]] as [[UInt8]])
    func invalidUTF8(_ bytes: [UInt8]) {
        for name in ["stringValue", "unknown"] {
            let text = Array("{\"\(name)\":\"".utf8) + bytes + Array("\"}".utf8)
            #expect(throws: OTLPJSONError.self) { try wire(text, .anyValue) }
        }
    }

    @Test func fieldsGivenTwice() {
        #expect(reason(of: #"{"name":"a","name":"b"}"#, .span) == .duplicateField)
        #expect(reason(of: #"{"intValue":1,"stringValue":"x"}"#, .anyValue) == .severalMembers)
        #expect(reason(of: #"{"gauge":{},"sum":{}}"#, .metric) == .severalMembers)
        #expect(reason(of: #"{"intValue":null,"stringValue":"x"}"#, .anyValue) == nil)
        #expect(reason(of: #"{"unknown":1,"unknown":2}"#, .anyValue) == nil)
    }

    @Test(
        arguments: [
            ("", .unexpectedEnd), ("   ", .unexpectedEnd), ("{", .unexpectedEnd), ("[]", .wrongType),
            ("null", .wrongType), ("{}x", .trailingText), ("{}{}", .trailingText),
            ("{,}", .unexpectedCharacter), ("{\"name\"}", .unexpectedCharacter),
            ("{\"name\":\"a\",}", .unexpectedCharacter), ("{'name':1}", .unexpectedCharacter),
            ("{\"attributes\":[{},]}", .wrongType), ("{\"attributes\":[null]}", .nullElement),
            ("{\"attributes\":{}}", .wrongType), ("\u{FEFF}{}", .wrongType),
            ("{\"x\":tru}", .unexpectedCharacter), ("{\"x\":[1 2]}", .unexpectedCharacter),
            ("{\"x\":}", .unexpectedCharacter),
        ] as [(String, OTLPJSONError.Reason)])
    func refusedTexts(_ text: String, _ expected: OTLPJSONError.Reason) {
        #expect(reason(of: text, .span) == expected)
    }

    @Test func errorsNameThePlaceButNoContent() throws {
        let text =
            #"{"resourceSpans":[{"scopeSpans":[{"spans":[{},{"name":"secret","attributes":[{"value":{"intValue":"secret"}}]}]}]}]}"#
        do {
            _ = try wire(text, .traceRequest)
            Issue.record("accepted")
        } catch {
            #expect(error.path == "resourceSpans[0].scopeSpans[0].spans[1].attributes[0].value.intValue")
            #expect(error.reason == .invalidNumber)
            #expect(error.offset > 90 && error.offset < text.utf8.count)
            #expect(!error.description.contains("secret"))
        }
    }

    @Test func depthIsBounded() {
        let open = "{\"arrayValue\":{\"values\":["
        func nested(_ levels: Int) -> String {
            String(repeating: open, count: levels) + "{}" + String(repeating: "]}}", count: levels)
        }
        // Each level is two messages, and there is the innermost one.
        #expect(reason(of: nested(49), .anyValue) == nil)
        #expect(reason(of: nested(50), .anyValue) == .tooDeep)
        #expect(reason(of: nested(20_000), .anyValue) == .tooDeep)
        let unknown = "{\"x\":" + String(repeating: "[", count: 100_000)
        #expect(reason(of: unknown, .anyValue) == .tooDeep)
    }

    @Test func outputIsBounded() throws {
        let text = Array(#"{"stringValue":"0123456789"}"#.utf8)
        #expect(try wire(text, .anyValue, limit: 32).count == 12)
        for limit in 0..<12 {
            do {
                _ = try wire(text, .anyValue, limit: limit)
                Issue.record("accepted with \(limit)")
            } catch {
                #expect(error.reason == .outputLimit)
            }
        }
    }

    @Test func lengthsTakeTheFewestBytes() throws {
        // Message sizes around the steps of the varint, small after large and large after small.
        for size in [0, 1, 124, 125, 126, 127, 128, 129, 16380, 16384, 17000, 5, 20000, 3] {
            let value = String(repeating: "v", count: size)
            let text = "{\"attributes\":[{\"key\":\"\(value)\"},{\"key\":\"k\"},{\"key\":\"\(value)\"}]}"
            var writer = WireWriter()
            for key in [value, "k", value] {
                let start = writer.count
                if !key.isEmpty { Array(key.utf8).withUnsafeBytes { writer.append(field: 1, bytes: $0) } }
                writer.wrap(since: start, field: 9)
            }
            #expect(try wire(text, .span) == Array(writer.bytes))
        }
    }

    private func reason(of text: String, _ message: OTLPMessage) -> OTLPJSONError.Reason? {
        do {
            _ = try wire(text, message)
            return nil
        } catch {
            return error.reason
        }
    }
}
