internal import GenAI
internal import Glibc
internal import OTLP

/// Who knew a cost.
enum CostSource: Int, CaseIterable {
    case collector
    case instrumentation
    case provider

    var name: StaticString {
        switch self {
        case .collector: "collector"
        case .instrumentation: "instrumentation"
        case .provider: "provider"
        }
    }
}

/// The value of the status attribute.
enum WrittenStatus: Int, CaseIterable {
    case noModel
    case noPrice
    case noUsage
    case aggregate
    case skipped

    var name: StaticString {
        switch self {
        case .noModel: "no_model"
        case .noPrice: "no_price"
        case .noUsage: "no_usage"
        case .aggregate: "aggregate"
        case .skipped: "skipped"
        }
    }

    /// Nil for a call with a cost, and for a span that is no call.
    init?(_ status: CostStatus) {
        switch status {
        case .priced, .notBillable: return nil
        case .missingModel: self = .noModel
        case .unknownModel, .unknownPrice: self = .noPrice
        case .missingUsage, .invalidUsage: self = .noUsage
        }
    }
}

/// Further names under which costs are written, for backends that read those.
enum CostMirror: String, CaseIterable {
    /// `llm.cost.total`, `llm.cost.prompt`, `llm.cost.completion`.
    case openinference
    /// `gen_ai.usage.cost.amount`, `.currency`, `.source`, as proposed for the conventions.
    case proposal

    /// The names of all its attributes.
    var names: [String] {
        switch self {
        case .openinference: ["llm.cost.total", "llm.cost.prompt", "llm.cost.completion"]
        case .proposal: ["gen_ai.usage.cost.amount", "gen_ai.usage.cost.currency", "gen_ai.usage.cost.source"]
        }
    }
}

/// Amounts of a call, in dollars.
struct CostAmounts {
    var total: Double
    var input: Double
    var output: Double
    /// 0: none, not written.
    var cacheRead: Double
    var cacheWrite: Double
    /// Written with either of the two.
    var cacheSavings: Double
    /// All that was paid for input, cached and written tokens too; for mirrors.
    var allInput: Double
}

/// Cost attributes, encoded once: a span's are copies with other numbers in them. One owner.
struct CostAttributes: ~Copyable {
    /// Attributes side by side: where they lie, and where the eight bytes of each amount are in them, from their start.
    private struct Template {
        var bytes: Range<Int>
        /// By the order of `CostAmounts`, then the input with its cached parts; 0: not in it.
        var amounts = InlineArray<6, UInt16>(repeating: 0)
        /// Where `llm.cost.total`-like repetitions of the total are.
        var totals = InlineArray<2, UInt16>(repeating: 0)
        var outputs: UInt16 = 0
        var savings: UInt16 = 0
    }

    private var bytes = WireWriter(capacity: 4096)
    /// By whether cache reads (1) and cache writes (2) have a cost.
    private var priced: [Template] = []
    /// By source.
    private var reported: [Template] = []
    private var statuses: [Range<Int>] = []
    private var resentMark = 0..<0
    /// `CostAmounts.allInput` is written.
    let hasMirrors: Bool

    /// - Parameters:
    ///   - priceVersion: what costs of the collector are stamped with.
    init(_ names: CostAttributeNames, _ mirrors: [CostMirror], priceVersion: String) {
        hasMirrors = !mirrors.isEmpty
        for variant in 0..<4 {
            priced.append(makeTemplate(names, mirrors, .collector, parts: variant, priceVersion))
        }
        for source in CostSource.allCases {
            reported.append(makeTemplate(names, mirrors, source, parts: nil, priceVersion))
        }
        for status in WrittenStatus.allCases {
            let start = bytes.count
            append(names[.status], .literal(status.name))
            statuses.append(start..<bytes.count)
        }
        let start = bytes.count
        append(names[.resent], .bool(true))
        resentMark = start..<bytes.count
    }

