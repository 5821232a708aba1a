internal import Config
internal import NIOCore
internal import OTLP
internal import Pipeline
internal import Telemetry
internal import Transport

/// Serves Martlet's own metrics for Prometheus to scrape, and to the same machine the components' pages.
struct MetricsService: HTTPService {
    let registry: MetricRegistry
    let pages: StatusPages

    func admit(_ head: HTTPHead, length: Int?) -> HTTPAdmission {
        guard head.method == "GET" || head.method == "HEAD" else {
            return .answer(.text(405, "405 method not allowed, supported: [GET]\n", headers: [("Allow", "GET, HEAD")]))
        }
        if isPage(head) { return .body(limit: 1024, lease: nil) }
        guard head.path == "/metrics" else { return .answer(.text(404, "404 page not found; see /metrics\n")) }
        return .body(limit: 1024, lease: nil)
    }

    private func isPage(_ head: HTTPHead) -> Bool { head.path.utf8.starts(with: "/debug/".utf8) && isLocal(head) }

    /// Whether the request comes from the same machine.
    private func isLocal(_ head: HTTPHead) -> Bool {
        guard let client = head.client?.utf8 else { return false }
        return client.elementsEqual("::1".utf8) || client.starts(with: "127.".utf8)
            || client.starts(with: "::ffff:127.".utf8)
    }

    func respond(to head: HTTPHead, body: WireBytes, responder: HTTPResponder) {
        if isPage(head) {
            guard let page = pages.page(head.path) else { return responder.send(.text(404, "404 page not found\n")) }
            return responder.send(
                HTTPAnswer(status: 200, headers: [("Content-Type", "application/json")], body: Array(page.utf8)))
        }
        responder.send(
            HTTPAnswer(
                status: 200, headers: [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")],
                body: Array(registry.prometheusText().utf8)))
    }
}
