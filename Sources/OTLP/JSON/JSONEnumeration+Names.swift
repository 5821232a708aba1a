extension JSONEnumeration {
    /// The number of an enum's value by its full name in the schema. OTLP JSON has numbers only; some senders write
    /// names all the same.
    func number(named text: JSONStringToken) -> UInt32? {
        switch self {
        case .none: nil
        case .spanKind: Self.number(of: text, in: Self.spanKinds)
        case .statusCode: Self.number(of: text, in: Self.statusCodes)
        case .aggregationTemporality: Self.number(of: text, in: Self.temporalities)
        case .severityNumber: Self.number(of: text, in: Self.severities)
        }
    }

    private static func number(of text: JSONStringToken, in names: [StaticString]) -> UInt32? {
        // No name starts with a digit, and most senders write digits.
        guard text.count > 0, text.start.pointee == UInt8(ascii: "S") || text.start.pointee == UInt8(ascii: "A") else {
            return nil
        }
        return names.firstIndex { text.equals($0) }.map { UInt32($0) }
    }

    private static let spanKinds: [StaticString] = [
        "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER",
        "SPAN_KIND_CONSUMER",
    ]

    private static let statusCodes: [StaticString] = [
        "STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR",
    ]

    private static let temporalities: [StaticString] = [
        "AGGREGATION_TEMPORALITY_UNSPECIFIED", "AGGREGATION_TEMPORALITY_DELTA", "AGGREGATION_TEMPORALITY_CUMULATIVE",
    ]

    private static let severities: [StaticString] = [
        "SEVERITY_NUMBER_UNSPECIFIED", "SEVERITY_NUMBER_TRACE", "SEVERITY_NUMBER_TRACE2", "SEVERITY_NUMBER_TRACE3",
        "SEVERITY_NUMBER_TRACE4", "SEVERITY_NUMBER_DEBUG", "SEVERITY_NUMBER_DEBUG2", "SEVERITY_NUMBER_DEBUG3",
        "SEVERITY_NUMBER_DEBUG4", "SEVERITY_NUMBER_INFO", "SEVERITY_NUMBER_INFO2", "SEVERITY_NUMBER_INFO3",
        "SEVERITY_NUMBER_INFO4", "SEVERITY_NUMBER_WARN", "SEVERITY_NUMBER_WARN2", "SEVERITY_NUMBER_WARN3",
        "SEVERITY_NUMBER_WARN4", "SEVERITY_NUMBER_ERROR", "SEVERITY_NUMBER_ERROR2", "SEVERITY_NUMBER_ERROR3",
        "SEVERITY_NUMBER_ERROR4", "SEVERITY_NUMBER_FATAL", "SEVERITY_NUMBER_FATAL2", "SEVERITY_NUMBER_FATAL3",
        "SEVERITY_NUMBER_FATAL4",
    ]
}
