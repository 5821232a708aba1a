internal import Pipeline
internal import Sampling

/// The present state of a tail sampler as a JSON object, for `GET /debug/sampling`. Of what telemetry says it shows only
/// the keys of adaptive policies.
struct TailStatus {
    /// Where it is shown.
    static let path = "/debug/sampling"
    /// Keys of each adaptive policy that are shown.
    private static let maximumKeys = 100

    private var text = "{"

    init(_ buffer: TailBuffer, _ metrics: TailSamplingMetrics, _ policies: PolicyCounters, _ program: PolicyProgram) {
        let held = buffer.status
        add("traces", "\(held.traces)")
        add("maximum_traces", "\(held.maximumTraces)")
        add("bytes", "\(held.bytes)")
        add("maximum_bytes", "\(held.maximumBytes)")
        add("oldest_seconds", "\(held.oldest)")
        add("kept_bytes_waiting", "\(held.waiting)")
        add("shards", "\(buffer.shardCount)")
        let decisions = metrics.decisions.filter { $0.count > 0 }.map { "\"\($0.trigger.name)\":\($0.count)" }
        add("decisions", "{" + decisions.joined(separator: ",") + "}")
        let said = policies.said.map { policy in
            "{\"policy\":" + StatusPages.quoted(policy.policy) + ",\"sampled\":\(policy.sampled)"
                + ",\"not_sampled\":\(policy.notSampled),\"dropped\":\(policy.dropped)}"
        }
        add("policies", "[" + said.joined(separator: ",") + "]")
        let adaptive = program.adaptiveReports(limit: Self.maximumKeys).map(Self.object)
        add("adaptive", "[" + adaptive.joined(separator: ",") + "]")
        text += "}"
    }

    var json: String { text }

    private mutating func add(_ name: StaticString, _ value: String) {
        if text.utf8.count > 1 { text += "," }
        text += "\"\(name)\":" + value
    }

    private static func object(_ report: AdaptiveReport) -> String {
        let keys = report.keys.map { key in
            "{\"key\":" + StatusPages.quoted(key.name) + ",\"amount\":\(key.amount),\"share\":"
                + (key.share.map { "\($0)" } ?? "null") + "}"
        }
        return "{\"policy\":" + StatusPages.quoted(report.policy.joined(separator: "/"))
            + ",\"unit\":\"\(report.unit.rawValue)\",\"key_count\":\(report.count),\"keys\":["
            + keys.joined(separator: ",") + "]}"
    }
}
