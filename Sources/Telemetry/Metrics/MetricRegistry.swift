import Synchronization

/// Martlet's own metrics, by name and labels, and their Prometheus text form.
///
/// Thread-safe. Instruments are made at start and kept by whoever counts; the registry's lock is only taken to
/// register and to scrape.
package final class MetricRegistry: Sendable {
    package typealias Labels = [(name: String, value: String)]

    fileprivate enum Source: Sendable {
        case counter(Counter)
        case reading(@Sendable () -> Double)
        case text(@Sendable () -> String)
        case histogram(Histogram)
    }

    fileprivate struct Series: Sendable {
        var labels: String
        var source: Source
    }

    fileprivate struct Family: Sendable {
        var help: String
        var type: String
        var series: [Series] = []
    }

    private let families = Mutex<[String: Family]>([:])

    package init() {}

    /// A counter; the same name and labels give the same counter. `name` is without the `_total` suffix.
    package func counter(_ name: String, help: String, labels: Labels = []) -> Counter {
        let rendered = Self.render(labels)
        return families.withLock { families in
            var family = families[name + "_total"] ?? Family(help: help, type: "counter")
            for series in family.series where series.labels == rendered {
                if case .counter(let known) = series.source { return known }
            }
            let counter = Counter()
            family.series.append(Series(labels: rendered, source: .counter(counter)))
            families[name + "_total"] = family
            return counter
        }
    }

    /// A value that is read at each scrape; replaces an earlier one of the same name and labels. `read` runs on the
    /// scraping thread and must not block.
    package func gauge(
        _ name: String, help: String, labels: Labels = [], read: @escaping @Sendable () -> Double
    ) {
        register(name, help: help, type: "gauge", labels: labels, source: .reading(read))
    }

    /// A growing value that somebody else counts, read at each scrape. `name` is without the `_total` suffix.
    package func counter(
        _ name: String, help: String, labels: Labels = [], read: @escaping @Sendable () -> Double
    ) {
        register(name + "_total", help: help, type: "counter", labels: labels, source: .reading(read))
    }

    /// A growing value that is printed as it is read: decimals that a Double does not hold. `read` must return a number
    /// in Prometheus' text form; see `gauge` for its thread. `name` is without the `_total` suffix.
    package func counter(
        _ name: String, help: String, labels: Labels = [], decimal read: @escaping @Sendable () -> String
    ) {
        register(name + "_total", help: help, type: "counter", labels: labels, source: .text(read))
    }

    /// A histogram; the same name and labels give the same one.
    package func histogram(_ name: String, help: String, bounds: [Double], labels: Labels = []) -> Histogram {
        let rendered = Self.render(labels)
        return families.withLock { families in
            var family = families[name] ?? Family(help: help, type: "histogram")
            for series in family.series where series.labels == rendered {
                if case .histogram(let known) = series.source { return known }
            }
            let histogram = Histogram(bounds: bounds)
            family.series.append(Series(labels: rendered, source: .histogram(histogram)))
            families[name] = family
            return histogram
        }
    }

    private func register(_ name: String, help: String, type: String, labels: Labels, source: Source) {
        let rendered = Self.render(labels)
        families.withLock { families in
            var family = families[name] ?? Family(help: help, type: type)
            family.series.removeAll { $0.labels == rendered }
            family.series.append(Series(labels: rendered, source: source))
            families[name] = family
        }
    }

    /// What is registered at one moment; instruments go on counting.
    package struct Snapshot: Sendable {
        fileprivate let families: [String: Family]
    }

    package func snapshot() -> Snapshot { Snapshot(families: families.withLock { $0 }) }

    /// Forgets what was registered since, and has what was replaced since back.
    package func restore(_ snapshot: Snapshot) { families.withLock { $0 = snapshot.families } }

    /// Removes all series that have this label, such as those of a component that is gone. Its counters begin at 0 when
    /// they are registered again.
    package func remove(label name: String, value: String) {
        let label = Self.render([(name, value)])
        families.withLock { families in
            for (name, family) in families {
                var left = family
                left.series.removeAll { $0.labels.split(separator: ",").contains { $0 == label } }
                if left.series.count < family.series.count { families[name] = left.series.isEmpty ? nil : left }
            }
        }
    }

    /// All metrics in the Prometheus text format 0.0.4, families in order of name.
    package func prometheusText() -> String {
        let snapshot = families.withLock { $0 }
        var text = ""
        for (name, family) in snapshot.sorted(by: { $0.key < $1.key }) {
            text += "# HELP \(name) \(Self.escape(family.help, quotes: false))\n# TYPE \(name) \(family.type)\n"
            for series in family.series { Self.write(series, name, into: &text) }
        }
        return text
    }

    private static func write(_ series: Series, _ name: String, into text: inout String) {
        switch series.source {
        case .counter(let counter):
            text += "\(name)\(braced(series.labels)) \(counter.value)\n"
        case .reading(let read):
            text += "\(name)\(braced(series.labels)) \(number(read()))\n"
        case .text(let read):
            text += "\(name)\(braced(series.labels)) \(read())\n"
        case .histogram(let histogram):
            let (counts, sum) = histogram.snapshot
            let prefix = series.labels.isEmpty ? "" : series.labels + ","
            var running = 0
            for (index, count) in counts.enumerated() {
                running += count
                let bound = index < histogram.bounds.count ? number(histogram.bounds[index]) : "+Inf"
                text += "\(name)_bucket{\(prefix)le=\"\(bound)\"} \(running)\n"
            }
            text += "\(name)_sum\(braced(series.labels)) \(number(sum))\n"
            text += "\(name)_count\(braced(series.labels)) \(running)\n"
        }
    }

    private static func braced(_ labels: String) -> String { labels.isEmpty ? "" : "{\(labels)}" }

    /// A whole number without a fraction, as Prometheus' own client prints it.
    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int(value)) }
        return "\(value)"
    }

    private static func render(_ labels: Labels) -> String {
        labels.map { "\(labelName($0.name))=\"\(escape($0.value, quotes: true))\"" }.joined(separator: ",")
    }

    /// A valid label name: what is no letter, digit or `_` becomes `_`. Names may come from a configuration.
    private static func labelName(_ name: String) -> String {
        var valid = ""
        for scalar in name.unicodeScalars {
            let isDigit = ("0"..."9").contains(scalar)
            if isDigit, valid.isEmpty { valid = "_" }
            let isValid = isDigit || ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
            valid.unicodeScalars.append(isValid ? scalar : "_")
        }
        return valid.isEmpty ? "_" : valid
    }

    /// By scalar: a Character such as CR LF holds a line feed that a comparison of Characters does not see.
    private static func escape(_ value: String, quotes: Bool) -> String {
        var escaped = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\"" where quotes: escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
