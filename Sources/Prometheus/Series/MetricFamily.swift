/// Prometheus' types of metrics; the raw value is that of remote write's metadata.
package enum MetricType: UInt8, Sendable {
    case unknown = 0
    case counter = 1
    case gauge = 2
    case histogram = 3
    case gaugeHistogram = 4
    case summary = 5
    case info = 6
    case stateSet = 7
}

/// One metric as Prometheus knows it: the translated name, and what is told about it.
///
/// Made once for each combination of OTLP name, unit, description and kind, and kept by the translator, so that the
/// same metric is mostly the same object. Immutable for sinks; belongs to the translator's thread.
package final class MetricFamily {
    /// Dense from 0; the same until the translator says `namesChanged`.
    package let number: Int
    /// Translated, with its suffixes; of histograms and summaries without `_sum` and the like.
    package let name: [UInt8]
    /// The type to announce.
    package let type: MetricType
    /// The description, as it came.
    package let help: [UInt8]
    /// The unit in words, such as `bytes_per_second`; empty when there is none.
    package let unit: [UInt8]

    /// Name, unit, description and kind, as `FamilyTable` compares them.
    let key: [UInt8]
    /// Shared by all families of one translated name.
    let conflict: TypeConflict
    /// The family's name, then `_bucket`, `_count`, `_sum` after a copy each.
    private let names: UnsafeMutablePointer<UInt8>
    private let nameCount: Int

    /// The type that a name was used with first, in the resource of the moment.
    final class TypeConflict {
        var resource = -1
        var type = MetricType.unknown
    }

    private static let suffixes: [StaticString] = ["_sum", "_count", "_bucket"]
    private static let longestSuffix = 7

    init(
        number: Int, name: [UInt8], type: MetricType, help: [UInt8], unit: [UInt8], key: [UInt8],
        conflict: TypeConflict
    ) {
        self.number = number
        self.name = name
        self.type = type
        self.help = help
        self.unit = unit
        self.key = key
        self.conflict = conflict
        nameCount = name.count
        let stride = nameCount + Self.longestSuffix
        names = .allocate(capacity: stride * (Self.suffixes.count + 1))
        names.initialize(repeating: 0, count: stride * (Self.suffixes.count + 1))
        for copy in 0...Self.suffixes.count {
            for (offset, byte) in name.enumerated() { names[copy * stride + offset] = byte }
        }
        for (index, suffix) in Self.suffixes.enumerated() {
            let at = names + ((index + 1) * stride + nameCount)
            for offset in 0..<suffix.utf8CodeUnitCount { at[offset] = suffix.utf8Start[offset] }
        }
    }

    deinit { names.deallocate() }

    /// The `__name__` of a series of this family; valid as long as the family.
    func seriesName(_ role: SeriesRole) -> (base: UnsafePointer<UInt8>, count: UInt32) {
        let stride = nameCount + Self.longestSuffix
        switch role {
        case .value, .quantile, .info: return (UnsafePointer(names), UInt32(nameCount))
        case .sum: return (UnsafePointer(names + stride), UInt32(nameCount + 4))
        case .count: return (UnsafePointer(names + 2 * stride), UInt32(nameCount + 6))
        case .bucket: return (UnsafePointer(names + 3 * stride), UInt32(nameCount + 7))
        }
    }
}
