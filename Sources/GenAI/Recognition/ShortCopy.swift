/// Copies `count` bytes, some tens of them, without a call. The memory may not overlap.
@inlinable
@inline(__always)
package func copyShort(_ from: UnsafeRawPointer, to target: UnsafeMutableRawPointer, _ count: Int) {
    if count >= 16 {
        var offset = 0
        // The last words overlap those before them.
        while offset < count &- 16 {
            copyWord(from, target, offset, SIMD2<UInt64>.self)
            offset &+= 16
        }
        copyWord(from, target, count &- 16, SIMD2<UInt64>.self)
    } else if count >= 8 {
        copyWord(from, target, 0, UInt64.self)
        copyWord(from, target, count &- 8, UInt64.self)
    } else if count >= 4 {
        copyWord(from, target, 0, UInt32.self)
        copyWord(from, target, count &- 4, UInt32.self)
    } else {
        for offset in 0..<count { copyWord(from, target, offset, UInt8.self) }
    }
}

/// Copies one word at an offset, which need not be aligned.
@inlinable
@inline(__always)
package func copyWord<Word: BitwiseCopyable>(
    _ from: UnsafeRawPointer, _ target: UnsafeMutableRawPointer, _ offset: Int, _ type: Word.Type
) {
    target.storeBytes(of: from.loadUnaligned(fromByteOffset: offset, as: type), toByteOffset: offset, as: type)
}
