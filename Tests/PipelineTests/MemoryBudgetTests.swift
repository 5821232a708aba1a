import Synchronization
import TestSupport
import Testing

@testable import Pipeline

@Suite struct MemoryBudgetTests {
    @Test func requestsAreRefusedAboveTheSoftLimit() {
        let budget = MemoryBudget(limit: 100, spike: 20)
        #expect(budget.softLimit == 80 && budget.hardLimit == 100)
        let first = budget.lease(80)
        #expect(first?.bytes == 80)
        let spike = budget.lease(20)
        #expect(spike != nil, "the soft limit is reached, not passed")
        #expect(budget.lease(0) == nil)
        #expect(budget.heldBytes == 100)
        #expect(budget.refusedRequests == 1)
    }

    @Test func aRequestLargerThanTheSoftLimitNeverFits() {
        let budget = MemoryBudget(limit: 100, spike: 20)
        #expect(budget.lease(81) == nil)
        #expect(budget.lease(.max) == nil)
        #expect(budget.heldBytes == 0)
        let small = budget.lease(50)
        #expect(budget.lease(51) == nil)
        #expect(budget.lease(.max) == nil)
        #expect(small != nil && budget.heldBytes == 50)
    }

    @Test func leasesGiveBackWhenTheyEnd() {
        let budget = MemoryBudget(limit: 100, spike: 0)
        do {
            let lease = budget.lease(60)
            #expect(lease?.resize(to: 100) == true)
            #expect(budget.heldBytes == 100)
        }
        #expect(budget.heldBytes == 0)
    }

    @Test func growthStopsAtTheHardLimit() throws {
        let budget = MemoryBudget(limit: 100, spike: 50)
        let lease = try #require(budget.lease(50))
        #expect(lease.resize(to: 100))
        #expect(!lease.resize(to: 101))
        #expect(lease.bytes == 100 && budget.heldBytes == 100)
        #expect(!lease.resize(to: .max))
        #expect(lease.resize(to: 10))
        #expect(budget.heldBytes == 10)
        #expect(budget.refusedRequests == 2)
    }

    @Test func shrinkingWorksAboveTheLimit() throws {
        let budget = MemoryBudget(limit: 0, spike: 0)
        #expect(budget.lease(1) == nil)
        let empty = try #require(budget.lease(0))
        #expect(!empty.resize(to: 1))
        #expect(empty.resize(to: 0))
    }

    @Test func oddBoundsAreClamped() {
        let budget = MemoryBudget(limit: 10, spike: 20)
        #expect(budget.softLimit == 0 && budget.hardLimit == 10)
        let negative = MemoryBudget(limit: -1, spike: -1)
        #expect(negative.softLimit == 0 && negative.hardLimit == 0)
        #expect(MemoryBudget(limit: 10, spike: -5).softLimit == 10)
    }

    @Test func clientsWaitLongerUnderPressure() throws {
        let budget = MemoryBudget(limit: 1000, spike: 0)
        #expect(budget.retryAfter == .seconds(1))
        let lease = try #require(budget.lease(899))
        #expect(budget.retryAfter == .seconds(1))
        #expect(lease.resize(to: 900) && budget.retryAfter == .seconds(5))
        #expect(lease.resize(to: 970) && budget.retryAfter == .seconds(30))
    }

    @Test func nearTheLimitClientsHaveShares() throws {
        let clock = Mutex(ContinuousClock.now)
        let budget = MemoryBudget(limit: 1000, spike: 100, clock: { clock.withLock { $0 } })
        let greedy = ClientKey(hashing: 1)
        let modest = try #require((2...9).map { ClientKey(hashing: $0) }.first { $0 != greedy })
        func fill() -> [MemoryLease] {
            var leases: [MemoryLease] = []
            while let lease = budget.lease(10, for: greedy) { leases.append(lease) }
            return leases
        }
        // Alone, up to the soft limit.
        #expect(fill().count == 91)
        let first = try #require(budget.lease(10, for: modest))
        var held = fill()
        #expect((78...80).contains(held.count))
        let second = try #require(budget.lease(50, announced: 60, for: modest))
        #expect(budget.lease(10, for: greedy) == nil)
        #expect(budget.lease(10) != nil)
        held.removeLast(20)
        #expect(budget.lease(10, for: greedy) != nil)
        clock.withLock { $0 += .seconds(11) }
        held += fill()
        #expect(budget.heldBytes >= 900)
        withExtendedLifetime((first, second)) {}
        held = []
    }

    @Test func manyThreadsStayBelowTheHardLimit() async {
        let budget = MemoryBudget(limit: 1000, spike: 100)
        let tally = Tally()
        await withTaskGroup(of: Void.self) { group in
            for seed in 0..<8 {
                group.addTask { Self.leaseAndRelease(budget, seed, tally) }
            }
        }
        #expect(tally.highest.load(ordering: .relaxed) <= 1000)
        #expect(tally.highest.load(ordering: .relaxed) > 0)
        #expect(tally.granted.load(ordering: .relaxed) == 0)
        #expect(budget.heldBytes == 0)
    }

    private final class Tally: Sendable {
        let granted = Atomic(0)
        let highest = Atomic(0)
    }

    /// Counts what was granted by hand: each grant is added after it is given and taken off before it is given back,
    /// so the count is never above what the budget has given away.
    private static func leaseAndRelease(_ budget: MemoryBudget, _ seed: Int, _ tally: Tally) {
        var generator = SeededGenerator(seed: UInt64(seed))
        var leases: [MemoryLease] = []
        func note(_ change: Int) {
            let sum = tally.granted.add(change, ordering: .sequentiallyConsistent).newValue
            tally.highest.max(sum, ordering: .relaxed)
        }
        for _ in 0..<5000 {
            switch generator.below(3) {
            case 0:
                let bytes = generator.below(300)
                if let lease = budget.lease(bytes) {
                    note(bytes)
                    leases.append(lease)
                }
            case 1:
                guard let lease = leases.last else { continue }
                let (old, new) = (lease.bytes, generator.below(300))
                if new < old { note(new - old) }
                if lease.resize(to: new), new > old { note(new - old) }
            default:
                guard let lease = leases.popLast() else { continue }
                note(-lease.bytes)
            }
        }
        for lease in leases { note(-lease.bytes) }
    }
}
