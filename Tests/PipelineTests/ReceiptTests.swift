import Pipeline
import Synchronization
import TestSupport
import Testing

@Suite struct ReceiptTests {
    private let busy = ConsumeError(.queueFull, "full")
    private let never = ConsumeError(.refused, "never")

    @Test func completesOnce() {
        let outcomes = Outcomes()
        let receipt = outcomes.receipt()
        receipt.accept()
        receipt.accept()
        receipt.refuse(busy)
        #expect(outcomes.all == [nil])
    }

    @Test func waitsForEveryBranch() {
        let outcomes = Outcomes()
        let receipt = outcomes.receipt()
        receipt.expect(2)
        receipt.accept()
        receipt.accept()
        #expect(outcomes.all.isEmpty)
        receipt.accept()
        #expect(outcomes.all == [nil])
    }

    @Test func expectingNothingChangesNothing() {
        let outcomes = Outcomes()
        let receipt = outcomes.receipt()
        receipt.expect(0)
        receipt.expect(-5)
        receipt.accept()
        #expect(outcomes.all == [nil])
    }

    @Test func aRetryableErrorBeatsAPermanentOne() {
        for errors in [[busy, never], [never, busy]] {
            let outcomes = Outcomes()
            let receipt = outcomes.receipt()
            receipt.expect(2)
            errors.forEach(receipt.refuse)
            receipt.accept()
            #expect(outcomes.all == [busy])
        }
    }

    @Test func theFirstOfEqualErrorsIsKept() {
        let outcomes = Outcomes()
        let receipt = outcomes.receipt()
        receipt.expect(1)
        receipt.refuse(busy)
        receipt.refuse(ConsumeError(.memoryLimit, "later"))
        #expect(outcomes.all == [busy])
    }

    @Test func aDroppedReceiptIsAnInternalError() {
        let outcomes = Outcomes()
        _ = outcomes.receipt()
        #expect(outcomes.all.map(\.?.code) == [.internal])
    }

    @Test func aDroppedBranchKeepsTheRetryableErrorOfAnother() {
        let outcomes = Outcomes()
        do {
            let receipt = outcomes.receipt()
            receipt.expect(2)
            receipt.accept()
            receipt.refuse(busy)
        }
        #expect(outcomes.all == [busy])
        do {
            let receipt = outcomes.receipt()
            receipt.expect(1)
            receipt.refuse(never)
        }
        #expect(outcomes.all.last??.code == .refused)
    }

    @Test func manyThreadsSettleOnce() async {
        for round in 0..<50 {
            let outcomes = Outcomes()
            let receipt = outcomes.receipt()
            let branches = 16
            receipt.expect(branches - 1)
            await withTaskGroup(of: Void.self) { group in
                for branch in 0..<branches {
                    group.addTask {
                        switch (branch + round) % 3 {
                        case 0: receipt.refuse(ConsumeError(.refused, "never"))
                        case 1: receipt.refuse(ConsumeError(.unavailable, "later"))
                        default: receipt.accept()
                        }
                    }
                }
            }
            #expect(outcomes.all.map(\.?.code) == [.unavailable])
        }
    }

    @Test func retryabilityIsTheCodes() {
        let retryable: [ConsumeError.Code] = [
            .queueFull, .memoryLimit, .shuttingDown, .deadlineExceeded, .unavailable,
        ]
        for code in retryable { #expect(ConsumeError(code, "x").isRetryable) }
        for code in [ConsumeError.Code.refused, .internal] { #expect(!ConsumeError(code, "x").isRetryable) }
        #expect(ConsumeError(.queueFull, "no room").description == "queue_full: no room")
    }
}
