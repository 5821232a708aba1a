internal import OTLP

/// The stored form: optional doubles by a mask of flags, everything that counts as varints. Most buckets of most
/// histograms hold little, so they take one or two bytes.
extension HistogramValue {
    private enum Part {
        static let sum: UInt8 = 1
        static let minimum: UInt8 = 2
        static let maximum: UInt8 = 4
        static let exponential: UInt8 = 8
        static let threshold: UInt8 = 16
    }

    /// Writes the stored form.
    func store(isExponential: Bool, into writer: inout WireWriter) {
        var parts: UInt8 = isExponential ? Part.exponential : 0
        if sum != nil { parts |= Part.sum }
        if minimum != nil { parts |= Part.minimum }
        if maximum != nil { parts |= Part.maximum }
        if zeroThreshold != 0 { parts |= Part.threshold }
        writer.append(byte: parts)
        writer.append(varint: count)
        for number in [sum, minimum, maximum] {
            if let number { writer.append(fixed64: number.bitPattern) }
        }
        guard isExponential else {
            writer.append(fixed64: boundsHash)
            Self.store(positive, into: &writer)
            return
        }
        if zeroThreshold != 0 { writer.append(fixed64: zeroThreshold.bitPattern) }
        writer.append(varint: zeroCount)
        writer.append(varint: UInt64(bitPattern: Int64(scale)))
        Self.store(positive, into: &writer)
        Self.store(negative, into: &writer)
    }

    private static func store(_ buckets: ExponentialBuckets, into writer: inout WireWriter) {
        writer.append(varint: UInt64(buckets.counts.count))
        writer.append(varint: zigZag(buckets.offset))
        for count in buckets.counts { writer.append(varint: count) }
    }

    /// Reads what was stored in a `StoredBlock`; whatever follows it there does not matter.
    mutating func load(_ block: UnsafeMutableRawPointer) {
        removeAll()
        let bytes = StoredBlock.bytes(block)
        guard let base = bytes.baseAddress else { return }
        var cursor = StoredCursor(base.assumingMemoryBound(to: UInt8.self), count: bytes.count)
        let parts = cursor.byte()
        count = cursor.varint()
        if parts & Part.sum != 0 { sum = cursor.double() }
        if parts & Part.minimum != 0 { minimum = cursor.double() }
        if parts & Part.maximum != 0 { maximum = cursor.double() }
        guard parts & Part.exponential != 0 else {
            boundsHash = cursor.double().bitPattern
            cursor.buckets(&positive)
            return
        }
        if parts & Part.threshold != 0 { zeroThreshold = cursor.double() }
        zeroCount = cursor.varint()
        scale = Int32(truncatingIfNeeded: cursor.varint())
        cursor.buckets(&positive)
        cursor.buckets(&negative)
    }

    /// Small numbers of either sign as small numbers.
    static func zigZag(_ number: Int64) -> UInt64 { UInt64(bitPattern: (number << 1) ^ (number >> 63)) }
}

/// Reads what `store` wrote; a fault, which cannot be, reads as zero.
private struct StoredCursor {
    private var at: UnsafePointer<UInt8>
    private let end: UnsafePointer<UInt8>

    init(_ base: UnsafePointer<UInt8>, count: Int) {
        at = base
        end = base + count
    }

    mutating func byte() -> UInt8 {
        guard at < end else { return 0 }
        defer { at += 1 }
        return at.pointee
    }

    @inline(__always)
    mutating func varint() -> UInt64 {
        guard at < end else { return 0 }
        let first = at.pointee
        at += 1
        return first < 0x80 ? UInt64(first) : longVarint(first)
    }

    @inline(never)
    private mutating func longVarint(_ first: UInt8) -> UInt64 {
        var value = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        while at < end, shift < 64 {
            let byte = at.pointee
            at += 1
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
        return 0
    }

    mutating func double() -> Double {
        guard end - at >= 8 else { return 0 }
        defer { at += 8 }
        return Double(bitPattern: UInt64(littleEndian: UnsafeRawPointer(at).loadUnaligned(as: UInt64.self)))
    }

    mutating func buckets(_ buckets: inout ExponentialBuckets) {
        let count = varint()
        let offset = varint()
        buckets.start(at: Int32(truncatingIfNeeded: Int64(offset >> 1) ^ -Int64(offset & 1)))
        guard count <= UInt64(end - at) else { return }
        for _ in 0..<count { buckets.append(varint()) }
    }
}
