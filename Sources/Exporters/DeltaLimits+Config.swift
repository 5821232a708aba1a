package import Config
internal import Pipeline
package import Temporality

extension DeltaLimits {
    /// Reads `delta_to_cumulative` of an exporter that takes cumulative metrics only: `enabled`, which is true, and the
    /// keys of the `deltatocumulative` processor. Nil when it is off. Streams that find no room are summed in a series
    /// of their metric.
    ///
    /// - Parameter stale: the default of `max_stale`.
    package init?(exporter section: ConfigSection, stale: Duration = Self.defaultStale) {
        let section = section.section("delta_to_cumulative")
        let isEnabled = section.bool("enabled") ?? true
        self.init(from: section, overflow: .series)
        if section.node("max_stale")?.isNull ?? true { maximumStale = stale }
        if !isEnabled { return nil }
    }
}
