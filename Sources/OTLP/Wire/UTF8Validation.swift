/// Whether `count` bytes from `start` are well-formed UTF-8 (Unicode 15, table 3-7: no overlong forms, no
/// surrogates, nothing above U+10FFFF). ASCII runs are checked 32 and 16 bytes at a time.
@inline(__always)
package func isValidUTF8(_ start: UnsafePointer<UInt8>, count: Int) -> Bool {
    let raw = UnsafeRawPointer(start)
    if count >= 16 {
        var position = 0
        var seen = SIMD16<UInt8>()
        while position &+ 32 <= count {
            let first = raw.loadUnaligned(fromByteOffset: position, as: SIMD16<UInt8>.self)
            let second = raw.loadUnaligned(fromByteOffset: position &+ 16, as: SIMD16<UInt8>.self)
            seen |= first | second
            position &+= 32
        }
        if position &+ 16 <= count {
            seen |= raw.loadUnaligned(fromByteOffset: position, as: SIMD16<UInt8>.self)
        }
        seen |= raw.loadUnaligned(fromByteOffset: count &- 16, as: SIMD16<UInt8>.self)
        if isASCII(seen) { return true }
    } else if count >= 8 {
        let first = raw.loadUnaligned(as: UInt64.self)
        let last = raw.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
        if (first | last) & 0x8080_8080_8080_8080 == 0 { return true }
    } else if count >= 4 {
        let first = raw.loadUnaligned(as: UInt32.self)
        let last = raw.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)
        if (first | last) & 0x8080_8080 == 0 { return true }
    } else {
        var seen: UInt8 = 0
        var position = 0
        while position < count {
            seen |= start[position]
            position &+= 1
        }
        if seen < 0x80 { return true }
    }
    return isValidMultibyteUTF8(start, count: count)
}

@inline(__always)
private func isASCII(_ bytes: SIMD16<UInt8>) -> Bool {
    let halves = unsafeBitCast(bytes, to: SIMD2<UInt64>.self)
    return (halves[0] | halves[1]) & 0x8080_8080_8080_8080 == 0
}

@inline(never)
private func isValidMultibyteUTF8(_ start: UnsafePointer<UInt8>, count: Int) -> Bool {
    let raw = UnsafeRawPointer(start)
    var position = 0
    while position < count {
        if position &+ 16 <= count,
            isASCII(raw.loadUnaligned(fromByteOffset: position, as: SIMD16<UInt8>.self))
        {
            position &+= 16
            continue
        }
        let lead = start[position]
        if lead < 0x80 {
            position &+= 1
            continue
        }
        let length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2
        guard lead >= 0xC2, lead <= 0xF4, position &+ length <= count else { return false }
        let second = start[position &+ 1]
        let lowest: UInt8 = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80
        let highest: UInt8 = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF
        guard second >= lowest, second <= highest else { return false }
        if length > 2, start[position &+ 2] & 0xC0 != 0x80 { return false }
        if length > 3, start[position &+ 3] & 0xC0 != 0x80 { return false }
        position &+= length
    }
    return true
}
