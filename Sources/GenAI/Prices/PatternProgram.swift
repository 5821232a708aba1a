/// A pattern compiled to a non-deterministic automaton, run as sets of states: linear time, no backtracking.
struct PatternProgram: Sendable {
    /// Instructions of one alternative, which bounds the cost of a byte.
    static let maximumInstructions = 2000

    private enum Instruction: Sendable {
        case byte(UInt8)
        case set(ByteSet)
        case start
        case end
        case jump(Int)
        case split(Int, Int)
        case match
    }

    private var code: [Instruction] = []

    init(_ node: PatternNode) throws(NamePattern.Malformed) {
        try emit(node)
        code.append(.match)
    }

    private mutating func append(_ instruction: Instruction) throws(NamePattern.Malformed) {
        guard code.count < Self.maximumInstructions else {
            throw NamePattern.Malformed(description: "its repetitions make it too large")
        }
        code.append(instruction)
    }

    private mutating func emit(_ node: PatternNode) throws(NamePattern.Malformed) {
        switch node {
        case .byte(let byte): try append(.byte(byte))
        case .set(let set): try append(.set(set))
        case .start: try append(.start)
        case .end: try append(.end)
        case .sequence(let parts): for part in parts { try emit(part) }
        case .choice(let parts): try emitChoice(parts)
        case .repetition(let inner, let atLeast, let atMost):
            for _ in 0..<atLeast { try emit(inner) }
            guard let atMost else {
                let loop = code.count
                try append(.jump(0))
                try emit(inner)
                try append(.jump(loop))
                code[loop] = .split(loop + 1, code.count)
                return
            }
            var skips: [Int] = []
            for _ in atLeast..<atMost {
                skips.append(code.count)
                try append(.jump(0))
                try emit(inner)
            }
            for skip in skips { code[skip] = .split(skip + 1, code.count) }
        }
    }

    private mutating func emitChoice(_ parts: [PatternNode]) throws(NamePattern.Malformed) {
        var exits: [Int] = []
        for (index, part) in parts.enumerated() {
            let fork = code.count
            let isLast = index == parts.count - 1
            if !isLast { try append(.jump(0)) }
            try emit(part)
            if !isLast {
                exits.append(code.count)
                try append(.jump(0))
                code[fork] = .split(fork + 1, code.count)
            }
        }
        for exit in exits { code[exit] = .jump(code.count) }
    }

    /// The greatest offset at which a match anywhere in `name` ends, or nil.
    func longestEnd(in name: [UInt8]) -> Int? {
        var current: [Int] = []
        var next: [Int] = []
        // The step in which a state was last added, so that each is added once a step.
        var added = [Int](repeating: -1, count: code.count)
        var stack: [Int] = []
        var longest: Int?

        func add(_ first: Int, at offset: Int, to states: inout [Int]) {
            stack.append(first)
            while let state = stack.popLast() {
                if added[state] == offset { continue }
                added[state] = offset
                switch code[state] {
                case .jump(let target): stack.append(target)
                case .split(let one, let other):
                    stack.append(one)
                    stack.append(other)
                case .start: if offset == 0 { stack.append(state + 1) }
                case .end: if offset == name.count { stack.append(state + 1) }
                case .match: longest = offset
                case .byte, .set: states.append(state)
                }
            }
        }

        for offset in 0...name.count {
            // A match may begin at every offset.
            add(0, at: offset, to: &current)
            if offset == name.count { break }
            next.removeAll(keepingCapacity: true)
            for state in current {
                switch code[state] {
                case .byte(let byte) where byte == name[offset]: add(state + 1, at: offset + 1, to: &next)
                case .set(let set) where set.contains(name[offset]): add(state + 1, at: offset + 1, to: &next)
                default: break
                }
            }
            swap(&current, &next)
        }
        return longest
    }
}
