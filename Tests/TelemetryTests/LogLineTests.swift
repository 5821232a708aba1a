import Logging
import Testing

@testable import Telemetry

/// Lines as they are written, without the time.
@Suite struct LogLineTests {
    private func line(
        _ encoding: LogEncoding, _ message: String, _ fields: Logger.Metadata? = nil, level: Logger.Level = .warning,
        label: String = "receiver/otlp", own: Logger.Metadata = [:]
    ) -> String {
        var handler = LineLogHandler(label: label, level: .info, encoding: encoding)
        handler.metadata = own
        let event = LogEvent(
            level: level, message: "\(message)", error: nil, metadata: fields, source: "s", file: "f", function: "g",
            line: 1)
        return handler.line(for: event, at: "2026-01-02T03:04:05.678Z")
    }

    @Test func console() {
        #expect(line(.console, "hello") == "2026-01-02T03:04:05.678Z\twarning\treceiver/otlp\thello\n")
        let fields: Logger.Metadata = ["port": "4318", "endpoint": "127.0.0.1:4318"]
        #expect(
            line(.console, "started", fields).hasSuffix(
                "\tstarted\t{\"endpoint\": \"127.0.0.1:4318\", \"port\": \"4318\"}\n"))
    }

    @Test func json() {
        #expect(
            line(.json, "say \"hi\"", ["a": "b\\c"], level: .error)
                == #"{"ts":"2026-01-02T03:04:05.678Z","level":"error","logger":"receiver/otlp","msg":"say \"hi\"","a":"b\\c"}"#
                + "\n")
    }

    @Test func controlCharactersCannotForgeLines() {
        let evil = "a\nb\r\nc\u{0}\u{1b}[31m\td\u{7f}\u{85}\u{2028}"
        for encoding in [LogEncoding.console, .json] {
            let text = line(encoding, "m", ["key\n": .string(evil)], label: "exporter/\nx")
            #expect(text.unicodeScalars.filter { $0 == "\n" }.count == 1)
            #expect(text.unicodeScalars.last == "\n")
            let forbidden = text.unicodeScalars.dropLast().filter {
                $0.properties.generalCategory == .control && $0 != "\t"
            }
            #expect(forbidden.isEmpty)
        }
        #expect(line(.json, evil).contains(#""msg":"a\nb\r\nc\u0000\u001b[31m\td\u007f\u0085"#))
    }

    @Test func messagesOfSeveralLinesStayReadable() {
        #expect(line(.console, "one\n\ttwo\r\u{1b}[1m").hasSuffix("\tone\n\ttwo\\r\\u001b[1m\n"))
    }

    @Test func fieldsOfTheCallGoBeforeTheLoggers() {
        let text = line(.json, "m", ["k": "call"], own: ["k": "logger", "other": "1"])
        #expect(text.contains(#""k":"call","other":"1""#))
    }

    @Test func nestedFieldsAreText() {
        let text = line(.json, "m", ["list": ["a", "b"], "map": ["x": "1"]])
        #expect(text.contains(#""list":"[\"a\", \"b\"]""#) || text.contains(#""list":"[a, b]""#))
    }

    @Test func jsonLinesHaveNoSecondKeyOfAReservedName() {
        let text = line(.json, "m", ["msg": "forged", "level": "forged"])
        #expect(text.contains("\"msg\":\"m\""))
        #expect(!text.contains("\"msg\":\"forged\""))
        #expect(!text.contains("\"level\":\"forged\""))
        #expect(text.contains("forged"))
    }

    @Test func timeIsRFC3339() {
        let text = timestamp()
        #expect(text.utf8.count == 24)
        #expect(text.hasSuffix("Z") && text.dropFirst(10).first == "T")
    }
}
