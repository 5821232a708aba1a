/// The messages that have a JSON form here. Raw values index the codec's tables.
package enum OTLPMessage: UInt8, Sendable, CaseIterable {
    // Roots.
    case traceRequest, metricsRequest, logsRequest
    case traceResponse, metricsResponse, logsResponse
    /// google.rpc.Status as JSON presents it: a detail is an object with `@type`. It has no wire form of its own.
    case statusText
    // Envelopes.
    case resourceSpans, resourceMetrics, resourceLogs
    case scopeSpans, scopeMetrics, scopeLogs
    case resource, scope, entityReference
    // Values.
    case keyValue, anyValue, arrayValue, keyValueList
    // Traces.
    case span, spanEvent, spanLink, spanStatus
    // Logs.
    case logRecord
    // Metrics.
    case metric, gauge, sum, histogram, exponentialHistogram, summary
    case numberDataPoint, histogramDataPoint, exponentialHistogramDataPoint, summaryDataPoint
    case buckets, valueAtQuantile, exemplar
    // Responses.
    case tracePartialSuccess, metricsPartialSuccess, logsPartialSuccess
    case statusDetailText
}

extension OTLPMessage {
    /// The fields, by the tables of opentelemetry-proto. Development fields of profiles (string-table indices) are
    /// left out: elsewhere they carry nothing.
    var fieldDescriptions: [JSONFieldDescription] {
        switch self {
        case .traceRequest: [.message(1, "resourceSpans", .resourceSpans, .repeated)]
        case .metricsRequest: [.message(1, "resourceMetrics", .resourceMetrics, .repeated)]
        case .logsRequest: [.message(1, "resourceLogs", .resourceLogs, .repeated)]
        case .resourceSpans: Self.resourceGroup("scopeSpans", .scopeSpans)
        case .resourceMetrics: Self.resourceGroup("scopeMetrics", .scopeMetrics)
        case .resourceLogs: Self.resourceGroup("scopeLogs", .scopeLogs)
        case .scopeSpans: Self.scopeGroup("spans", .span)
        case .scopeMetrics: Self.scopeGroup("metrics", .metric)
        case .scopeLogs: Self.scopeGroup("logRecords", .logRecord)
        case .resource, .scope, .entityReference, .keyValue, .anyValue, .arrayValue, .keyValueList: commonFields
        case .span, .spanEvent, .spanLink, .spanStatus: traceFields
        case .logRecord: Self.logRecordFields
        case .metric, .gauge, .sum, .histogram, .exponentialHistogram, .summary: metricFields
        case .numberDataPoint, .histogramDataPoint, .exponentialHistogramDataPoint, .summaryDataPoint, .buckets,
            .valueAtQuantile, .exemplar:
            dataPointFields
        case .traceResponse: [.message(1, "partialSuccess", .tracePartialSuccess)]
        case .metricsResponse: [.message(1, "partialSuccess", .metricsPartialSuccess)]
        case .logsResponse: [.message(1, "partialSuccess", .logsPartialSuccess)]
        case .tracePartialSuccess: Self.partialSuccess("rejectedSpans")
        case .metricsPartialSuccess: Self.partialSuccess("rejectedDataPoints")
        case .logsPartialSuccess: Self.partialSuccess("rejectedLogRecords")
        case .statusText:
            [
                .field(1, "code", .int32), .field(2, "message", .string),
                .message(3, "details", .statusDetailText, .repeated),
            ]
        case .statusDetailText: [.field(1, "@type", .string), .field(2, "retryDelay", .string)]
        }
    }

    private static func resourceGroup(_ scopes: StaticString, _ scope: OTLPMessage) -> [JSONFieldDescription] {
        [.message(1, "resource", .resource), .message(2, scopes, scope, .repeated), .field(3, "schemaUrl", .string)]
    }

    private static func scopeGroup(_ items: StaticString, _ item: OTLPMessage) -> [JSONFieldDescription] {
        [.message(1, "scope", .scope), .message(2, items, item, .repeated), .field(3, "schemaUrl", .string)]
    }

    private static func partialSuccess(_ rejected: StaticString) -> [JSONFieldDescription] {
        [.field(1, rejected, .int64), .field(2, "errorMessage", .string)]
    }

    private var commonFields: [JSONFieldDescription] {
        switch self {
        case .resource:
            [
                .message(1, "attributes", .keyValue, .repeated), .field(2, "droppedAttributesCount", .uint32),
                .message(3, "entityRefs", .entityReference, .repeated),
            ]
        case .scope:
            [
                .field(1, "name", .string), .field(2, "version", .string),
                .message(3, "attributes", .keyValue, .repeated), .field(4, "droppedAttributesCount", .uint32),
            ]
        case .entityReference:
            [
                .field(1, "schemaUrl", .string), .field(2, "type", .string),
                .field(3, "idKeys", .string, .repeated), .field(4, "descriptionKeys", .string, .repeated),
            ]
        case .keyValue: [.field(1, "key", .string), .message(2, "value", .anyValue)]
        case .anyValue:
            [
                .field(1, "stringValue", .string, .oneof), .field(2, "boolValue", .bool, .oneof),
                .field(3, "intValue", .int64, .oneof), .field(4, "doubleValue", .double, .oneof),
                .message(5, "arrayValue", .arrayValue, .oneof), .message(6, "kvlistValue", .keyValueList, .oneof),
                .field(7, "bytesValue", .bytes, .oneof),
            ]
        case .arrayValue: [.message(1, "values", .anyValue, .repeated)]
        case .keyValueList: [.message(1, "values", .keyValue, .repeated)]
        default: []
        }
    }

