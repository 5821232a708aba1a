/// Whose data something is, where clients share what is scarce: a tenant, a user or an address, hashed to a small
/// number. Two clients may get the same number and are then one; which ones, differs from process to process.
package struct ClientKey: Sendable, Hashable {
    /// Numbers that there are, `none` included.
    package static let count = 1024
    /// Data that no client sent, or nobody knows whose: no share bounds it.
    package static let none = ClientKey(index: 0)

    /// From 0 up to, without, `count`.
    package let index: Int

    private init(index: Int) { self.index = index }

    /// - Parameters:
    ///   - identity: what an authenticator knows about the client. It counts when it tells clients apart.
    ///   - address: of the peer, without port.
    package init(identity: ClientIdentity?, address: String?) {
        if let identity, identity.key != .none {
            self = identity.key
        } else if let address {
            self.init(hashing: address)
        } else {
            self = .none
        }
    }

    /// The number of anything that tells clients apart.
    init(hashing value: some Hashable) {
        // Seeded by the process, so that nobody can choose whose number to have.
        var hasher = Hasher()
        hasher.combine(value)
        index = 1 + Int(UInt(bitPattern: hasher.finalize()) % UInt(Self.count - 1))
    }
}

/// How much of something bounded one client may hold while there are others: `weight` times what is free. Whoever holds
/// much gets no more before it is all gone, so whoever holds little finds room; alone, a client may have everything.
///
/// This is what switches do with their buffers (dynamic thresholds: Choudhury and Hahne, 1998).
package enum FairShare {
    /// One greedy client gets eight ninths, two get eight seventeenths each.
    package static let weight = 8
    /// How long after a request of another client a client does not count as alone.
    package static let contention = Duration.seconds(10)

    /// Whether a client that holds `own` may take `amount` more while `free` is left. None is negative.
    package static func allows(_ amount: Int, beside own: Int, free: Int) -> Bool {
        let (share, overflow) = free.multipliedReportingOverflow(by: weight)
        return overflow || amount <= share - own
    }
}
