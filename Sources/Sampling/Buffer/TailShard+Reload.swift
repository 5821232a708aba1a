/// What decisions that were taken refer to, whatever policies there are by now. Grows by the names and salts that
/// reloads bring.
struct KnownNames {
    /// Names of policies.
    private(set) var policies: [String]
    /// Of each policy of the present program, its index in `policies`.
    private var ofProgram: [Int32]
    /// Hashes that stood for randomness.
    private var hashes: [SaltedHash] = []
    /// The present program's; 0 when it has none, otherwise its index in `hashes` + 1.
    private(set) var hash: UInt8 = 0

    init(_ program: PolicyProgram) {
        policies = program.names
        ofProgram = program.names.indices.map { Int32($0) }
        noteHash(program)
    }

    /// The index in `policies` of a policy of the present program.
    func policy(_ index: Int) -> Int32 { ofProgram.indices.contains(index) ? ofProgram[index] : -1 }

    /// The randomness that a hash gives a trace.
    func randomness(_ hash: UInt8, _ id: (high: UInt64, low: UInt64)) -> Randomness? {
        hash == 0 || Int(hash) > hashes.count ? nil : SaltedHash.randomness(hashes[Int(hash) - 1].hash(id))
    }

    /// What entries of decisions refer to by number.
    var names: DecisionNames {
        var names = DecisionNames()
        names.policies = policies
        names.hashes = hashes.map(\.start)
        return names
    }

    /// What stands here for a name, or a hash, of decisions that were taken earlier.
    mutating func index(ofPolicy name: String) -> Int32 {
        if let known = policies.firstIndex(of: name) { return Int32(known) }
        policies.append(name)
        return Int32(policies.count - 1)
    }

    mutating func index(ofHash start: UInt64) -> UInt8 { index(of: SaltedHash(start: start)) }

    /// The index + 1; 0 when there is no room.
    private mutating func index(of hash: SaltedHash) -> UInt8 {
        if let known = hashes.firstIndex(of: hash) { return UInt8(known + 1) }
        guard hashes.count < Int(UInt8.max) else { return 0 }
        hashes.append(hash)
        return UInt8(hashes.count)
    }

    /// Another program is the present one.
    mutating func note(_ program: PolicyProgram) {
        ofProgram = program.names.map { index(ofPolicy: $0) }
        noteHash(program)
    }

    private mutating func noteHash(_ program: PolicyProgram) {
        hash = program.hash.map { index(of: $0) } ?? 0
    }
}

extension TailShard {
    /// Goes on with other settings and policies: traces that are held will be decided about by them, decisions taken
    /// stay. `takeTallies` comes before it. The sizes of the caches and `evaluatesAtIngest` stay as they are.
    package mutating func replace(_ settings: TailSettings, _ program: PolicyProgram) {
        let old = self.program
        let strategy = self.settings.evaluatesAtIngest
        self.settings = settings
        self.settings.evaluatesAtIngest = strategy
        self.program = program
        known.note(program)
        facts = TraceFacts(program.plan)
        tallies = Array(repeating: PolicyTally(), count: program.names.count)
        envelopes.forgetResourceBits()
        guard strategy, let records = table.records else { return }
        var slot = table.first(.age)
        while slot != TraceTable.none {
            let record = records + Int(slot)
            let pending = record.pointee.pendingPolicy
            if pending >= 0, old.names.indices.contains(Int(pending)) {
                let place = program.names.firstIndex(of: old.names[Int(pending)])
                record.pointee.pendingPolicy = place.map { Int32($0) } ?? TraceRecord.formerPolicy
            }
            slot = record.pointee.links[TraceList.age.rawValue].next
        }
    }
}