    /// The encoded attribute of a span that came before. Valid as long as this value.
    var resent: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes.bytes[resentMark]) }

    private mutating func append(_ name: String, _ content: AttributeContent) {
        guard !name.isEmpty else { return }
        Array(name.utf8).withUnsafeBytes { bytes.append(field: WireWriter.spanAttributes, key: $0, content) }
    }

    /// - Parameter parts: nil for a cost of which only the total is known.
    private mutating func makeTemplate(
        _ names: CostAttributeNames, _ mirrors: [CostMirror], _ source: CostSource, parts: Int?,
        _ priceVersion: String
    ) -> Template {
        let start = bytes.count
        var template = Template(bytes: start..<start)
        func place(_ name: String, _ writer: inout WireWriter) -> UInt16 {
            guard !name.isEmpty else { return 0 }
            Array(name.utf8).withUnsafeBytes {
                writer.append(field: WireWriter.spanAttributes, key: $0, .double(0))
            }
            return UInt16(writer.count - start - 8)
        }
        template.amounts[0] = place(names[.cost], &bytes)
        if let parts {
            template.amounts[1] = place(names[.input], &bytes)
            template.amounts[2] = place(names[.output], &bytes)
            if parts & 1 != 0 { template.amounts[3] = place(names[.cacheRead], &bytes) }
            if parts & 2 != 0 { template.amounts[4] = place(names[.cacheWrite], &bytes) }
            if parts != 0 { template.savings = place(names[.cacheSavings], &bytes) }
        }
        if mirrors.contains(.openinference) {
            template.totals[0] = place("llm.cost.total", &bytes)
            if parts != nil {
                template.amounts[5] = place("llm.cost.prompt", &bytes)
                template.outputs = place("llm.cost.completion", &bytes)
            }
        }
        if mirrors.contains(.proposal) {
            template.totals[1] = place("gen_ai.usage.cost.amount", &bytes)
            append("gen_ai.usage.cost.currency", .literal("USD"))
            append("gen_ai.usage.cost.source", .literal(source == .provider ? "provider" : "local"))
        }
        append(names[.currency], .literal("USD"))
        append(names[.source], .literal(source.name))
        if source == .collector {
            Array(priceVersion.utf8).withUnsafeBytes { append(names[.priceVersion], .text($0)) }
        }
        append(names[.status], .literal("priced"))
        template.bytes = start..<bytes.count
        return template
    }

    /// The encoded status attribute. Valid as long as this value.
    func encoded(_ status: WrittenStatus) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes.bytes[statuses[status.rawValue]])
    }

    /// Writes the attributes of a call that has been priced.
    @inline(__always)
    func append(_ amounts: CostAmounts, to writer: inout WireWriter) {
        let variant = (amounts.cacheRead > 0 ? 1 : 0) | (amounts.cacheWrite > 0 ? 2 : 0)
        append(priced[variant], amounts, to: &writer)
    }

    /// Writes the attributes of a call that came with its cost, in dollars.
    func append(reported cost: Double, _ source: CostSource, to writer: inout WireWriter) {
        let amounts = CostAmounts(
            total: cost, input: 0, output: 0, cacheRead: 0, cacheWrite: 0, cacheSavings: 0, allInput: 0)
        append(reported[source.rawValue], amounts, to: &writer)
    }

    @inline(__always)
    private func append(_ template: Template, _ amounts: CostAmounts, to writer: inout WireWriter) {
        guard let from = bytes.base, let target = writer.appendUninitialized(template.bytes.count) else { return }
        memcpy(target, from + template.bytes.lowerBound, template.bytes.count)
        Self.store(amounts.total, at: template.amounts[0], target)
        Self.store(amounts.input, at: template.amounts[1], target)
        Self.store(amounts.output, at: template.amounts[2], target)
        Self.store(amounts.cacheRead, at: template.amounts[3], target)
        Self.store(amounts.cacheWrite, at: template.amounts[4], target)
        Self.store(amounts.cacheSavings, at: template.savings, target)
        guard template.totals[0] | template.totals[1] != 0 else { return }
        Self.store(amounts.allInput, at: template.amounts[5], target)
        Self.store(amounts.total, at: template.totals[0], target)
        Self.store(amounts.total, at: template.totals[1], target)
        Self.store(amounts.output, at: template.outputs, target)
    }

    @inline(__always)
    private static func store(_ amount: Double, at place: UInt16, _ target: UnsafeMutableRawPointer) {
        guard place != 0 else { return }
        target.storeBytes(of: amount.bitPattern.littleEndian, toByteOffset: Int(place), as: UInt64.self)
    }
}
