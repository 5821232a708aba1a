internal import Glibc

/// Writes JSON tokens at a raw cursor into a `WireWriter`'s storage. While one exists, nothing else may use that
/// writer; `finish()` hands the written length back.
///
/// The functions named `put…` write without a check and need `ensure` first; the ones named `append…` check for
/// themselves and return false when the writer's limit is reached.
struct JSONTextWriter: ~Copyable {
    private let writer: UnsafeMutablePointer<WireWriter>
    private var cursor: UnsafeMutablePointer<UInt8>
    private var end: UnsafeMutablePointer<UInt8>

    /// Room that one field without a payload of its own may need: prefix, number and punctuation, stored in whole
    /// vectors.
    static let fieldRoom = 128

    /// Nil when the writer has no room at all. `writer` must stay valid until `finish()`.
    init?(_ writer: UnsafeMutablePointer<WireWriter>) {
        guard writer.pointee.reserve(Self.fieldRoom), let base = writer.pointee.base else { return nil }
        self.writer = writer
        cursor = base.assumingMemoryBound(to: UInt8.self) + writer.pointee.count
        end = base.assumingMemoryBound(to: UInt8.self) + writer.pointee.capacity
    }

    /// Makes the writer's length cover everything written here.
    mutating func finish() {
        guard let base = writer.pointee.base else { return }
        let used = UnsafeRawPointer(cursor) - UnsafeRawPointer(base)
        if used >= writer.pointee.count {
            _ = writer.pointee.appendUninitialized(used - writer.pointee.count)
        } else {
            writer.pointee.truncate(to: used)
        }
    }

    /// Makes room for `count` more bytes.
    @inline(__always)
    mutating func ensure(_ count: Int) -> Bool {
        count <= end - cursor || grow(count)
    }

    @inline(never)
    private mutating func grow(_ count: Int) -> Bool {
        finish()
        guard writer.pointee.reserve(count), let base = writer.pointee.base else { return false }
        cursor = base.assumingMemoryBound(to: UInt8.self) + writer.pointee.count
        end = base.assumingMemoryBound(to: UInt8.self) + writer.pointee.capacity
        return true
    }

    /// Bytes in the writer's storage, those from before this writer included.
    var position: Int {
        writer.pointee.base.map { UnsafeRawPointer(cursor) - UnsafeRawPointer($0) } ?? 0
    }

    /// Goes back to an earlier `position`; what was written since is forgotten.
    mutating func rewind(to position: Int) {
        guard let base = writer.pointee.base else { return }
        cursor = base.assumingMemoryBound(to: UInt8.self) + position
    }

    // MARK: - Tokens

    @inline(__always)
    mutating func put(_ byte: UInt8) {
        cursor.pointee = byte
        cursor += 1
    }

    /// Writes a whole vector, of which `length` bytes count.
    @inline(__always)
    mutating func put(_ vector: SIMD32<UInt8>, length: Int) {
        UnsafeMutableRawPointer(cursor).storeBytes(of: vector, as: SIMD32<UInt8>.self)
        cursor += length
    }

    @inline(__always)
    mutating func put(_ text: StaticString) {
        memcpy(cursor, text.utf8Start, text.utf8CodeUnitCount)
        cursor += text.utf8CodeUnitCount
    }

    /// Two bytes, the first one first.
    @inline(__always)
    mutating func put(_ first: UInt8, _ second: UInt8) {
        let pair = UInt16(first) | UInt16(second) << 8
        UnsafeMutableRawPointer(cursor).storeBytes(of: pair.littleEndian, as: UInt16.self)
        cursor += 2
    }

    /// Ends an object or array whose members each ended in a comma, and puts the comma after it.
    @inline(__always)
    mutating func putClosing(_ bracket: UInt8) {
        if cursor[-1] == UInt8(ascii: ",") { cursor -= 1 }
        put(bracket, UInt8(ascii: ","))
    }

