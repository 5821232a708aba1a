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

/// `gen_ai.cost.status`.
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

/// Cost attributes, encoded once: a span's are copies with other numbers in them. One owner.
struct CostAttributes: ~Copyable {
    private static let amountNames: [StaticString] = [
        AddedAttribute.cost, AddedAttribute.inputCost, AddedAttribute.outputCost, AddedAttribute.cacheReadCost,
        AddedAttribute.cacheWriteCost,
    ]

    private var bytes = WireWriter(capacity: 1024)
    /// Ends of the amounts in `bytes`, of which each ends with its eight bytes.
    private var ends = InlineArray<5, Int>(repeating: 0)
    /// What a call has that Martlet priced, or that came with a cost.
    private var trailers: [Range<Int>] = []
    private var statuses: [Range<Int>] = []

    /// - Parameter priceVersion: what costs of the collector are stamped with.
    init(priceVersion: String) {
        for (index, name) in Self.amountNames.enumerated() {
            bytes.append(attribute: name, .double(0))
            ends[index] = bytes.count
        }
        for source in CostSource.allCases {
            let start = bytes.count
            bytes.append(attribute: AddedAttribute.currency, .literal("USD"))
            bytes.append(attribute: AddedAttribute.source, .literal(source.name))
            if source == .collector {
                Array(priceVersion.utf8).withUnsafeBytes {
                    bytes.append(attribute: AddedAttribute.priceVersion, .text($0))
                }
            }
            bytes.append(attribute: AddedAttribute.status, .literal("priced"))
            trailers.append(start..<bytes.count)
        }
        for status in WrittenStatus.allCases {
            let start = bytes.count
            bytes.append(attribute: AddedAttribute.status, .literal(status.name))
            statuses.append(start..<bytes.count)
        }
    }

    /// The encoded status attribute. Valid as long as this value.
    func encoded(_ status: WrittenStatus) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes.bytes[statuses[status.rawValue]])
    }

    /// Writes the attributes of a call that has been priced.
    func append(_ parts: CostParts, total: Money, to writer: inout WireWriter) {
        appendAmount(0, total, to: &writer)
        appendAmount(1, parts.input + parts.audioInput, to: &writer)
        appendAmount(2, parts.allOutput, to: &writer)
        if parts.cacheRead != .zero { appendAmount(3, parts.cacheRead, to: &writer) }
        if parts.cacheWrite != .zero { appendAmount(4, parts.cacheWrite, to: &writer) }
        writer.append(UnsafeRawBufferPointer(rebasing: bytes.bytes[trailers[CostSource.collector.rawValue]]))
    }

    /// Writes the attributes of a call that came with its cost, in dollars.
    func append(reported cost: Double, _ source: CostSource, to writer: inout WireWriter) {
        appendAmount(0, cost, to: &writer)
        writer.append(UnsafeRawBufferPointer(rebasing: bytes.bytes[trailers[source.rawValue]]))
    }

    @inline(__always)
    private func appendAmount(_ index: Int, _ amount: Money, to writer: inout WireWriter) {
        appendAmount(index, amount.doubleValue, to: &writer)
    }

    @inline(__always)
    private func appendAmount(_ index: Int, _ amount: Double, to writer: inout WireWriter) {
        let start = index == 0 ? 0 : ends[index - 1]
        let size = ends[index] - start
        guard let from = bytes.base, let target = writer.appendUninitialized(size) else { return }
        memcpy(target, from + start, size)
        target.storeBytes(of: amount.bitPattern.littleEndian, toByteOffset: size - 8, as: UInt64.self)
    }
}
