/// Decisions as the body of a record, numbers little-endian:
/// number of policies u16, each length u16 and name; number of hashes u16, each u64; then entries of 42 bytes to the end.
/// An entry: both halves of the trace id u64 · sequence u64 · rejected u64 · second u32 · policy i32 · hash u8 · what it
/// is about and says u8 (outcome in the low two bits, 4 for spans, 8 for log records).
package struct DecisionPage: Sendable, Equatable {
    package var names: DecisionNames
    package var entries: [DecisionEntry]

    private static let entryBytes = 42
    private static let outcomeBits: UInt8 = 3
    private static let spansFlag: UInt8 = 4
    private static let logsFlag: UInt8 = 8
    /// A name that is longer is cut.
    private static let maximumName = 1024

    /// Makes a page from its parts.
    package init(_ names: DecisionNames, _ entries: [DecisionEntry]) {
        self.names = names
        self.entries = entries
    }

    /// Latest record that an entry is about; 0 without any.
    package var upTo: UInt64 { entries.reduce(0) { max($0, $1.upTo) } }

    /// The bytes. What is beyond 65,535 policies or 255 hashes is left out.
    package func encode() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(entries.count * Self.entryBytes + 256)
        let policies = names.policies.prefix(Int(UInt16.max))
        Self.append(UInt16(policies.count), to: &bytes)
        for policy in policies {
            let name = Array(policy.utf8.prefix(Self.maximumName))
            Self.append(UInt16(name.count), to: &bytes)
            bytes += name
        }
        let hashes = names.hashes.prefix(Int(UInt8.max))
        Self.append(UInt16(hashes.count), to: &bytes)
        for hash in hashes { Self.append(hash, to: &bytes) }
        for entry in entries {
            for half in [entry.high, entry.low, entry.upTo, entry.rejected] { Self.append(half, to: &bytes) }
            Self.append(entry.decided, to: &bytes)
            Self.append(UInt32(bitPattern: entry.policy), to: &bytes)
            bytes.append(entry.hash)
            bytes.append(
                entry.outcome.rawValue | (entry.isAboutSpans ? Self.spansFlag : 0)
                    | (entry.isAboutLogs ? Self.logsFlag : 0))
        }
        return bytes
    }

    /// Nil when the bytes are no such body.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        names = DecisionNames()
        entries = []
        var at = 0
        guard let policies: UInt16 = Self.number(bytes, &at) else { return nil }
        for _ in 0..<policies {
            guard let length: UInt16 = Self.number(bytes, &at), Int(length) <= bytes.count - at else { return nil }
            names.policies.append(String(decoding: bytes[at..<at + Int(length)], as: UTF8.self))
            at += Int(length)
        }
        guard let hashes: UInt16 = Self.number(bytes, &at), hashes <= UInt8.max else { return nil }
        for _ in 0..<hashes {
            guard let hash: UInt64 = Self.number(bytes, &at) else { return nil }
            names.hashes.append(hash)
        }
        guard (bytes.count - at) % Self.entryBytes == 0 else { return nil }
        entries.reserveCapacity((bytes.count - at) / Self.entryBytes)
        while at < bytes.count {
            guard let entry = Self.entry(bytes, &at) else { return nil }
            entries.append(entry)
        }
    }

    private static func entry(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> DecisionEntry? {
        guard let high: UInt64 = number(bytes, &at), let low: UInt64 = number(bytes, &at),
            let upTo: UInt64 = number(bytes, &at), let rejected: UInt64 = number(bytes, &at),
            let decided: UInt32 = number(bytes, &at), let policy: UInt32 = number(bytes, &at),
            let hash: UInt8 = number(bytes, &at), let flags: UInt8 = number(bytes, &at),
            let outcome = DecisionEntry.Outcome(rawValue: flags & outcomeBits)
        else { return nil }
        return DecisionEntry(
            high: high, low: low, upTo: upTo, isAboutSpans: flags & spansFlag != 0, isAboutLogs: flags & logsFlag != 0,
            outcome: outcome, decided: decided, rejected: rejected, policy: Int32(bitPattern: policy), hash: hash)
    }

    private static func append<Value: FixedWidthInteger>(_ value: Value, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }

    private static func number<Value: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> Value? {
        guard bytes.count - at >= MemoryLayout<Value>.size else { return nil }
        defer { at += MemoryLayout<Value>.size }
        return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: Value.self))
    }
}