    private var traceFields: [JSONFieldDescription] {
        switch self {
        case .span:
            [
                .field(1, "traceId", .identifier), .field(2, "spanId", .identifier),
                .field(3, "traceState", .string), .field(4, "parentSpanId", .identifier),
                .field(5, "name", .string), .enumeration(6, "kind", .spanKind),
                .field(7, "startTimeUnixNano", .fixed64), .field(8, "endTimeUnixNano", .fixed64),
                .message(9, "attributes", .keyValue, .repeated), .field(10, "droppedAttributesCount", .uint32),
                .message(11, "events", .spanEvent, .repeated), .field(12, "droppedEventsCount", .uint32),
                .message(13, "links", .spanLink, .repeated), .field(14, "droppedLinksCount", .uint32),
                .message(15, "status", .spanStatus), .field(16, "flags", .fixed32),
            ]
        case .spanEvent:
            [
                .field(1, "timeUnixNano", .fixed64), .field(2, "name", .string),
                .message(3, "attributes", .keyValue, .repeated), .field(4, "droppedAttributesCount", .uint32),
            ]
        case .spanLink:
            [
                .field(1, "traceId", .identifier), .field(2, "spanId", .identifier),
                .field(3, "traceState", .string), .message(4, "attributes", .keyValue, .repeated),
                .field(5, "droppedAttributesCount", .uint32), .field(6, "flags", .fixed32),
            ]
        case .spanStatus: [.field(2, "message", .string), .enumeration(3, "code", .statusCode)]
        default: []
        }
    }

    private static var logRecordFields: [JSONFieldDescription] {
        [
            .field(1, "timeUnixNano", .fixed64), .enumeration(2, "severityNumber", .severityNumber),
            .field(3, "severityText", .string), .message(5, "body", .anyValue),
            .message(6, "attributes", .keyValue, .repeated), .field(7, "droppedAttributesCount", .uint32),
            .field(8, "flags", .fixed32), .field(9, "traceId", .identifier), .field(10, "spanId", .identifier),
            .field(11, "observedTimeUnixNano", .fixed64), .field(12, "eventName", .string),
        ]
    }

    private var metricFields: [JSONFieldDescription] {
        let temporality = JSONFieldDescription.enumeration(2, "aggregationTemporality", .aggregationTemporality)
        return switch self {
        case .metric:
            [
                .field(1, "name", .string), .field(2, "description", .string), .field(3, "unit", .string),
                .message(5, "gauge", .gauge, .oneof), .message(7, "sum", .sum, .oneof),
                .message(9, "histogram", .histogram, .oneof),
                .message(10, "exponentialHistogram", .exponentialHistogram, .oneof),
                .message(11, "summary", .summary, .oneof), .message(12, "metadata", .keyValue, .repeated),
            ]
        case .gauge: [.message(1, "dataPoints", .numberDataPoint, .repeated)]
        case .sum:
            [.message(1, "dataPoints", .numberDataPoint, .repeated), temporality, .field(3, "isMonotonic", .bool)]
        case .histogram: [.message(1, "dataPoints", .histogramDataPoint, .repeated), temporality]
        case .exponentialHistogram:
            [.message(1, "dataPoints", .exponentialHistogramDataPoint, .repeated), temporality]
        case .summary: [.message(1, "dataPoints", .summaryDataPoint, .repeated)]
        default: []
        }
    }

    private var dataPointFields: [JSONFieldDescription] {
        let times: [JSONFieldDescription] = [
            .field(2, "startTimeUnixNano", .fixed64), .field(3, "timeUnixNano", .fixed64),
        ]
        let count = JSONFieldDescription.field(4, "count", .fixed64)
        return switch self {
        case .numberDataPoint:
            times + [
                .field(4, "asDouble", .double, .oneof), .message(5, "exemplars", .exemplar, .repeated),
                .field(6, "asInt", .sfixed64, .oneof), .message(7, "attributes", .keyValue, .repeated),
                .field(8, "flags", .uint32),
            ]
        case .histogramDataPoint:
            times + [
                count, .field(5, "sum", .double, .optional), .field(6, "bucketCounts", .fixed64, .repeated),
                .field(7, "explicitBounds", .double, .repeated), .message(8, "exemplars", .exemplar, .repeated),
                .message(9, "attributes", .keyValue, .repeated), .field(10, "flags", .uint32),
                .field(11, "min", .double, .optional), .field(12, "max", .double, .optional),
            ]
        case .exponentialHistogramDataPoint:
            times + [
                .message(1, "attributes", .keyValue, .repeated), count, .field(5, "sum", .double, .optional),
                .field(6, "scale", .sint32), .field(7, "zeroCount", .fixed64), .message(8, "positive", .buckets),
                .message(9, "negative", .buckets), .field(10, "flags", .uint32),
                .message(11, "exemplars", .exemplar, .repeated), .field(12, "min", .double, .optional),
                .field(13, "max", .double, .optional), .field(14, "zeroThreshold", .double),
            ]
        case .summaryDataPoint:
            times + [
                count, .field(5, "sum", .double), .message(6, "quantileValues", .valueAtQuantile, .repeated),
                .message(7, "attributes", .keyValue, .repeated), .field(8, "flags", .uint32),
            ]
        case .buckets: [.field(1, "offset", .sint32), .field(2, "bucketCounts", .uint64, .repeated)]
        case .valueAtQuantile: [.field(1, "quantile", .double), .field(2, "value", .double)]
        case .exemplar:
            [
                .field(2, "timeUnixNano", .fixed64), .field(3, "asDouble", .double, .oneof),
                .field(4, "spanId", .identifier), .field(5, "traceId", .identifier),
                .field(6, "asInt", .sfixed64, .oneof), .message(7, "filteredAttributes", .keyValue, .repeated),
            ]
        default: []
        }
    }
}
