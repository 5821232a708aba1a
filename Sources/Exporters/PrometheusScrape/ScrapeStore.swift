internal import OTLP
internal import Prometheus
internal import Temporality

/// Why a point is not shown, beside what the translator says.
enum ScrapeRejection: Int, CaseIterable {
    /// Another type has the name.
    case typeConflict
    /// There is no room for its series.
    case seriesLimit

    var label: String {
        switch self {
        case .typeConflict: "type_conflict"
        case .seriesLimit: "series_limit"
        }
    }
}

/// The latest point of every label set, as a translator gives them. One owner; not thread-safe.
///
/// A family takes the type of its first metric; others under its name are rejected as long as it has label sets.
final class ScrapeStore: SeriesSink {
    private(set) var families: [ScrapeFamily] = []
    private(set) var children: [ScrapeChild] = []
    private(set) var bounds: [ScrapeBounds] = []
    /// Time series of all label sets.
    private(set) var seriesCount = 0
    /// Points that were not taken, by `ScrapeRejection`.
    private(set) var rejections = [Int](repeating: 0, count: ScrapeRejection.allCases.count)
    private var familyPositions: [[UInt8]: Int] = [:]
    /// By `MetricFamily.number`; -1 is unknown.
    private var familyNumbers: [Int] = []
    private var positions: [StreamHash: Int] = [:]
    private var boundsPositions: [[UInt8]: Int] = [:]
    private var boundsBytes = 0
    private var labelBytes = 0
    /// Families without a label set, as of the last look.
    private var idleFamilies: [Int] = []
    private let hasher: StreamHasher
    private let maximumSeries: Int
    private let keepsExemplars: Bool
    private var tick: UInt32 = 0

    // The point of several series that is being put together.
    private var family = 0
    private var takesFamily = false
    private var openChild: Int?
    private var isOpen = false
    private var openRole = SeriesRole.value
    private var isStale = false
    private var openParts: [Double] = []
    private var openBounds: [UInt8] = []
    private var openExemplars: [ScrapeExemplar] = []

    /// Bytes of different bounds and quantiles that are known: 4 MiB, thousands of them.
    private static let maximumBoundsBytes = 4 << 20
    /// Bytes of labels for each series that may be, on average.
    private static let labelBytesPerSeries = 1024

    init(maximumSeries: Int, keepsExemplars: Bool, using generator: inout some RandomNumberGenerator) {
        self.maximumSeries = maximumSeries
        self.keepsExemplars = keepsExemplars
        hasher = StreamHasher(using: &generator)
    }

    /// Sets the time of the points to come.
    func begin(at tick: UInt32) { self.tick = tick }

    /// Ends the last point of a translation.
    func finish() {
        close()
        takesFamily = false
    }

    // MARK: Taking

    func namesChanged() { familyNumbers.removeAll(keepingCapacity: true) }

    func begin(_ family: MetricFamily) {
        close()
        if family.number < familyNumbers.count, familyNumbers[family.number] >= 0 {
            self.family = familyNumbers[family.number]
        } else {
            self.family = position(of: family)
            while familyNumbers.count <= family.number { familyNumbers.append(-1) }
            familyNumbers[family.number] = self.family
        }
        let known = families[self.family]
        if known.children == 0 { families[self.family].type = family.type }
        takesFamily = families[self.family].type == family.type
    }

    private func position(of family: MetricFamily) -> Int {
        if let known = familyPositions[family.name] { return known }
        while let idle = idleFamilies.popLast() {
            // No label set has its number: another family may have it.
            guard families[idle].children == 0 else { continue }
            familyPositions[families[idle].name] = nil
            families[idle] = ScrapeFamily(family)
            familyPositions[family.name] = idle
            familyNumbers.removeAll(keepingCapacity: true)
            return idle
        }
        families.append(ScrapeFamily(family))
        familyPositions[family.name] = families.count - 1
        return families.count - 1
    }

    func sample(_ point: SeriesPoint, _ value: Double) {
        switch point.role {
        case .value, .info:
            close()
            let isStale = StaleMarker.isStale(value)
            guard let position = child(point, isStale: isStale) else { return }
            if isStale { return hide(position) }
            setValueForm(at: position)
            children[position].value = value
            if keepsExemplars { children[position].exemplars = exemplars(point, part: 0) }
        case .sum, .count:
            if point.role == .sum || !isOpen || openRole != .sum {
                close()
                open(point, isStale: StaleMarker.isStale(value))
            }
            openRole = point.role
            guard let position = openChild, !isStale else { return }
            if point.role == .sum {
                children[position].value = value
                children[position].hasSum = true
            } else {
                children[position].count = value
            }
        case .bucket, .quantile:
            openRole = point.role
            guard isOpen, openChild != nil, !isStale else { return }
            guard let label = point.labels.first(where: { Self.isBound($0, point.role) }) else { return }
            if keepsExemplars { openExemplars += exemplars(point, part: openParts.count) }
            openParts.append(value)
            openBounds.append(contentsOf: label.text)
            openBounds.append(0x0A)
        }
    }

    func histogram(_ point: SeriesPoint, _ histogram: NativeHistogram) {
        close()
        open(point, isStale: StaleMarker.isStale(histogram.sum))
        guard let position = openChild, !isStale else { return close() }
        children[position].value = histogram.sum
        children[position].hasSum = true
        children[position].count = Double(histogram.count)
        openParts.append(Double(histogram.count))
        openBounds.append(contentsOf: "+Inf\n".utf8)
        close()
    }

    private static func isBound(_ label: SeriesLabel, _ role: SeriesRole) -> Bool {
        role == .bucket ? label.name.elementsEqual("le".utf8) : label.name.elementsEqual("quantile".utf8)
    }

