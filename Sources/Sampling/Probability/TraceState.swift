package import OTLP

/// Why a trace state cannot be used. Nothing of it may then be believed or changed.
package enum TraceStateError: Error, Equatable, Sendable {
    /// Longer than `TraceState.maximumBytes`, or a key or a value of it is longer than it may be.
    case tooLong
    /// More than `TraceState.maximumMembers` members.
    case tooManyMembers
    /// Not of the form that W3C Trace Context or OpenTelemetry's `ot` member has.
    case malformed
    /// `th` is no threshold, or `rv` no randomness.
    case invalidValue
}

/// How an edit of a trace state ended.
package enum TraceStateEdit: Equatable, Sendable {
    /// The new trace state was appended to the writer.
    case written
    /// It would pass the limit of the `ot` member or of the whole. A `th` that came is then left out, because it is no
    /// longer true (the result was appended); without one, nothing was appended, and the trace state stays as it is.
    case full(dropsThreshold: Bool)
}

/// A span's `trace_state`: what its `ot` member says of sampling, and where its members lie.
///
/// Reads the bytes in place and keeps pointing at them: valid as long as they are. Specifications: W3C Trace Context
/// §3.3; OpenTelemetry "TraceState Handling" and "TraceState: Probability Sampling".
package struct TraceState {
    /// Longest trace state that is read or written, in bytes; the reference implementation's bound. (W3C demands that at
    /// least 512 are passed on.)
    package static let maximumBytes = 1024
    /// Most members (W3C §3.3.1.1).
    package static let maximumMembers = 32
    /// Longest value of the `ot` member, in bytes.
    package static let maximumOTBytes = 256

    /// The threshold that came (`th`): the item has passed samplers of this probability.
    package private(set) var threshold: Threshold?
    /// Explicit randomness (`rv`), which goes before that of the trace id.
    package private(set) var randomness: Randomness?

    private let bytes: UnsafeRawBufferPointer
    /// Values of the last `ot`, and of its last `th` and `rv`.
    private var ot = 0..<0
    private var hasOT = false
    private var thresholdDigits = 0
    private var otherMembers = 0

    /// Reads `bytes`; none is a trace state without members.
    package init(_ bytes: UnsafeRawBufferPointer) throws(TraceStateError) {
        self.bytes = bytes
        guard bytes.count > 0 else { return }
        guard bytes.count <= Self.maximumBytes else { throw .tooLong }
        var members = 0
        var start = 0
        while start <= bytes.count {
            let member = Self.member(of: bytes, from: &start)
            guard !member.isEmpty else { continue }
            members += 1
            guard members <= Self.maximumMembers else { throw .tooManyMembers }
            try read(member)
        }
    }

    /// The part from `start` to the next comma or the end, without the spaces and tabs around it. `start` moves behind.
    private static func member(of bytes: UnsafeRawBufferPointer, from start: inout Int) -> Range<Int> {
        var first = start
        var end = start
        while end < bytes.count, bytes[end] != 0x2C { end += 1 }
        start = end + 1
        while first < end, isSpace(bytes[first]) { first += 1 }
        while end > first, isSpace(bytes[end - 1]) { end -= 1 }
        return first..<end
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    private mutating func read(_ member: Range<Int>) throws(TraceStateError) {
        guard let equals = bytes[member].firstIndex(of: 0x3D) else { throw .malformed }
        let key = member.lowerBound..<equals
        let value = equals + 1..<member.upperBound
        try TraceStateGrammar.checkKey(bytes[key])
        try TraceStateGrammar.checkValue(bytes[value])
        guard isOT(key) else {
            otherMembers += 1
            return
        }
        // Of several, which the specification forbids, the last one counts, as in the reference implementation.
        hasOT = true
        ot = value
        threshold = nil
        randomness = nil
        try readOT()
    }

    private func isOT(_ key: Range<Int>) -> Bool {
        key.count == 2 && bytes[key.lowerBound] == 0x6F && bytes[key.lowerBound + 1] == 0x74
    }

    private mutating func readOT() throws(TraceStateError) {
        guard ot.count <= Self.maximumOTBytes else { throw .tooLong }
        var rest = ot.lowerBound
        while rest <= ot.upperBound {
            let (key, value) = try entry(from: &rest)
            if Self.isKey(bytes[key], 0x74, 0x68) {
                threshold = Threshold(digits: slice(value))
                thresholdDigits = value.count
                guard threshold != nil else { throw .invalidValue }
            } else if Self.isKey(bytes[key], 0x72, 0x76) {
                randomness = Randomness(digits: slice(value))
                guard randomness != nil else { throw .invalidValue }
            }
        }
    }

    /// The next `key:value` of the `ot` member. `rest` moves behind its semicolon.
    private func entry(from rest: inout Int) throws(TraceStateError) -> (key: Range<Int>, value: Range<Int>) {
        let start = rest
        var end = start
        var colon: Int?
        while end < ot.upperBound, bytes[end] != 0x3B {
            if bytes[end] == 0x3A, colon == nil { colon = end }
            end += 1
        }
        rest = end + 1
        guard let colon else { throw .malformed }
        try TraceStateGrammar.checkOTEntry(key: bytes[start..<colon], value: bytes[colon + 1..<end])
        return (start..<colon, colon + 1..<end)
    }

    private static func isKey(_ key: Slice<UnsafeRawBufferPointer>, _ first: UInt8, _ second: UInt8) -> Bool {
        key.count == 2 && key[key.startIndex] == first && key[key.startIndex + 1] == second
    }

    private func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[range]) }

    /// Whether `th` is there with this value and no digit too many: nothing would change if it were written.
    package func states(_ threshold: Threshold) -> Bool {
        self.threshold == threshold && thresholdDigits == threshold.digitCount
    }

    // MARK: Writing

    /// Appends this trace state with another threshold: `ot` first, in it `rv`, then `th`, then its other entries; then
    /// the other members as they are. Randomness that came is kept to the byte.
    ///
    /// - Parameters:
    ///   - threshold: the new `th`; nil (or `never`, which has no text) leaves it out.
    ///   - randomness: an `rv` to add when there is none.
    package func append(
        threshold: Threshold?, addingRandomness randomness: Randomness? = nil, to writer: inout WireWriter
    ) -> TraceStateEdit {
        let start = writer.count
        if append(threshold, randomness, from: start, to: &writer) { return .written }
        writer.truncate(to: start)
        guard self.threshold != nil else { return .full(dropsThreshold: false) }
        // Shorter than what came, so it fits.
        _ = append(nil, nil, from: start, to: &writer)
        return .full(dropsThreshold: true)
    }

    /// False when the result passes a limit.
    private func append(
        _ threshold: Threshold?, _ randomness: Randomness?, from start: Int, to writer: inout WireWriter
    ) -> Bool {
        writer.append("ot=")
        let valueStart = writer.count
        appendEntries(threshold, randomness, to: &writer)
        let otBytes = writer.count - valueStart
        guard otBytes <= Self.maximumOTBytes else { return false }
        if otBytes == 0 { writer.truncate(to: start) }
        var room = Self.maximumMembers - (otBytes > 0 ? 1 : 0)
        guard otherMembers > 0 else { return true }
        var rest = 0
        while rest <= bytes.count {
            let member = Self.member(of: bytes, from: &rest)
            guard !member.isEmpty, !isOTMember(member) else { continue }
            // When `ot` is one too many, the rightmost goes (W3C §3.3.1.1).
            guard room > 0 else { break }
            room -= 1
            if writer.count > start { writer.append(byte: 0x2C) }
            writer.append(slice(member))
        }
        return writer.count - start <= Self.maximumBytes
    }

    private func isOTMember(_ member: Range<Int>) -> Bool {
        member.count >= 3 && bytes[member.lowerBound + 2] == 0x3D
            && isOT(member.lowerBound..<member.lowerBound + 2)
    }

    private func appendEntries(_ threshold: Threshold?, _ randomness: Randomness?, to writer: inout WireWriter) {
        let start = writer.count
        func separate(_ writer: inout WireWriter) {
            if writer.count > start { writer.append(byte: 0x3B) }
        }
        if self.randomness != nil {
            forEachEntry { key, value in
                guard Self.isKey(bytes[key], 0x72, 0x76) else { return }
                // Of several the last one counts.
                writer.truncate(to: start)
                writer.append("rv:")
                writer.append(slice(value))
            }
        } else if let randomness {
            writer.append("rv:")
            randomness.append(to: &writer)
        }
        if let threshold, threshold != .never {
            separate(&writer)
            writer.append("th:")
            threshold.append(to: &writer)
        }
        forEachEntry { key, value in
            guard !Self.isKey(bytes[key], 0x72, 0x76), !Self.isKey(bytes[key], 0x74, 0x68) else { return }
            separate(&writer)
            writer.append(slice(key.lowerBound..<value.upperBound))
        }
    }

    private func forEachEntry(_ body: (_ key: Range<Int>, _ value: Range<Int>) -> Void) {
        guard hasOT else { return }
        var rest = ot.lowerBound
        while rest <= ot.upperBound {
            guard let (key, value) = try? entry(from: &rest) else { return }
            body(key, value)
        }
    }
}