    /// Takes the last `count` bytes back.
    @inline(__always)
    mutating func removeLast(_ count: Int) { cursor -= count }

    /// Overwrites the byte that is `distance` before the end.
    @inline(__always)
    mutating func replace(last distance: Int, with byte: UInt8) { cursor[-distance] = byte }

    // MARK: - Numbers

    @inline(__always)
    mutating func put(unsigned value: UInt64) {
        if value < 100_000_000 {
            putUpTo8Digits(value)
            return
        }
        let (high, low) = value.quotientAndRemainder(dividingBy: 100_000_000)
        if high < 100_000_000 {
            putUpTo8Digits(high)
        } else {
            let (top, middle) = high.quotientAndRemainder(dividingBy: 100_000_000)
            putUpTo8Digits(top)
            put8Digits(middle)
        }
        put8Digits(low)
    }

    @inline(__always)
    mutating func put(signed value: Int64) {
        if value < 0 { put(UInt8(ascii: "-")) }
        put(unsigned: value.magnitude)
    }

    @inline(__always)
    private mutating func put8Digits(_ value: UInt64) {
        let text = Self.digits(value) | 0x3030_3030_3030_3030
        UnsafeMutableRawPointer(cursor).storeBytes(of: text.littleEndian, as: UInt64.self)
        cursor += 8
    }

    @inline(__always)
    private mutating func putUpTo8Digits(_ value: UInt64) {
        if value < 10 {
            put(UInt8(truncatingIfNeeded: value) | 0x30)
            return
        }
        let digits = Self.digits(value)
        // Leading zero digits are the low bytes.
        let skipped = digits.trailingZeroBitCount >> 3
        let text = (digits | 0x3030_3030_3030_3030) >> UInt64(skipped << 3)
        UnsafeMutableRawPointer(cursor).storeBytes(of: text.littleEndian, as: UInt64.self)
        cursor += 8 - skipped
    }

    /// The eight decimal digits of a number below 10^8, most significant in the lowest byte. Three rounds split all
    /// parts at once: into 4-digit, 2-digit and single-digit lanes.
    @inline(__always)
    private static func digits(_ value: UInt64) -> UInt64 {
        let fours = value / 10_000 | (value % 10_000) << 32
        let highTwos = ((fours &* 10_486) >> 20) & 0x0000_007F_0000_007F
        let twos = highTwos | (fours &- highTwos &* 100) << 16
        let highOnes = ((twos &* 103) >> 10) & 0x000F_000F_000F_000F
        return highOnes | (twos &- highOnes &* 10) << 8
    }

    // MARK: - Bytes

    /// Lower-case hex. Needs room for two bytes each, and 32 at least.
    @inline(__always)
    mutating func put(hex start: UnsafePointer<UInt8>, count: Int) {
        let raw = UnsafeRawPointer(start)
        if count == 16 {
            let bytes = raw.loadUnaligned(as: SIMD16<UInt8>.self)
            var text = SIMD32<UInt8>()
            text.evenHalf = Self.hexDigits(bytes &>> 4)
            text.oddHalf = Self.hexDigits(bytes & 0x0F)
            put(text, length: 32)
        } else if count == 8 {
            let bytes = raw.loadUnaligned(as: SIMD8<UInt8>.self)
            var text = SIMD16<UInt8>()
            text.evenHalf = Self.hexDigits(bytes &>> 4)
            text.oddHalf = Self.hexDigits(bytes & 0x0F)
            UnsafeMutableRawPointer(cursor).storeBytes(of: text, as: SIMD16<UInt8>.self)
            cursor += 16
        } else {
            for position in 0..<count {
                put(Self.hexDigit(start[position] >> 4), Self.hexDigit(start[position] & 0x0F))
            }
        }
    }

