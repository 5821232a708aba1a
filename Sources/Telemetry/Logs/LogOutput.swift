internal import Glibc
package import Logging
internal import Synchronization

/// How log lines look: otelcol's `service.telemetry.logs.encoding`.
package enum LogEncoding: String, Sendable {
    /// Time, level, logger, message and fields, separated by tabs.
    case console
    /// One JSON object a line.
    case json
}

/// A swift-log handler that writes structured lines to standard error, one `write` a line.
package struct LineLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var logLevel: Logger.Level
    private let label: String
    private let encoding: LogEncoding

    package init(label: String, level: Logger.Level, encoding: LogEncoding) {
        self.label = label
        self.logLevel = level
        self.encoding = encoding
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var line = line(for: event, at: timestamp())
        line.withUTF8 { bytes in
            // A log line that standard error does not take is lost: there is nowhere left to report it.
            _ = write(STDERR_FILENO, bytes.baseAddress, bytes.count)
        }
    }

    /// The text of one event, with its line end.
    func line(for event: LogEvent, at time: String) -> String {
        var fields = metadata.merging(event.metadata ?? [:]) { $1 }
        if let error = event.error, fields["error"] == nil { fields["error"] = "\(error)" }
        switch encoding {
        case .console: return consoleLine(event, fields, time) + "\n"
        case .json: return jsonLine(event, fields, time) + "\n"
        }
    }

    private func consoleLine(_ event: LogEvent, _ fields: Logger.Metadata, _ time: String) -> String {
        var line =
            "\(time)\t\(event.level.rawValue)\t\(escaped(label))\t\(escaped("\(event.message)", keeping: "\n\t"))"
        guard !fields.isEmpty else { return line }
        line += "\t{"
        line += sorted(fields).map { "\(quoted($0.0)): \(quoted($0.1))" }.joined(separator: ", ")
        return line + "}"
    }

    private func jsonLine(_ event: LogEvent, _ fields: Logger.Metadata, _ time: String) -> String {
        var line = "{\"ts\":\"\(time)\",\"level\":\"\(event.level.rawValue)\",\"logger\":\(quoted(label))"
        line += ",\"msg\":\(quoted("\(event.message)"))"
        for (key, value) in sorted(fields) {
            // A key twice in an object is read differently by each reader.
            line += ",\(quoted(Self.ownKeys.contains(key) ? key + "_" : key)):\(quoted(value))"
        }
        return line + "}"
    }

    /// The keys that every JSON line has; a field of that name gets a `_` behind it.
    private static let ownKeys: Set<String> = ["ts", "level", "logger", "msg"]

    private func sorted(_ fields: Logger.Metadata) -> [(String, String)] {
        fields.sorted { $0.key < $1.key }.map { ($0.key, "\($0.value)") }
    }

    private func quoted(_ text: String) -> String { "\"\(escaped(text, quotes: true))\"" }

    /// Text without control characters, which could forge lines or steer a terminal; they become JSON's escapes.
    ///
    /// - Parameter kept: control characters that stay. A message may have several lines for people: it is written by
    ///   the program, and what others wrote goes into fields.
    private func escaped(_ text: String, quotes: Bool = false, keeping kept: String = "") -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case _ where kept.unicodeScalars.contains(scalar): result.unicodeScalars.append(scalar)
            case "\"" where quotes: result += "\\\""
            case "\\" where quotes: result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
                let hex = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

/// Wall-clock time, UTC, RFC 3339 with milliseconds.
package func timestamp() -> String {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    var parts = tm()
    var seconds = now.tv_sec
    gmtime_r(&seconds, &parts)
    func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let date =
        "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
    let time = "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))"
    return "\(date)T\(time).\(padded(now.tv_nsec / 1_000_000, 3))Z"
}
