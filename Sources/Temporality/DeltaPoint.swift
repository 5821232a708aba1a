internal import OTLP

/// The kinds of metrics that have a temporality; the raw value is the field of `Metric`.
package enum DeltaKind: UInt32, Sendable {
    case sum = 7
    case histogram = 9
    case exponentialHistogram = 10

    /// Field numbers of a data point that do not depend on what it has counted.
    var attributesField: UInt32 {
        switch self {
        case .sum: 7
        case .histogram: 9
        case .exponentialHistogram: 1
        }
    }

    /// The fields, as bits, that a cumulative point has others of: start and whatever was counted.
    var replacedFields: UInt32 {
        switch self {
        case .sum: 1 << 2 | 1 << 4 | 1 << 6
        case .histogram: 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 11 | 1 << 12
        case .exponentialHistogram:
            1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 12 | 1 << 13 | 1 << 14
        }
    }

    fileprivate var flagsField: UInt32 { self == .sum ? 8 : 10 }
}

/// A data point taken apart. The arrays keep their memory from one point to the next.
struct DeltaPoint: ~Copyable {
    /// What a sum's point holds.
    enum Number {
        case none
        case int(Int64)
        case double(Double)
    }

    var start: UInt64 = 0
    var time: UInt64 = 0
    var attributes = StreamHash()
    var number = Number.none
    var histogram = HistogramValue()
    /// NO_RECORDED_VALUE: the point says that there is none.
    var hasNoValue = false
    private var bounds = WireWriter()
    private var boundCount = 0

    /// Reads an encoded point.
    ///
    /// - Returns: false for one that is malformed or that no SDK may write: without a value, with a NaN as its value,
    ///   with a number of buckets that does not fit the bounds.
    mutating func read(_ bytes: UnsafeRawBufferPointer, _ kind: DeltaKind, _ hasher: StreamHasher) -> Bool {
        start = 0
        time = 0
        attributes = StreamHash()
        number = .none
        hasNoValue = false
        histogram.removeAll()
        bounds.removeAll()
        boundCount = 0
        let attributesField = kind.attributesField
        let flagsField = kind.flagsField
        var fields = WireFields(bytes)
        while let field = fields.next() {
            if field.number == attributesField, field.type == .lengthDelimited {
                attributes.add(hasher.hash(field.payload))
            } else if field.number == 2, field.type == .fixed64 {
                start = field.bits
            } else if field.number == 3, field.type == .fixed64 {
                time = field.bits
            } else if field.number == flagsField, field.type == .varint {
                hasNoValue = field.bits & 1 != 0
            } else {
                read(field, kind)
            }
        }
        return !fields.isMalformed && isValid(kind, hasher)
    }

    private mutating func isValid(_ kind: DeltaKind, _ hasher: StreamHasher) -> Bool {
        if hasNoValue { return true }
        switch kind {
        case .sum:
            switch number {
            case .none: return false
            case .int: return true
            case .double(let value): return !value.isNaN
            }
        case .histogram:
            let buckets = histogram.positive.counts.count
            guard !bounds.overflowed, buckets == boundCount + 1 || buckets == 0 && boundCount == 0 else {
                return false
            }
            histogram.boundsHash = hasher.hash(bounds.bytes).low
        case .exponentialHistogram:
            if !histogram.zeroThreshold.isFinite || histogram.zeroThreshold < 0 { return false }
            histogram.normalizeExponential()
        }
        return true
    }

    private mutating func read(_ field: WireField, _ kind: DeltaKind) {
        switch kind {
        case .sum:
            if field.type != .fixed64 { return }
            if field.number == 4 { number = .double(Double(bitPattern: field.bits)) }
            if field.number == 6 { number = .int(Int64(bitPattern: field.bits)) }
        case .histogram:
            switch field.number {
            case 6: Self.readFixed(field) { histogram.positive.append($0) }
            case 7:
                Self.readFixed(field) {
                    bounds.append(fixed64: $0)
                    boundCount += 1
                }
            case 11: histogram.minimum = Double(bitPattern: field.bits)
            case 12: histogram.maximum = Double(bitPattern: field.bits)
            default: readTotals(field)
            }
        case .exponentialHistogram:
            switch field.number {
            case 6: histogram.scale = Int32(truncatingIfNeeded: Self.signed(field.bits))
            case 7: histogram.zeroCount = field.bits
            case 8: Self.readBuckets(field.payload, &histogram.positive)
            case 9: Self.readBuckets(field.payload, &histogram.negative)
            case 12: histogram.minimum = Double(bitPattern: field.bits)
            case 13: histogram.maximum = Double(bitPattern: field.bits)
            case 14: histogram.zeroThreshold = Double(bitPattern: field.bits)
            default: readTotals(field)
            }
        }
    }

    private mutating func readTotals(_ field: WireField) {
        guard field.type == .fixed64 else { return }
        if field.number == 4 { histogram.count = field.bits }
        if field.number == 5 { histogram.sum = Double(bitPattern: field.bits) }
    }

    /// The numbers of a repeated fixed64 field, packed or not.
    private static func readFixed(_ field: WireField, _ body: (UInt64) -> Void) {
        if field.type == .fixed64 { return body(field.bits) }
        var position = 0
        while position + 8 <= field.payload.count {
            body(UInt64(littleEndian: field.payload.loadUnaligned(fromByteOffset: position, as: UInt64.self)))
            position += 8
        }
    }

    /// A `Buckets` message; several of them are one after the other, as protobuf has it.
    private static func readBuckets(_ message: UnsafeRawBufferPointer, _ buckets: inout ExponentialBuckets) {
        var fields = WireFields(message)
        while let field = fields.next() {
            if field.number == 1, field.type == .varint {
                buckets.start(at: Int32(truncatingIfNeeded: signed(field.bits)))
            } else if field.number == 2, field.type == .varint {
                buckets.append(field.bits)
            } else if field.number == 2, field.type == .lengthDelimited {
                var counts = PackedVarints(field.payload)
                while let count = counts.next() { buckets.append(count) }
            }
        }
    }

    /// The number that a sint32 stands for.
    private static func signed(_ bits: UInt64) -> Int64 {
        let bits = UInt32(truncatingIfNeeded: bits)
        return Int64(Int32(bitPattern: bits >> 1) ^ -Int32(bitPattern: bits & 1))
    }
}
