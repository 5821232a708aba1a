internal import NIOCore
internal import Synchronization

/// All connections of a server: their number, and one registry for each event loop.
final class HTTPServerConnections: Sendable {
    let count = Atomic<Int>(0)
    private let limit: Atomic<Int>
    private let registries = Mutex<[ObjectIdentifier: NIOLoopBound<HTTPConnectionRegistry>]>([:])

    init(limit: Int) { self.limit = Atomic(limit) }

    /// Makes a registry for each loop of the group and starts its clock. Blocks: off the event loops only.
    func registerLoops(of group: any EventLoopGroup) throws {
        for loop in group.makeIterator() {
            let registry = try loop.submit {
                let registry = NIOLoopBound(HTTPConnectionRegistry(self), eventLoop: loop)
                loop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { task in
                    if registry.value.isFinished { task.cancel() } else { registry.value.checkDeadlines() }
                }
                return registry
            }.wait()
            registries.withLock { $0[ObjectIdentifier(loop)] = registry }
        }
    }

    /// The registry of a loop. On that loop.
    func registry(of loop: any EventLoop) -> HTTPConnectionRegistry? {
        registries.withLock { $0[ObjectIdentifier(loop)] }?.value
    }

    /// Counts one more connection, unless that passes the limit.
    func admitOne() -> Bool {
        guard count.add(1, ordering: .relaxed).newValue <= limit.load(ordering: .relaxed) else {
            count.subtract(1, ordering: .relaxed)
            return false
        }
        return true
    }

    /// From now on requests are served so, those of open connections too. `endsConnections` has these end after their
    /// next answer.
    func serve(_ serving: HTTPServing, limit: Int, endsConnections: Bool) {
        self.limit.store(limit, ordering: .relaxed)
        onEachLoop { $0.serve(serving, endsConnections: endsConnections) }
    }

    func drain() { onEachLoop { $0.drain() } }

    func closeUnfinished() { onEachLoop { $0.closeUnfinished() } }

    func closeAll() { onEachLoop { $0.closeAll() } }

    private func onEachLoop(_ body: @escaping @Sendable (HTTPConnectionRegistry) -> Void) {
        for bound in registries.withLock({ Array($0.values) }) {
            bound.eventLoop.execute { body(bound.value) }
        }
    }
}

/// The connections of one event loop; lives on it.
final class HTTPConnectionRegistry {
    private let owner: HTTPServerConnections
    private var connections: [ObjectIdentifier: any ServedConnection] = [:]
    /// True once the server ends: answers then close their connection.
    private(set) var isDraining = false
    /// How requests are served since another server took over; nil until then.
    private(set) var serving: HTTPServing?
    /// Counts such changes.
    private(set) var generation: UInt64 = 0

    init(_ owner: HTTPServerConnections) { self.owner = owner }

    /// True when the server ends and nothing is left here.
    var isFinished: Bool { isDraining && connections.isEmpty }

    func add(_ connection: any ServedConnection) { connections[ObjectIdentifier(connection)] = connection }

    /// Forgets a connection that another one takes the place of; it stays counted.
    func hand(over connection: any ServedConnection) { connections[ObjectIdentifier(connection)] = nil }

    func remove(_ connection: any ServedConnection) {
        guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        owner.count.subtract(1, ordering: .relaxed)
    }

    func serve(_ serving: HTTPServing, endsConnections: Bool) {
        self.serving = serving
        generation &+= 1
        if endsConnections { for connection in Array(connections.values) { connection.endSoon() } }
    }

    func drain() {
        isDraining = true
        for connection in Array(connections.values) { connection.drain() }
    }

    func closeUnfinished() {
        isDraining = true
        for connection in Array(connections.values) { connection.closeUnlessWaiting() }
    }

    func closeAll() {
        isDraining = true
        for connection in Array(connections.values) { connection.close() }
    }

    func checkDeadlines() {
        let now = NIODeadline.now()
        for connection in Array(connections.values) { connection.checkDeadline(now) }
    }
}