    @inline(__always)
    private static func hexDigits<Vector: SIMD>(_ nibbles: Vector) -> Vector where Vector.Scalar == UInt8 {
        // 10…15 plus 6 carry into bit 4, which selects the distance from "9" to "a".
        let letters = ((nibbles &+ 6) &>> 4) & 1
        return nibbles &+ 48 &+ letters &* 39
    }

    @inline(__always)
    private static func hexDigit(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? nibble + 48 : nibble + 87
    }

    /// Standard base64 with padding.
    mutating func append(base64 start: UnsafePointer<UInt8>, count: Int) -> Bool {
        guard ensure((count / 3 + 1) * 4) else { return false }
        var position = 0
        while position + 3 <= count {
            putBase64(start[position], start[position + 1], start[position + 2])
            position += 3
        }
        let left = count - position
        if left > 0 {
            putBase64(start[position], left == 2 ? start[position + 1] : 0, 0)
            for offset in 1...(3 - left) { cursor[-offset] = UInt8(ascii: "=") }
        }
        return true
    }

    @inline(__always)
    private mutating func putBase64(_ first: UInt8, _ second: UInt8, _ third: UInt8) {
        let bits = UInt32(first) << 16 | UInt32(second) << 8 | UInt32(third)
        for shift in stride(from: UInt32(18), through: 0, by: -6) {
            put(Self.base64Digit(UInt8(truncatingIfNeeded: bits >> shift) & 0x3F))
        }
    }

    @inline(__always)
    private static func base64Digit(_ sextet: UInt8) -> UInt8 {
        switch sextet {
        case 0..<26: sextet + 65
        case 26..<52: sextet + 71
        case 52..<62: sextet - 4
        case 62: UInt8(ascii: "+")
        default: UInt8(ascii: "/")
        }
    }

    // MARK: - Strings

    /// The content of a JSON string, escaped, without the quotes. What is not UTF-8 becomes U+FFFD.
    ///
    /// - Parameter readableEnd: memory up to here may be read, whether it belongs to the string or not.
    /// - Returns: false at the limit. True leaves `fieldRoom` free.
    @inline(__always)
    mutating func append(
        string start: UnsafePointer<UInt8>, count: Int, readableEnd: UnsafePointer<UInt8>
    ) -> Bool {
        guard ensure(count &+ Self.fieldRoom) else { return false }
        var left = count
        var source = UnsafeRawPointer(start)
        while left >= 16 {
            let chunk = source.loadUnaligned(as: SIMD16<UInt8>.self)
            if Self.needsCare(chunk) { return appendEscaping(source, left) }
            UnsafeMutableRawPointer(cursor).storeBytes(of: chunk, as: SIMD16<UInt8>.self)
            cursor += 16
            source += 16
            left &-= 16
        }
        if left == 0 { return true }
        guard UnsafeRawPointer(readableEnd) - source >= 16 else { return appendEscaping(source, left) }
        let chunk = source.loadUnaligned(as: SIMD16<UInt8>.self)
        let (low, high) = Self.careBits(chunk)
        // Bits of the bytes past the end are shifted out.
        let unused = UInt64(truncatingIfNeeded: 16 &- left) &* 8
        let flagged = unused < 64 ? low | high &<< unused : low &<< (unused &- 64)
        if flagged != 0 { return appendEscaping(source, left) }
        UnsafeMutableRawPointer(cursor).storeBytes(of: chunk, as: SIMD16<UInt8>.self)
        cursor += left
        return true
    }

    /// The high bit of each byte that is a control character, a quote, a backslash or not ASCII.
    @inline(__always)
    private static func careBits(_ chunk: SIMD16<UInt8>) -> (UInt64, UInt64) {
        let controls = chunk &- 0x20
        let quotes = (chunk ^ 0x22) &- 1
        let backslashes = (chunk ^ 0x5C) &- 1
        let words = unsafeBitCast(controls | quotes | backslashes | chunk, to: SIMD2<UInt64>.self)
        return (words[0] & 0x8080_8080_8080_8080, words[1] & 0x8080_8080_8080_8080)
    }

