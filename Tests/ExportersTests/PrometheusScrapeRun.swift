import Config
import OTLP
import Pipeline
import Prometheus
import TestSupport

@testable import Exporters

/// What a scraper sees of the metrics that were given, with a clock of its own.
final class ScrapeRun {
    let settings: PrometheusExporterSettings
    let scrape: PrometheusScrape
    let clock = SteppedClock()
    private(set) var report = TranslationReport()
    /// Points that the store rejected, by `ScrapeRejection`.
    private(set) var rejections = [0, 0]

    init(_ yaml: String = "without_scope_info: true") throws {
        let root = try ConfigLoader().load(configs: ["yaml:section: {endpoint: '127.0.0.1:0', \(yaml)}"]).root
        let section = ConfigSection(root["section"] ?? root, path: "exporters::prometheus")
        settings = PrometheusExporterSettings(from: section)
        try section.finish()
        let clock = clock
        scrape = PrometheusScrape(settings, clock: { clock.now }, wallClock: { 1_000_000 })
    }

    /// Takes metrics, given as OTLP JSON, of one resource and scope.
    func take(_ metrics: String..., service: String = "") throws {
        let resource = service.isEmpty ? "" : "\"resource\":{\"attributes\":[\(attribute("service.name", service))]},"
        let json =
            "{\"resourceMetrics\":[{\(resource)\"scopeMetrics\":[{\"metrics\":[\(metrics.joined(separator: ","))]}]}]}"
        var writer = WireWriter()
        try Array(json.utf8).withUnsafeBytes { try OTLPJSONDecoder.decode($0, as: .metricsRequest, into: &writer) }
        let batch = try TelemetryBatch(WireBytes(taking: &writer), signal: .metrics)
        let request = ExportRequest(signal: .metrics, slices: [BatchSlice(batch)], timeout: .seconds(1))
        let (report, rejections) = scrape.take(request)
        self.report = report
        self.rejections = rejections
    }

    /// The lines of a scrape with this `Accept`.
    func lines(_ accept: String = "") -> [String] {
        let format = ScrapeFormat.negotiated(accept: [accept], offersOpenMetrics: settings.offersOpenMetrics)
        let text = String(decoding: scrape.text(format), as: UTF8.self)
        return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }

    /// The lines of samples.
    func samples(_ accept: String = "") -> [String] { lines(accept).filter { !$0.hasPrefix("#") } }
}

func attribute(_ key: String, _ value: String) -> String {
    "{\"key\":\"\(key)\",\"value\":{\"stringValue\":\"\(value)\"}}"
}

/// A data point as OTLP JSON; times are in milliseconds.
func point(_ fields: String, _ attributes: [(String, String)] = [], start: Int = 0, time: Int = 2000) -> String {
    let list = attributes.map { attribute($0.0, $0.1) }.joined(separator: ",")
    return """
        {"startTimeUnixNano":"\(start * 1_000_000)","timeUnixNano":"\(time * 1_000_000)","attributes":[\(list)],\(fields)}
        """
}

func gauge(_ name: String, _ points: String..., unit: String = "") -> String {
    """
    {"name":"\(name)","unit":"\(unit)","description":"A \\"gauge\\"\\nof \\\\","gauge":{"dataPoints":[\(points.joined(separator: ","))]}}
    """
}

func counter(_ name: String, _ points: String..., unit: String = "") -> String {
    """
    {"name":"\(name)","unit":"\(unit)","sum":{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":[\(points.joined(separator: ","))]}}
    """
}

func histogram(_ name: String, _ points: String..., kind: String = "histogram") -> String {
    """
    {"name":"\(name)","unit":"s","\(kind)":{"aggregationTemporality":2,"dataPoints":[\(points.joined(separator: ","))]}}
    """
}
