internal import OTLP

/// The fields of a metric that its family depends on. Slices of the request.
struct MetricIdentity {
    var name = UnsafeRawBufferPointer.nothing
    var unit = UnsafeRawBufferPointer.nothing
    var description = UnsafeRawBufferPointer.nothing
    var kind = NamingKind.other
    var type = MetricType.unknown
}

/// Families by what makes them, translated once. Numbers are dense from 0 until `removeAll`.
struct FamilyTable: ~Copyable {
    /// Families from which on the table begins anew with the next request.
    static let softLimit = 4096
    /// Bytes of keys from which on it does.
    static let softBytes = 2 << 20
    /// Families that one request may bring it to.
    static let hardLimit = 65_536

    private let namer: MetricNamer
    private var families: [MetricFamily] = []
    private var conflicts: [[UInt8]: MetricFamily.TypeConflict] = [:]
    private var slots = [UInt32](repeating: 0, count: 256)
    private var keyBytes = 0
    private var keyBuffer: [UInt8] = []
    /// The family of `target_info`.
    private(set) var targetInfo: MetricFamily

    init(_ namer: MetricNamer) {
        self.namer = namer
        targetInfo = Self.makeTargetInfo(namer)
        families = [targetInfo]
    }

    var isOverSoftLimit: Bool { families.count > Self.softLimit || keyBytes > Self.softBytes }

    mutating func removeAll() {
        targetInfo = Self.makeTargetInfo(namer)
        families = [targetInfo]
        conflicts = [:]
        slots = [UInt32](repeating: 0, count: 256)
        keyBytes = 0
    }

    /// The family of a metric.
    /// - Throws: `.invalidMetricName`, or `.tooManyNames` at the hard limit.
    mutating func family(_ identity: MetricIdentity) throws(FamilyError) -> MetricFamily {
        keyBuffer.removeAll(keepingCapacity: true)
        keyBuffer.append(identity.kind.rawValue << 4 | identity.type.rawValue)
        for part in [identity.name, identity.unit, identity.description] {
            withUnsafeBytes(of: UInt32(truncatingIfNeeded: part.count)) { keyBuffer.append(contentsOf: $0) }
            keyBuffer.append(contentsOf: part)
        }
        let hash = Self.hash(keyBuffer)
        let mask = slots.count - 1
        var position = Int(truncatingIfNeeded: hash) & mask
        while slots[position] != 0 {
            let family = families[Int(slots[position]) - 1]
            if family.key == keyBuffer { return family }
            position = (position + 1) & mask
        }
        guard families.count < Self.hardLimit else { throw FamilyError(reason: .tooManyNames) }
        guard let name = namer.name(identity.name, unit: identity.unit, identity.kind) else {
            throw FamilyError(reason: .invalidMetricName)
        }
        let family = MetricFamily(
            number: families.count, name: name, type: identity.type, help: Array(identity.description),
            unit: namer.unit(identity.unit), key: keyBuffer, conflict: conflict(of: name))
        families.append(family)
        keyBytes += keyBuffer.count * 2
        slots[position] = UInt32(families.count)
        if families.count * 2 > slots.count { rehash() }
        return family
    }

    private mutating func conflict(of name: [UInt8]) -> MetricFamily.TypeConflict {
        if let known = conflicts[name] { return known }
        let new = MetricFamily.TypeConflict()
        conflicts[name] = new
        return new
    }

    private mutating func rehash() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        let mask = slots.count - 1
        // Number 0 is `target_info`, which is not looked for.
        for family in families.dropFirst() {
            var position = Int(truncatingIfNeeded: Self.hash(family.key)) & mask
            while slots[position] != 0 { position = (position + 1) & mask }
            slots[position] = UInt32(family.number + 1)
        }
    }

    private static func hash(_ key: [UInt8]) -> UInt64 {
        key.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return ByteHash.seed }
            return ByteHash.add(base, buffer.count, to: ByteHash.seed)
        }
    }

    private static func makeTargetInfo(_ namer: MetricNamer) -> MetricFamily {
        MetricFamily(
            number: 0, name: namer.targetInfo, type: .gauge, help: Array("Target metadata".utf8), unit: [], key: [],
            conflict: MetricFamily.TypeConflict())
    }
}

/// Why a metric has no family.
struct FamilyError: Error {
    let reason: RejectReason
}

extension UnsafeRawBufferPointer {
    /// No bytes.
    static var nothing: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
}