    private func open(_ point: SeriesPoint, isStale: Bool) {
        isOpen = true
        self.isStale = isStale
        openChild = child(point, isStale: isStale)
        openParts.removeAll(keepingCapacity: true)
        openBounds.removeAll(keepingCapacity: true)
        openExemplars.removeAll(keepingCapacity: true)
        if let openChild, !isStale { children[openChild].hasSum = false }
    }

    /// Ends the point that is being put together.
    private func close() {
        guard isOpen else { return }
        isOpen = false
        guard let position = openChild else { return }
        openChild = nil
        if isStale { return hide(position) }
        let isSummary = families[children[position].family].type == .summary
        children[position].form = isSummary ? .summary : .histogram
        let growth = openParts.count - children[position].parts.count
        if seriesCount + max(0, growth) > maximumSeries || !setBounds(at: position) {
            // No room for the buckets: what was counted in all is still right.
            openParts = isSummary ? [] : openParts.suffix(1)
            openBounds = isSummary ? [] : Array("+Inf\n".utf8)
            openExemplars = []
            children[position].bounds = boundsPositions[openBounds] ?? addBounds()
        }
        children[position].parts.removeAll(keepingCapacity: true)
        children[position].parts.append(contentsOf: openParts)
        children[position].exemplars = openExemplars
        recount(position)
    }

    /// False when there are too many different bounds.
    private func setBounds(at position: Int) -> Bool {
        let known = children[position].bounds
        if known >= 0, known < bounds.count, bounds[known].joined == openBounds { return true }
        if let known = boundsPositions[openBounds] {
            children[position].bounds = known
            return true
        }
        guard boundsBytes + openBounds.count <= Self.maximumBoundsBytes else { return false }
        children[position].bounds = addBounds()
        return true
    }

    private func addBounds() -> Int {
        bounds.append(ScrapeBounds(openBounds))
        boundsPositions[openBounds] = bounds.count - 1
        boundsBytes += openBounds.count
        return bounds.count - 1
    }

    private func setValueForm(at position: Int) {
        guard children[position].form != .value else { return }
        children[position].form = .value
        children[position].parts = []
        recount(position)
    }

    private func recount(_ position: Int) {
        let series = children[position].series
        seriesCount += series - children[position].counted
        children[position].counted = series
    }

    private func exemplars(_ point: SeriesPoint, part: Int) -> [ScrapeExemplar] {
        // The newest one: a line shows one.
        guard let exemplar = point.exemplars.max(by: { $0.timestamp < $1.timestamp }) else { return [] }
        var text = ScrapeText()
        text.put(exemplar)
        return [ScrapeExemplar(part: part, text: text.bytes)]
    }

    // MARK: Label sets

    /// The label set of a point, with its time set; nil when the point is not taken.
    private func child(_ point: SeriesPoint, isStale: Bool) -> Int? {
        guard takesFamily else {
            reject(.typeConflict, point)
            return nil
        }
        var key = hasher.join(StreamHash(), UInt64(family))
        for label in point.labels where !Self.isName(label) {
            key = hasher.join(key, hasher.join(hasher.hash(label.name), hasher.hash(label.text)))
        }
        if let known = positions[key] {
            // Of points in disorder the latest stays.
            guard children[known].isHidden || point.timestamp >= children[known].timestamp else { return nil }
            children[known].timestamp = point.timestamp
            children[known].start = point.start
            children[known].updated = tick
            children[known].isHidden = false
            return known
        }
        if isStale { return nil }
        guard seriesCount < maximumSeries, labelBytes < maximumSeries * Self.labelBytesPerSeries else {
            reject(.seriesLimit, point)
            return nil
        }
        return insert(key, point)
    }

    private func reject(_ reason: ScrapeRejection, _ point: SeriesPoint) {
        // `target_info` is no data point.
        if point.role != .info { rejections[reason.rawValue] += 1 }
    }

    private func insert(_ key: StreamHash, _ point: SeriesPoint) -> Int {
        var text = ScrapeText(capacity: 128)
        var hasQuotedNames = false
        for label in point.labels where !Self.isName(label) {
            let isQuoted = !ScrapeName.isLegacy(label.name)
            if isQuoted { hasQuotedNames = true }
            if !text.bytes.isEmpty { text.put(",") }
            text.put(label: label.name, label.text, isQuoted: isQuoted)
        }
        let child = ScrapeChild(
            key: key, family: family, updated: tick, hasQuotedNames: hasQuotedNames, timestamp: point.timestamp,
            start: point.start, labels: Array(text.bytes))
        labelBytes += child.labels.count
        children.append(child)
        positions[key] = children.count - 1
        families[family].children += 1
        recount(children.count - 1)
        return children.count - 1
    }

    private static func isName(_ label: SeriesLabel) -> Bool {
        label.name.count == 8 && label.name.elementsEqual("__name__".utf8)
    }

    private func hide(_ position: Int) {
        children[position].isHidden = true
    }

    /// Forgets label sets that have ended or that were not written since `oldest`. Positions change.
    func expire(before oldest: UInt32) {
        var position = children.count
        while position > 0 {
            position -= 1
            if children[position].isHidden || children[position].updated < oldest { remove(at: position) }
        }
        if children.isEmpty {
            bounds = []
            boundsPositions = [:]
            boundsBytes = 0
        }
        idleFamilies = families.indices.filter { families[$0].children == 0 }
    }

    private func remove(at position: Int) {
        let child = children[position]
        seriesCount -= child.counted
        labelBytes -= child.labels.count
        families[child.family].children -= 1
        positions[child.key] = nil
        let last = children.removeLast()
        if position < children.count {
            children[position] = last
            positions[last.key] = position
        }
    }
}
