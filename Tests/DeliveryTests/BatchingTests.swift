import Config
import OTLP
import Pipeline
import Testing

@testable import Delivery

@Suite struct BatchingTests {
    private func harness(_ change: @escaping (inout BatchPolicy) -> Void) -> Harness {
        Harness {
            var policy = BatchPolicy()
            change(&policy)
            $0.queue.batch = policy
        }
    }

    @Test func gathersUntilTheMinimum() throws {
        var harness = harness { $0.minSize = 5 }
        try harness.enqueue(1..<3, token: 1)
        try harness.enqueue(3..<5, token: 2)
        #expect(harness.accepted(1) && harness.accepted(2))
        #expect(harness.inFlight.isEmpty)
        try harness.enqueue(5..<8, token: 3)
        #expect(harness.dispatched == [[1, 2, 3, 4, 5, 6, 7]])
        #expect(harness.inFlight[0].request.slices.count == 3)
    }

    @Test func flushesAfterTheTimeoutOfTheOldest() throws {
        var harness = harness { $0.minSize = 100 }
        try harness.enqueue(1..<2, token: 1)
        #expect(harness.timerSeconds == 0.2)
        harness.advance(.milliseconds(150))
        try harness.enqueue(2..<3, token: 2)
        harness.advance(.milliseconds(49))
        #expect(harness.inFlight.isEmpty)
        harness.advance(.milliseconds(1))
        #expect(harness.dispatched == [[1, 2]])
    }

    @Test func aFlushBySizeStartsTheTimeAnew() throws {
        var harness = harness { $0.minSize = 2 }
        try harness.enqueue(1..<2, token: 1)
        harness.advance(.milliseconds(100))
        try harness.enqueue(2..<3, token: 2)
        harness.advance(.milliseconds(50))
        try harness.enqueue(3..<4, token: 3)
        harness.advance(.milliseconds(199))
        #expect(harness.dispatched == [[1, 2]])
        harness.advance(.milliseconds(1))
        #expect(harness.dispatched == [[1, 2], [3]])
    }

    @Test func splitsOverTheMaximumAndKeepsTheRest() throws {
        var harness = harness {
            $0.minSize = 4
            $0.maxSize = 4
        }
        try harness.enqueue(1..<4, token: 1)
        try harness.enqueue(4..<12, token: 2)
        #expect(harness.dispatched == [[1, 2, 3, 4], [5, 6, 7, 8]])
        harness.advance(.milliseconds(200))
        #expect(harness.dispatched.last == [9, 10, 11])
        #expect(harness.machine.status.queueSize == 2)
        harness.complete()
        #expect(harness.machine.status.queueSize == 1)
        harness.complete()
        #expect(harness.machine.status.queueSize == 1)
        harness.complete()
        #expect(harness.machine.status.queueSize == 0)
    }

    @Test func splitsByBytes() throws {
        let span = try Samples.spans(1..<2, padding: 50).encodedSize(ofItems: 0..<1)
        var harness = harness {
            $0.sizer = .bytes
            $0.minSize = span * 3
            $0.maxSize = span * 3
        }
        try harness.enqueue(1..<8, token: 1, padding: 50)
        #expect(harness.dispatched == [[1, 2, 3], [4, 5, 6]])
        harness.advance(.milliseconds(200))
        #expect(harness.dispatched.last == [7])
    }

    @Test func anItemLargerThanTheMaximumGoesAlone() throws {
        var harness = harness {
            $0.sizer = .bytes
            $0.minSize = 1
            $0.maxSize = 40
        }
        try harness.enqueue(1..<4, token: 1, padding: 100)
        #expect(harness.dispatched == [[1], [2], [3]])
    }

    @Test func metricsAreSplitInProportionToTheirPoints() throws {
        var settings = DeliverySettings()
        var policy = BatchPolicy()
        policy.minSize = 1
        policy.maxSize = 20
        settings.queue.batch = policy
        var machine = DeliveryStateMachine<Int>(signal: .metrics, settings: settings, seed: 1)
        let batch = try Samples.metrics(10, points: 10)
        #expect(batch.itemCount == 100)
        let arrival = DeliveryStateMachine<Int>.Arrival(batch, token: 1, settings: settings.queue)
        let sizes = machine.enqueue(arrival, now: .now).compactMap { action -> Int? in
            guard case .dispatch(_, let request) = action else { return nil }
            return request.slices.reduce(0) { $0 + $1.items.count }
        }
        #expect(sizes == [2, 2, 2, 2, 2])
    }

    @Test func partitionsDoNotMix() throws {
        var harness = harness {
            $0.minSize = 2
            $0.metadataKeys = ["tenant"]
        }
        try harness.enqueue(1..<2, token: 1, metadata: ["tenant": ["a"]])
        try harness.enqueue(2..<3, token: 2, metadata: ["tenant": ["b"], "other": ["x"]])
        try harness.enqueue(3..<4, token: 3)
        try harness.enqueue(4..<5, token: 4, metadata: ["tenant": []])
        #expect(harness.inFlight.isEmpty)
        try harness.enqueue(5..<6, token: 5, metadata: ["tenant": ["a"], "other": ["y"]])
        #expect(harness.dispatched == [[1, 5]])
        harness.advance(.milliseconds(200))
        #expect(Set(harness.dispatched.dropFirst()) == [[2], [3], [4]])
    }

