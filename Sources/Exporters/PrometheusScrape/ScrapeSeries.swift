internal import Prometheus
internal import Temporality

/// A metric as it is shown: what its lines have in common.
struct ScrapeFamily {
    let name: [UInt8]
    var type: MetricType
    var help: [UInt8]
    var unit: [UInt8]
    /// `target_info`, which OpenMetrics has as an info metric.
    let isTargetInfo: Bool
    /// Label sets of it that are kept.
    var children = 0

    init(_ family: MetricFamily) {
        name = family.name
        type = family.type
        help = family.help
        unit = family.unit
        isTargetInfo = family.number == 0
    }
}

/// An exemplar, written as it is shown in OpenMetrics.
struct ScrapeExemplar {
    /// The bucket it belongs to, or 0.
    var part: Int
    var text: [UInt8]
}

/// The latest point of one label set.
struct ScrapeChild {
    enum Form: UInt8 {
        case value
        case histogram
        case summary
    }

    let key: StreamHash
    var family: Int
    /// When it was last written, in ticks of the store.
    var updated: UInt32
    var form = Form.value
    var hasSum = false
    /// The series has ended; it may begin again.
    var isHidden = false
    /// A label name is not of the legacy character set.
    let hasQuotedNames: Bool
    /// Milliseconds since 1970.
    var timestamp: Int64
    /// Milliseconds since 1970; 0 is unknown.
    var start: Int64 = 0
    /// The value, or the sum.
    var value = 0.0
    var count = 0.0
    /// Number of the bounds or quantiles that `parts` belong to.
    var bounds = -1
    /// Buckets, cumulative, or values of quantiles.
    var parts: [Double] = []
    var exemplars: [ScrapeExemplar] = []
    /// `name="value"`, with commas between, escaped.
    let labels: [UInt8]

    /// What `ScrapeStore.seriesCount` holds of it.
    var counted = 0

    /// Time series that it is.
    var series: Int { form == .value ? 1 : parts.count + (hasSum ? 2 : 1) }
}

/// The bounds of histograms, or the quantiles of summaries, as label values. Many label sets have the same.
struct ScrapeBounds {
    /// Each followed by a line feed.
    let joined: [UInt8]
    let texts: [[UInt8]]

    init(_ joined: [UInt8]) {
        self.joined = joined
        texts = joined.split(separator: 0x0A).map(Array.init)
    }
}
