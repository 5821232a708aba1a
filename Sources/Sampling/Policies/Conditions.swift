/// Which conditions hold, one bit for each.
package typealias ConditionBits = SIMD4<UInt64>

extension ConditionBits {
    /// Most conditions of one processor.
    static let capacity = 256

    @inline(__always)
    mutating func insert(_ condition: Int) { self[condition >> 6] |= 1 << UInt64(condition & 63) }

    @inline(__always)
    func contains(_ condition: Int) -> Bool { self[condition >> 6] & (1 << UInt64(condition & 63)) != 0 }

    @inline(__always)
    var isEmpty: Bool { self == ConditionBits() }

    /// Whether all bits of `other` are set.
    @inline(__always)
    func isSuperset(of other: ConditionBits) -> Bool { self & other == other }
}

/// A yes-or-no question about one span, which policies ask of any span of a trace.
enum SpanCondition: Sendable {
    /// An attribute of the span or of its resource.
    case attribute(AttributeTest)
    case status(StatusCodes)
    case traceState(key: [UInt8], values: [[UInt8]])
    case sampledFlag
    /// The span's own duration in whole milliseconds; see `PolicyRule.latency`.
    case duration(threshold: Int64, upper: Int64?)
}

/// Conditions that must hold together, on one span.
struct SpanGroup: Sendable {
    var required = ConditionBits()
    var excluded = ConditionBits()
    var isRoot: Bool
}

/// A number that is gathered over the spans of a trace.
struct TraceNumber: Sendable {
    var function: AggregateSpec.Function
    /// Texts that count; empty is all values.
    var values: [[UInt8]]
    /// A sum of what calls used or cost: spans that repeat the usage of others do not count.
    var isUsage = false
}

/// All that policies want to know about a trace, put together so that one pass over its spans answers it.
struct FactsPlan: Sendable {
    /// An attribute that somebody asks about.
    struct Key: Sendable {
        let name: [UInt8]
        /// Conditions about it, with what they test.
        var tests: [(condition: Int, test: CompiledTest)] = []
        /// Indices of `numbers`.
        var numbers: [Int] = []
        /// Slots of adaptive keys that it is a part of.
        var keySlots: [Int] = []
    }

    enum CompiledTest: Sendable {
        case text([[UInt8]])
        case pattern([TextPattern])
        case bool(Bool)
        case number(minimum: Int64?, maximum: Int64?)
    }

    private(set) var keys: [Key] = []
    /// Bit n: there is a key of n bytes; bit 63 stands for longer ones too.
    private(set) var lengths: UInt64 = 0
    /// Conditions about anything but attributes.
    private(set) var headers: [(condition: Int, test: SpanCondition)] = []
    private(set) var groups: [SpanGroup] = []
    private(set) var numbers: [TraceNumber] = []
    /// Indices of the numbers that are sums of usage.
    private(set) var usage: [Int] = []
    private static let usagePrefixes = ["gen_ai.usage.", "gen_ai.cost."].map { Array($0.utf8) }
    /// Attributes whose values make adaptive keys, by slot.
    private(set) var keySlots = 0
    private(set) var conditions = 0

    /// What the program's probabilities need: the trace state of each span is read.
    var readsSampling = false

    var sumsUsage: Bool { !usage.isEmpty }
    var wantsAttributes: Bool { !keys.isEmpty }

    /// Adds a condition and returns its number; nil when there are too many.
    mutating func add(_ condition: SpanCondition) -> Int? {
        guard conditions < ConditionBits.capacity else { return nil }
        let number = conditions
        conditions += 1
        guard case .attribute(let test) = condition else {
            headers.append((number, condition))
            return number
        }
        let compiled: CompiledTest =
            switch test.test {
            case .text(let values): .text(values.map { Array($0.utf8) })
            case .pattern(let patterns): .pattern(patterns)
            case .bool(let value): .bool(value)
            case .number(let minimum, let maximum): .number(minimum: minimum, maximum: maximum)
            }
        keys[key(test.key)].tests.append((number, compiled))
        return number
    }

    /// Adds a group and returns its number; nil when there are more than 64.
    mutating func add(_ group: SpanGroup) -> Int? {
        guard groups.count < 64 else { return nil }
        groups.append(group)
        return groups.count - 1
    }

    /// Adds a number over the trace and returns its index.
    mutating func add(_ number: TraceNumber, of field: String) -> Int {
        numbers.append(number)
        if number.function == .sum, Self.usagePrefixes.contains(where: { field.utf8.starts(with: $0) }) {
            numbers[numbers.count - 1].isUsage = true
            usage.append(numbers.count - 1)
        }
        keys[key(field)].numbers.append(numbers.count - 1)
        return numbers.count - 1
    }

    /// Adds a part of an adaptive key and returns its slot.
    mutating func addKeySlot(_ field: String) -> Int {
        keys[key(field)].keySlots.append(keySlots)
        keySlots += 1
        return keySlots - 1
    }

    private mutating func key(_ name: String) -> Int {
        let bytes = Array(name.utf8)
        if let known = keys.firstIndex(where: { $0.name == bytes }) { return known }
        keys.append(Key(name: bytes))
        lengths |= 1 << UInt64(min(bytes.count, 63))
        return keys.count - 1
    }
}
