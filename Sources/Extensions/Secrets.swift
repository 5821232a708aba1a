internal import Glibc

/// Comparing and finding secrets without telling by the time it takes how much of a guess is right.
enum SecretBytes {
    /// Whether both are the same. The time depends on the length of `guess` only.
    static func equal(_ secret: [UInt8], _ guess: [UInt8]) -> Bool {
        var difference = secret.count ^ guess.count
        for (index, byte) in guess.enumerated() {
            let other = secret.isEmpty ? 0 : secret[index % secret.count]
            difference |= Int(byte ^ other)
        }
        return difference == 0
    }
}

/// 128 bits that stand for a secret in this process: SipHash under keys that nobody outside can know.
struct SecretDigest: Hashable, Sendable {
    private let first: Int
    private let second: Int

    private static let keys = (UInt64.random(in: 0...UInt64.max), UInt64.random(in: 0...UInt64.max))

    init(_ secret: [UInt8]) {
        func digest(_ key: UInt64) -> Int {
            var hasher = Hasher()
            hasher.combine(key)
            secret.withUnsafeBytes { hasher.combine(bytes: $0) }
            hasher.combine(~key)
            return hasher.finalize()
        }
        first = digest(Self.keys.0)
        second = digest(Self.keys.1)
    }
}

/// Secrets with what each stands for. Finding one takes the same time however much of a guess is right: a digest leads
/// to the candidate, whose bytes are then compared as a whole.
struct SecretTable<Value: Sendable>: Sendable {
    private var entries: [SecretDigest: (secret: [UInt8], value: Value)] = [:]

    var isEmpty: Bool { entries.isEmpty }

    /// - Returns: false when the secret was there before; the first value stays.
    mutating func add(_ secret: [UInt8], _ value: Value) -> Bool {
        let digest = SecretDigest(secret)
        guard entries[digest] == nil else { return false }
        entries[digest] = (secret, value)
        return true
    }

    func find(_ guess: [UInt8]) -> Value? {
        guard let entry = entries[SecretDigest(guess)], SecretBytes.equal(entry.secret, guess) else { return nil }
        return entry.value
    }
}

/// Base64 (RFC 4648, section 4), as HTTP's Basic scheme has it.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// - Returns: nil when a character is none of base64's. Padding may be left out.
    static func decode(_ text: Substring.UTF8View) -> [UInt8]? {
        var result: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in text {
            if byte == UInt8(ascii: "=") { break }
            guard let value = value(byte) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                result.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return result
    }

    private static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }

    static func encode(_ bytes: [UInt8]) -> String {
        var result: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var bits = 0
            for index in 0..<3 { bits = bits << 8 | (index < count ? Int(bytes[start + index]) : 0) }
            for index in 0..<4 {
                result.append(index <= count ? alphabet[bits >> (18 - 6 * index) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