    @inline(__always)
    private static func needsCare(_ chunk: SIMD16<UInt8>) -> Bool {
        let (low, high) = careBits(chunk)
        return low | high != 0
    }

    /// Same as `append(string:)`, for text with escapes or beyond ASCII.
    @inline(never)
    private mutating func appendEscaping(_ start: UnsafeRawPointer, _ count: Int) -> Bool {
        var source = start.assumingMemoryBound(to: UInt8.self)
        var left = count
        let isValid = isValidUTF8(source, count: count)
        while left > 0 {
            // Room for the rest unescaped, so that only escapes have to ask for more.
            guard ensure(left &+ Self.fieldRoom) else { return false }
            let plain = isValid ? putPlainBytes(source, left) : putASCII(source, left)
            source += plain
            left &-= plain
            if left == 0 { break }
            if source.pointee < 0x80 {
                putEscape(source.pointee)
                source += 1
                left &-= 1
            } else {
                let (length, isGood) = Self.sequenceLength(source, left)
                if isGood {
                    for position in 0..<length { put(source[position]) }
                } else {
                    put(0xEF, 0xBF)
                    put(0xBD)
                }
                source += length
                left &-= length
            }
        }
        return ensure(Self.fieldRoom)
    }

    /// Copies up to the first byte that needs an escape; everything else is known to be UTF-8.
    @inline(__always)
    private mutating func putPlainBytes(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int {
        let raw = UnsafeRawPointer(start)
        var position = 0
        while position &+ 16 <= count {
            let chunk = raw.loadUnaligned(fromByteOffset: position, as: SIMD16<UInt8>.self)
            let hits = ((chunk &- 0x20) | ((chunk ^ 0x22) &- 1) | ((chunk ^ 0x5C) &- 1)) & ~chunk & 0x80
            let words = unsafeBitCast(hits, to: SIMD2<UInt64>.self)
            UnsafeMutableRawPointer(cursor).storeBytes(of: chunk, as: SIMD16<UInt8>.self)
            if words[0] | words[1] != 0 {
                let plain =
                    words[0] != 0
                    ? words[0].trailingZeroBitCount >> 3 : 8 &+ words[1].trailingZeroBitCount >> 3
                cursor += plain
                return position &+ plain
            }
            cursor += 16
            position &+= 16
        }
        while position < count {
            let byte = start[position]
            if byte < 0x20 || byte == 0x22 || byte == 0x5C { break }
            put(byte)
            position &+= 1
        }
        return position
    }

    @inline(__always)
    private mutating func putASCII(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int {
        var position = 0
        while position < count {
            let byte = start[position]
            if byte < 0x20 || byte == 0x22 || byte == 0x5C || byte >= 0x80 { break }
            put(byte)
            position &+= 1
        }
        return position
    }

    @inline(__always)
    private mutating func putEscape(_ byte: UInt8) {
        put(UInt8(ascii: "\\"))
        switch byte {
        case 0x22, 0x5C: put(byte)
        case 0x08: put(UInt8(ascii: "b"))
        case 0x09: put(UInt8(ascii: "t"))
        case 0x0A: put(UInt8(ascii: "n"))
        case 0x0C: put(UInt8(ascii: "f"))
        case 0x0D: put(UInt8(ascii: "r"))
        default:
            put("u00")
            put(Self.hexDigit(byte >> 4), Self.hexDigit(byte & 0x0F))
        }
    }

    /// Length of the well-formed sequence at `start`, or of the malformed part that one U+FFFD stands for.
    private static func sequenceLength(_ start: UnsafePointer<UInt8>, _ left: Int) -> (Int, isGood: Bool) {
        let lead = start.pointee
        let wanted = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2
        if wanted <= left, isValidUTF8(start, count: wanted) { return (wanted, true) }
        return (1, false)
    }
}
