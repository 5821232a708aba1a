internal import Config
internal import NIOCore
internal import OTLP
internal import Telemetry
internal import Transport

/// Serves Martlet's own metrics for Prometheus to scrape.
struct MetricsService: HTTPService {
    let registry: MetricRegistry

    func admit(_ head: HTTPHead, length: Int?) -> HTTPAdmission {
        guard head.method == "GET" || head.method == "HEAD" else {
            return .answer(.text(405, "405 method not allowed, supported: [GET]\n", headers: [("Allow", "GET, HEAD")]))
        }
        guard head.path == "/metrics" else { return .answer(.text(404, "404 page not found; see /metrics\n")) }
        return .body(limit: 1024, lease: nil)
    }

    func respond(to head: HTTPHead, body: WireBytes, responder: HTTPResponder) {
        responder.send(
            HTTPAnswer(
                status: 200, headers: [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")],
                body: Array(registry.prometheusText().utf8)))
    }
}
