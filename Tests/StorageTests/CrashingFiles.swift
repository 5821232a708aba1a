import Synchronization

@testable import Storage

/// Files in memory that fail and crash as told. A crash keeps what was synchronised, and of what was not any prefix of
/// the writes, the last of them in part; of the directory, what was synchronised and any of the rest.
final class CrashingFiles: LogFileSystem {
    struct Random: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    enum Change {
        case write(Int, [UInt8])
        case truncate(Int)
    }

    /// The content of a file, whatever its names.
    final class Node {
        var bytes: [UInt8] = []
        var durable: [UInt8] = []
        var unsynced: [Change] = []

        static func apply(_ change: Change, to bytes: inout [UInt8]) {
            switch change {
            case .truncate(let size):
                if size < bytes.count { bytes.removeSubrange(size...) }
                while bytes.count < size { bytes.append(0) }
            case .write(let offset, let data):
                while bytes.count < offset + data.count { bytes.append(0) }
                bytes.replaceSubrange(offset..<offset + data.count, with: data)
            }
        }
    }

    struct State {
        var names: [String: Node] = [:]
        var durableNames: [String: Node] = [:]
        var locked: Set<String> = []
        var random: Random
        /// Calls until one fails; nil for never.
        var failsIn: Int?
        var failure: StorageError.Kind = .io
        /// Bytes that all files may have together.
        var capacity = Int.max
        var calls = 0
    }

    struct Box: @unchecked Sendable {
        // Sendable: the mutex around it lets one thread in at a time.
        var state: State
    }

    let box: Mutex<Box>

    init(seed: UInt64) { box = Mutex(Box(state: State(random: Random(state: seed)))) }

    func with<Result: Sendable>(_ body: (inout State) -> Result) -> Result { box.withLock { body(&$0.state) } }

    /// Counts a call; throws when it is the one that fails.
    func step(_ what: String) throws(StorageError) {
        let kind: StorageError.Kind? = with { state in
            state.calls += 1
            guard let left = state.failsIn else { return nil }
            state.failsIn = left - 1
            return left <= 0 ? state.failure : nil
        }
        if let kind { throw StorageError(kind, "\(what): made up") }
    }

    /// The machine goes down and comes up again.
    func crash() {
        with { state in
            for node in Set(state.names.values.map(ObjectIdentifier.init)).count > 0 ? Array(state.names.values) : [] {
                var bytes = node.durable
                let kept = Int.random(in: 0...node.unsynced.count, using: &state.random)
                for change in node.unsynced.prefix(kept) { Node.apply(change, to: &bytes) }
                if kept < node.unsynced.count, case .write(let offset, let data) = node.unsynced[kept] {
                    let part = Int.random(in: 0...data.count, using: &state.random)
                    Node.apply(.write(offset, Array(data.prefix(part))), to: &bytes)
                }
                node.bytes = bytes
                node.durable = bytes
                node.unsynced = []
            }
            // Names that were made or removed since the directory was synchronised may be as before.
            var names = state.durableNames
            for name in Set(state.names.keys).union(state.durableNames.keys).sorted()
            where state.names[name] !== state.durableNames[name] {
                if Bool.random(using: &state.random) { names[name] = state.names[name] }
            }
            state.names = names
            state.durableNames = names
            state.locked = []
            state.failsIn = nil
        }
    }

    /// The process is killed: what was written stays.
    func kill() {
        with {
            $0.locked = []
            $0.failsIn = nil
        }
    }

    func flipBit(in suffix: String) -> Bool {
        with { state in
            let names = state.names.keys.filter { $0.hasSuffix(suffix) && state.names[$0]?.bytes.isEmpty == false }
            guard let name = names.sorted().randomElement(using: &state.random), let node = state.names[name] else {
                return false
            }
            let bit = Int.random(in: 0..<node.bytes.count * 8, using: &state.random)
            node.bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            node.durable = node.bytes
            node.unsynced = []
            return true
        }
    }

    var names: [String] { with { $0.names.keys.sorted() } }

    // MARK: LogFileSystem

    func list(_ directory: String) throws(StorageError) -> [String] {
        try step("list")
        return with { state in
            state.names.keys.filter { $0.hasPrefix(directory + "/") }.map { String($0.dropFirst(directory.count + 1)) }
        }
    }

    func makeDirectory(_ path: String, permissions: UInt32) throws(StorageError) { try step("mkdir") }

    func open(_ path: String, _ mode: LogFileMode) throws(StorageError) -> any LogFile {
        try step("open")
        let found: Box2? = with { state in
            if let node = state.names[path] { return mode == .create ? nil : Box2(node: node) }
            guard mode == .create || mode == .createOrWrite else { return nil }
            let node = Node()
            state.names[path] = node
            return Box2(node: node)
        }
        guard let found else { throw StorageError(.missing, path) }
        return CrashingFile(self, found.node)
    }

    struct Box2: @unchecked Sendable {
        // Sendable: only carries a node out of the lock.
        let node: Node
    }

    func remove(_ path: String) throws(StorageError) {
        try step("remove")
        with { _ = $0.names.removeValue(forKey: path) }
    }

    func syncDirectory(_ path: String) throws(StorageError) {
        try step("sync directory")
        with { $0.durableNames = $0.names }
    }

    func lock(_ path: String) throws(StorageError) -> any LogFile {
        try step("lock")
        guard with({ $0.locked.insert(path).inserted }) else { throw StorageError(.locked, path) }
        let file = try open(path, .createOrWrite)
        guard let file = file as? CrashingFile else { return file }
        file.lockedPath = path
        return file
    }

    func random() -> UInt64 { with { $0.random.next() } }
}

final class CrashingFile: LogFile {
    private let files: CrashingFiles
    private let node: CrashingFiles.Node
    var lockedPath: String?

    init(_ files: CrashingFiles, _ node: CrashingFiles.Node) {
        self.files = files
        self.node = node
    }

    func size() throws(StorageError) -> Int {
        try files.step("size")
        return node.bytes.count
    }

    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(StorageError) -> Int {
        try files.step("read")
        guard offset < node.bytes.count else { return 0 }
        let count = min(buffer.count, node.bytes.count - offset)
        buffer.copyBytes(from: node.bytes[offset..<offset + count])
        return count
    }

    func write(at offset: Int, _ slices: [UnsafeRawBufferPointer]) throws(StorageError) {
        var data = slices.flatMap { Array($0) }
        var fault: StorageError?
        do throws(StorageError) { try files.step("write") } catch { fault = error }
        let used = files.with { state in state.names.values.reduce(0) { $0 + $1.bytes.count } }
        let room = files.with { $0.capacity } - used
        if fault == nil, max(0, offset + data.count - node.bytes.count) > room {
            fault = StorageError(.noSpace, "full: made up")
        }
        // A failed write may have come any way.
        if fault != nil { data = Array(data.prefix(files.with { Int.random(in: 0...data.count, using: &$0.random) })) }
        let change = CrashingFiles.Change.write(offset, data)
        CrashingFiles.Node.apply(change, to: &node.bytes)
        node.unsynced.append(change)
        if let fault { throw fault }
    }

    func sync() throws(StorageError) {
        try files.step("sync")
        node.durable = node.bytes
        node.unsynced = []
    }

    func truncate(to size: Int) throws(StorageError) {
        try files.step("truncate")
        let change = CrashingFiles.Change.truncate(size)
        CrashingFiles.Node.apply(change, to: &node.bytes)
        node.unsynced.append(change)
    }

    func close() {
        if let lockedPath { files.with { _ = $0.locked.remove(lockedPath) } }
        lockedPath = nil
    }
}
