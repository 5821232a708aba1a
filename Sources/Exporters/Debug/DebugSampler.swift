/// Decides which batches are shown: in every second the first few, and of the rest every n-th. A value; the clock is
/// the caller's.
struct DebugSampler {
    private let initial: Int
    private let thereafter: Int
    private var second: Int?
    private var count = 0

    init(initial: Int, thereafter: Int) {
        self.initial = initial
        self.thereafter = thereafter
    }

    /// Whether the batch that comes in this second is shown.
    mutating func admits(second: Int) -> Bool {
        if second != self.second {
            self.second = second
            count = 0
        }
        count += 1
        if count <= initial { return true }
        return thereafter > 0 && (count - initial) % thereafter == 0
    }
}
