internal import Glibc

/// The attributes of spans that came before, key by key in their order: spans of one emitter have the same. Comparing
/// all of an attribute but its value with what is expected takes a third of reading it. One owner.
struct KeyPlans: ~Copyable {
    /// An attribute as it is expected: its field key, the key, and the tag of its value.
    struct Step {
        var words = InlineArray<3, SIMD2<UInt64>>(repeating: .zero)
        /// Which of those bytes count: not the attribute's length, and nothing behind the tag of the value.
        var mask = InlineArray<3, SIMD2<UInt64>>(repeating: .zero)
        /// From the start of the attribute to its value.
        var valueStart = 0
        var slot = 0
        /// Of `KeySlots.present`.
        var bit: UInt64 = 0
        /// Of `KeySlots.last`.
        var entry = 0
    }

    /// Bytes of a step that are compared.
    static var size: Int { 48 }
    /// Bytes of the longest key of a step: three bytes stand before it, and a length, and the tag behind it.
    static var longestKey: Int { size - 6 }
    static var maximumSteps: Int { 16 }
    /// Plans, by the first key of a span.
    private static var planCount: Int { 8 }
    /// Spans that do not fit before a plan is made anew: more each time, as that is of no use for some.
    private static var leastPatience: Int { 4 }
    private static var mostPatience: Int { 1 << 14 }

    private struct Plan {
        var count = 0
        var misses = 0
        var patience = KeyPlans.leastPatience
    }

    private let steps: UnsafeMutablePointer<Step>
    private let plans: UnsafeMutablePointer<Plan>

    init() {
        steps = .allocate(capacity: Self.planCount * Self.maximumSteps)
        steps.initialize(repeating: Step(), count: Self.planCount * Self.maximumSteps)
        plans = .allocate(capacity: Self.planCount)
        plans.initialize(repeating: Plan(), count: Self.planCount)
    }

    deinit {
        steps.deallocate()
        plans.deallocate()
    }

    /// The plan for a span whose first attribute begins at `at`, where `size` bytes may be read.
    @inline(__always)
    func plan(_ at: UnsafePointer<UInt8>) -> Int {
        let word = UnsafeRawPointer(at).loadUnaligned(fromByteOffset: 3, as: UInt64.self)
        return Int(truncatingIfNeeded: (word &* 0x9E37_79B9_7F4A_7C15) &>> 61)
    }

    @inline(__always)
    func steps(of plan: Int) -> UnsafeMutableBufferPointer<Step> {
        UnsafeMutableBufferPointer(start: steps + plan &* Self.maximumSteps, count: plans[plan].count)
    }

    /// A span did not fit: whether a plan is to be made of it.
    func missed(_ plan: Int) -> Bool {
        plans[plan].misses += 1
        guard plans[plan].count == 0 || plans[plan].misses >= plans[plan].patience else { return false }
        plans[plan].misses = 0
        plans[plan].patience = min(plans[plan].patience * 2, Self.mostPatience)
        return true
    }

    /// Begins a plan anew.
    func begin(_ plan: Int) { plans[plan].count = 0 }

    /// Adds an attribute to a plan. False when it is of another shape than steps have, or there is no room.
    func add(_ attribute: UnsafePointer<UInt8>, _ slot: Int, bit: UInt64, entry: Int, to plan: Int) -> Bool {
        let count = Int(attribute[3])
        guard plans[plan].count < Self.maximumSteps, count <= Self.longestKey else { return false }
        var step = Step(valueStart: count + 6, slot: slot, bit: bit, entry: entry)
        withUnsafeMutableBytes(of: &step.words) { words in
            for offset in 0..<count + 5 { words[offset] = attribute[offset] }
        }
        withUnsafeMutableBytes(of: &step.mask) { mask in
            for offset in 0..<count + 5 where offset != 1 { mask[offset] = 0xFF }
        }
        steps[plan * Self.maximumSteps + plans[plan].count] = step
        plans[plan].count += 1
        return true
    }
}

extension KeySlots {
    /// Takes attributes from `start` on, as far as they are as a plan has them. The answer is where the next field
    /// begins.
    @inline(__always)
    mutating func follow(_ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
        guard end - start >= KeyPlans.size, start.pointee == 0x4A else { return start }
        let plan = plans.plan(start)
        let steps = plans.steps(of: plan)
        var at = start
        var index = 0
        var found = present
        while index < steps.count, end - at >= KeyPlans.size {
            let step = steps.baseAddress.unsafelyUnwrapped + index
            let bytes = UnsafeRawPointer(at)
            let different =
                Self.differing(step, bytes, 0) | Self.differing(step, bytes, 1) | Self.differing(step, bytes, 2)
            guard different[0] | different[1] == 0 else { break }
            // The value ends where the attribute does, and both lengths are of one byte.
            let size = Int(at[1])
            let valueSize = Int(at[step.pointee.valueStart &- 1])
            guard size &+ 2 == valueSize &+ step.pointee.valueStart, size < 0x80, size &+ 2 <= end - at else { break }
            values[step.pointee.slot] = UnsafeRawBufferPointer(start: at + step.pointee.valueStart, count: valueSize)
            found |= step.pointee.bit
            at += size &+ 2
            index &+= 1
        }
        present = found
        if index > 0 { last = steps[index &- 1].entry }
        if index < steps.count || steps.count == 0 || at < end && at.pointee == 0x4A {
            if plans.missed(plan) { learn(plan, start, end) }
        }
        return at
    }

    @inline(__always)
    private static func differing(
        _ step: UnsafeMutablePointer<KeyPlans.Step>, _ bytes: UnsafeRawPointer, _ word: Int
    ) -> SIMD2<UInt64> {
        (step.pointee.words[word] ^ bytes.loadUnaligned(fromByteOffset: 16 &* word, as: SIMD2<UInt64>.self))
            & step.pointee.mask[word]
    }

    /// Makes a plan of the attributes from `start` on.
    @inline(never)
    private mutating func learn(_ plan: Int, _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) {
        plans.begin(plan)
        var at = start
        while end - at >= 6, at[0] == 0x4A, at[1] < 0x80, at[2] == 0x0A, at[3] < 0x80 {
            let size = Int(at[1])
            let count = Int(at[3])
            guard end - at >= size + 2, size >= count + 4, at[count + 4] == 0x12, Int(at[count + 5]) == size - count - 4
            else { return }
            let (slot, bit, entry) = known(at + 4, count)
            guard plans.add(at, slot, bit: bit, entry: entry, to: plan) else { return }
            at += size + 2
        }
    }
}
