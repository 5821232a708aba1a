internal import GenAI

/// Which operations are calls to be billed, by their names: there are few. One owner.
struct OperationMemos: ~Copyable {
    private struct Memo {
        /// The name, in two words that may overlap.
        var words: (UInt64, UInt64) = (0, 0)
        /// 0: there is none.
        var count = 0
        var isBillable = false
    }

    /// By the length and the first letter; a power of two.
    private static var size: Int { 16 }

    private let memos: UnsafeMutablePointer<Memo>

    init() {
        memos = .allocate(capacity: Self.size)
        memos.initialize(repeating: Memo(), count: Self.size)
    }

    deinit { memos.deallocate() }

    /// Whether the operation of that name is a call to be billed.
    @inline(__always)
    func isBillable(_ name: UnsafeRawBufferPointer, _ mapping: GenAIMapping) -> Bool {
        guard name.count >= 8, name.count <= 16, let base = name.baseAddress else {
            return Self.find(name, mapping)
        }
        let words = (
            base.loadUnaligned(as: UInt64.self),
            base.loadUnaligned(fromByteOffset: name.count &- 8, as: UInt64.self)
        )
        let memo = memos + ((name.count &+ Int(truncatingIfNeeded: words.0 & 0xFF)) & (Self.size &- 1))
        if memo.pointee.count != name.count || memo.pointee.words != words {
            memo.pointee = Memo(words: words, count: name.count, isBillable: Self.find(name, mapping))
        }
        return memo.pointee.isBillable
    }

    @inline(never)
    private static func find(_ name: UnsafeRawBufferPointer, _ mapping: GenAIMapping) -> Bool {
        (mapping.kind(ofOperation: name) ?? .other).isBillable
    }
}
