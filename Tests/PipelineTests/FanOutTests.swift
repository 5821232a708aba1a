import OTLP
import Pipeline
import TestSupport
import Testing

@Suite struct FanOutTests {
    private func consume(_ consumer: any Consumer, _ batch: TelemetryBatch, _ outcomes: Outcomes) {
        consumer.consume(batch, context: RequestContext(metadata: ["k": ["v"]]), receipt: outcomes.receipt())
    }

    @Test func everyBranchGetsTheBatchAndSettles() throws {
        let consumers = [RecordingConsumer(), RecordingConsumer(), RecordingConsumer()]
        let outcomes = Outcomes()
        let batch = try SampleRequests.batch(.traces, items: 3)
        consume(FanOut(consumers), batch, outcomes)
        #expect(outcomes.all == [nil])
        for consumer in consumers {
            #expect(consumer.batches.count == 1)
            #expect(consumer.batches.first === batch)
            #expect(consumer.calls.first?.context.metadata == ["k": ["v"]])
        }
    }

    @Test func consumersThatChangeBatchesGetTheirOwn() throws {
        let plain = RecordingConsumer()
        let changing = [RecordingConsumer(mutatesBatches: true), RecordingConsumer(mutatesBatches: true)]
        let batch = try SampleRequests.batch(.traces, items: 2)
        let outcomes = Outcomes()
        consume(FanOut([changing[0], plain, changing[1]]), batch, outcomes)
        #expect(plain.batches.first === batch)
        let forks = changing.compactMap(\.batches.first)
        #expect(forks.count == 2 && forks[0] !== forks[1] && forks[0] !== batch && forks[1] !== batch)
        [UInt8]([8, 1]).withUnsafeBytes { _ = forks[0].append($0, toItem: 0) }
        forks[1].filterItems { $0 == 1 }
        #expect(batch.isPristine && batch.items.count == 2)
        #expect(!forks[0].isPristine && forks[0].items.count == 2)
        #expect(forks[1].items.count == 1)
        #expect(outcomes.all == [nil])
    }

    @Test func oneConsumerIsNoFanOut() throws {
        let only = RecordingConsumer(mutatesBatches: true)
        #expect(FanOut.joining([only]) === only)
        #expect(FanOut([only]).mutatesBatches, "it hands the batch on as it is")
        #expect(!FanOut([only, RecordingConsumer()]).mutatesBatches)
    }

    @Test func noConsumerIsAnError() throws {
        let outcomes = Outcomes()
        consume(FanOut.joining([]), try SampleRequests.batch(.logs), outcomes)
        #expect(outcomes.all.map(\.?.code) == [.internal])
    }

    @Test func oneRefusalIsTheRequests() throws {
        let full = ConsumeError(.queueFull, "full", retryAfter: .seconds(3))
        let consumers = [
            RecordingConsumer { _ in .refuse(ConsumeError(.refused, "never")) }, RecordingConsumer(),
            RecordingConsumer { _ in .refuse(full) }, RecordingConsumer { _ in .drop },
        ]
        let outcomes = Outcomes()
        consume(FanOut(consumers), try SampleRequests.batch(.metrics), outcomes)
        #expect(outcomes.all == [full])
    }

    @Test func nestedFanOutsSettleOnce() throws {
        let consumers = (0..<6).map { _ in RecordingConsumer { _ in .nothing } }
        let outcomes = Outcomes()
        let inner = FanOut(Array(consumers[2...]))
        consume(FanOut([consumers[0], inner, consumers[1]]), try SampleRequests.batch(.traces), outcomes)
        for consumer in consumers {
            #expect(outcomes.all.isEmpty)
            consumer.calls.first?.receipt?.accept()
        }
        #expect(outcomes.all == [nil])
    }
}