    @Test func aPartitionsKeysGoAlong() throws {
        var harness = harness {
            $0.minSize = 2
            $0.maxSize = 2
            $0.metadataKeys = ["tenant", "route"]
        }
        try harness.enqueue(1..<3, token: 1, metadata: ["tenant": ["a"], "route": [], "cookie": ["secret"]])
        try harness.enqueue(3..<5, token: 2, metadata: ["tenant": ["a"], "route": []])
        #expect(harness.inFlight.map(\.request.metadata) == Array(repeating: ["tenant": ["a"], "route": []], count: 2))
        try harness.enqueue(5..<6, token: 3, metadata: ["route": ["x", "y"]])
        harness.advance(.milliseconds(200))
        #expect(harness.inFlight.last?.request.metadata == ["route": ["x", "y"]])
    }

    @Test func gatheredDataTakesNothingAlong() throws {
        var harness = harness { $0.minSize = 2 }
        try harness.enqueue(1..<2, token: 1, metadata: ["tenant": ["a"]])
        try harness.enqueue(2..<3, token: 2, metadata: ["tenant": ["b"]])
        #expect(harness.inFlight.map(\.request.metadata) == [[:]])
    }

    @Test func metadataOfARequestGoesAlongAndCounts() throws {
        var harness = Harness()
        let batch = try Samples.spans(1..<5)
        let metadata = ["tenant": ["a"], "x": [String(repeating: "y", count: 1000)]]
        harness.enqueue(batch, token: 1, metadata: metadata)
        #expect(harness.inFlight.map(\.request.metadata) == [metadata])
        #expect(harness.machine.status.queueBytes > batch.heldBytes + 1000)
        harness.complete(0, .tooLarge("too large"))
        #expect(harness.dispatched == [[1, 2], [3, 4]])
        #expect(harness.inFlight.map(\.request.metadata) == [metadata, metadata])
        harness.complete()
        harness.complete()
        #expect(harness.machine.status.queueBytes == 0)
    }

    @Test func metadataDoesNotLieOnTheDisk() throws {
        var settings = QueueSettings()
        settings.storage = ComponentID(type: "file_storage")
        let metadata = ["authorization": ["secret"]]
        #expect(settings.metadata(of: [:], from: metadata).isEmpty)
        settings.batch = BatchPolicy()
        settings.batch?.metadataKeys = ["tenant"]
        #expect(settings.metadata(of: ["tenant": ["a"]], from: metadata) == ["tenant": ["a"]])
    }

    @Test func partitionsAreBounded() throws {
        var harness = harness {
            $0.minSize = 10
            $0.metadataKeys = ["tenant"]
            $0.cardinalityLimit = 2
        }
        try harness.enqueue(1..<2, token: 1, metadata: ["tenant": ["a"]])
        try harness.enqueue(2..<3, token: 2, metadata: ["tenant": ["b"]])
        try harness.enqueue(3..<4, token: 3, metadata: ["tenant": ["c"]])
        #expect(harness.refusal(3) == .queueFull)
        try harness.enqueue(3..<4, token: 4, metadata: ["tenant": ["b"]])
        #expect(harness.accepted(4))
        harness.advance(.milliseconds(200))
        try harness.enqueue(4..<5, token: 5, metadata: ["tenant": ["c"]])
        #expect(harness.accepted(5))
    }

    @Test func aSplitBatchIsAcceptedWhenAllItsPartsAreDelivered() throws {
        var harness = Harness {
            var policy = BatchPolicy()
            policy.minSize = 2
            policy.maxSize = 2
            $0.queue.batch = policy
            $0.queue.waitsForResult = true
        }
        try harness.enqueue(1..<6, token: 1)
        try harness.enqueue(6..<7, token: 2)
        #expect(harness.dispatched == [[1, 2], [3, 4], [5, 6]])
        harness.complete(2)
        #expect(harness.accepted(2))
        harness.complete()
        #expect(harness.settled[1] == nil)
        harness.complete()
        #expect(harness.accepted(1))
    }

    @Test func aRetryableFailureOfOnePartDecidesTheAnswer() throws {
        var harness = Harness {
            var policy = BatchPolicy()
            policy.minSize = 2
            policy.maxSize = 2
            $0.queue.batch = policy
            $0.queue.waitsForResult = true
            $0.retry.isEnabled = false
        }
        try harness.enqueue(1..<7, token: 1)
        harness.complete(0, .permanent("bad"))
        harness.complete(0, .retryable("down", after: nil))
        harness.complete(0, .permanent("bad"))
        #expect(harness.refusal(1) == .unavailable)
    }

    @Test(arguments: [(0, Duration.milliseconds(200)), (8192, .zero)])
    func aBatchProcessorWithoutTriggerSendsAtOnce(size: Int, timeout: Duration) throws {
        let policy = BatchPolicy(
            sendBatchSize: size, timeout: timeout, sendBatchMaxSize: 2, metadataKeys: ["Tenant"],
            metadataCardinalityLimit: 7)
        #expect(policy.metadataKeys == ["tenant"])
        #expect(policy.cardinalityLimit == 7)
        var harness = Harness { $0.queue.batch = policy }
        try harness.enqueue(1..<4, token: 1)
        #expect(harness.dispatched == [[1, 2], [3]])
    }

    @Test func aBatchProcessorsKeysKeepTheirMeaning() {
        let policy = BatchPolicy(
            sendBatchSize: 100, timeout: .seconds(1), sendBatchMaxSize: 200, metadataKeys: [],
            metadataCardinalityLimit: 1000)
        #expect(policy.minSize == 100 && policy.maxSize == 200 && policy.flushTimeout == .seconds(1))
        #expect(policy.sizer == .items)
    }
}