/// The characters and lengths that the two specifications allow.
private enum TraceStateGrammar {
    typealias Bytes = Slice<UnsafeRawBufferPointer>

    private static let maximumKey = 256
    private static let maximumTenant = 241
    private static let maximumSystem = 14
    private static let maximumValue = 256

    /// `simple-key` or `tenant@system` of W3C §3.3.1.3.1.
    static func checkKey(_ key: Bytes) throws(TraceStateError) {
        guard let first = key.first else { throw .malformed }
        guard let at = key.firstIndex(of: 0x40) else {
            guard isLower(first), key.allSatisfy(isKeyByte) else { throw .malformed }
            if key.count > maximumKey { throw .tooLong }
            return
        }
        let tenant = key[key.startIndex..<at]
        let system = key[(at + 1)...]
        guard isLower(first) || isDigit(first), let letter = system.first, isLower(letter),
            tenant.allSatisfy(isKeyByte), system.allSatisfy(isKeyByte)
        else { throw .malformed }
        if tenant.count > maximumTenant || system.count > maximumSystem { throw .tooLong }
    }

    /// Printable ASCII but comma and equals sign; the spaces at its end are not part of it.
    static func checkValue(_ value: Bytes) throws(TraceStateError) {
        guard !value.isEmpty, value.allSatisfy({ (0x20...0x7E).contains($0) && $0 != 0x2C && $0 != 0x3D }) else {
            throw .malformed
        }
        if value.count > maximumValue { throw .tooLong }
    }

    /// OpenTelemetry's `key:value`.
    static func checkOTEntry(key: Bytes, value: Bytes) throws(TraceStateError) {
        guard let first = key.first, isLower(first), key.allSatisfy({ isLower($0) || isDigit($0) }),
            value.allSatisfy({
                isLower($0 | 0x20) && $0 >= 0x41 || isDigit($0) || $0 == 0x2E || $0 == 0x5F || $0 == 0x2D
            })
        else { throw .malformed }
    }

    private static func isLower(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) }
    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isKeyByte(_ byte: UInt8) -> Bool {
        isLower(byte) || isDigit(byte) || byte == 0x5F || byte == 0x2D || byte == 0x2A || byte == 0x2F
    }
}
