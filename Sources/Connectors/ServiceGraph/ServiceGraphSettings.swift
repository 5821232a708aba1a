internal import Aggregation
internal import Config

/// What a `service_graph` section sets. Names and defaults are otelcol's.
package struct ServiceGraphSettings: Sendable {
    var latency: MetricInstrument.Kind
    /// Attributes of spans or resources that become `client_…` and `server_…`.
    var dimensions: [String]
    /// How long half an edge waits for the other, nanoseconds.
    var timeToLive: UInt64
    var maximumEdges: Int
    var expirationInterval: Duration
    /// What names the other side of a span that found none; empty for no such edges.
    var peerAttributes: [String]
    var databaseAttributes: [String]
    var labelsVirtualNodes: Bool
    /// Zero: at each batch.
    var flushInterval: Duration
    /// By how much points are older than they are, nanoseconds.
    var timestampOffset: UInt64
    /// Bytes.
    var memoryLimit: Int

    /// Upper bounds in seconds.
    static let defaultBuckets = [0.002, 0.004, 0.006, 0.008, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1, 1.4, 2, 5, 10, 15]
    /// A series without a new edge for this long is forgotten, as in otelcol: 15 minutes.
    static let seriesExpiration: UInt64 = 15 * 60 * 1_000_000_000
    private static let longest = Duration.seconds(366 * 86_400)

    init(from section: ConfigSection) {
        var bounds = Self.defaultBuckets
        let buckets = section.durationList("latency_histogram_buckets")
        if let buckets {
            bounds = buckets.map { Double($0.wholeNanoseconds) / 1e9 }
            if zip(bounds, bounds.dropFirst()).contains(where: { $0 >= $1 }) || bounds.count > 1000 {
                section.error(
                    "latency_histogram_buckets", "must be at most 1000 durations, each longer than the one before")
            }
        }
        let size = section.integer("exponential_histogram_max_size", in: 0...2000) ?? 0
        if size == 1 { section.error("exponential_histogram_max_size", "must be 0 or from 2 to 2000") }
        if size > 0, buckets != nil {
            section.error(
                "either \"latency_histogram_buckets\" or \"exponential_histogram_max_size\" may be set, not both")
        }
        latency = size > 0 ? .exponentialHistogram(maxSize: size) : .histogram(bounds: bounds)
        dimensions = section.stringList("dimensions") ?? []
        let store = section.section("store")
        timeToLive = (store.duration("ttl", in: .milliseconds(1)...Self.longest) ?? .seconds(2)).wholeNanoseconds
        maximumEdges = store.integer("max_items", in: 1...10_000_000) ?? 1000
        expirationInterval =
            section.duration("store_expiration_loop", in: .milliseconds(1)...Self.longest) ?? .seconds(2)
        peerAttributes =
            section.stringList("virtual_node_peer_attributes") ?? ["peer.service", "db.name", "db.system"]
        let database = section.nonEmptyString("database_name_attribute")
        databaseAttributes = section.stringList("database_name_attributes") ?? [database ?? "db.name"]
        labelsVirtualNodes = section.bool("virtual_node_extra_label") ?? false
        flushInterval = section.duration("metrics_flush_interval", in: .zero...Self.longest) ?? .seconds(60)
        timestampOffset =
            (section.duration("metrics_timestamp_offset", in: .zero...Self.longest) ?? .zero).wholeNanoseconds
        memoryLimit = (section.integer("memory_limit_mib", in: 1...65_536) ?? 64) << 20
        if section.duration("cache_loop", in: .zero...Self.longest) != nil {
            section.warn("cache_loop", "has no effect: stale series are forgotten at each flush")
        }
        if section.string("metrics_exporter") != nil {
            section.warn("metrics_exporter", "has no effect: the metrics go to the pipelines of this connector")
        }
    }
}
