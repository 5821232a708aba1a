import OTLP
import Synchronization
import TestSupport
import Testing

@testable import Pipeline

@Suite struct JointTests {
    private func hand(_ batch: TelemetryBatch, to joint: Joint) -> Outcomes {
        let outcomes = Outcomes()
        joint.consume(batch, context: RequestContext(), receipt: outcomes.receipt())
        return outcomes
    }

    @Test func batchesGoTheWayOfTheirTime() throws {
        let (first, second, third) = (RecordingConsumer(), RecordingConsumer(), RecordingConsumer())
        let joint = Joint([first])
        #expect(joint.leads(to: [first]) && !joint.leads(to: [second]) && !joint.leads(to: []))
        let answered1 = hand(try SampleRequests.batch(.traces, items: 1), to: joint).all
        #expect(answered1 == [nil])
        let passage = joint.redirect(to: [second, third])
        #expect(passage.isOver, "nobody is inside")
        #expect(joint.leads(to: [second, third]))
        let answered2 = hand(try SampleRequests.batch(.traces, items: 2), to: joint).all
        #expect(answered2 == [nil])
        #expect([first, second, third].map(\.itemCount) == [1, 2, 2])
    }

    @Test func aCallThatIsInsideIsWaitedFor() throws {
        let last = RecordingConsumer()
        // Redirects the joint from inside of a call.
        final class Redirecting: Consumer {
            let joint = Mutex<Joint?>(nil)
            let passage = Mutex<Joint.Passage?>(nil)
            let next: RecordingConsumer
            let wasOver = Mutex<Bool?>(nil)
            var mutatesBatches: Bool { false }

            init(_ next: RecordingConsumer) { self.next = next }

            func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
                let passage = joint.withLock { $0 }?.redirect(to: [next])
                wasOver.withLock { $0 = passage?.isOver }
                self.passage.withLock { $0 = passage }
                receipt.accept()
            }
        }
        let inside = Redirecting(last)
        let joint = Joint([inside])
        inside.joint.withLock { $0 = joint }
        _ = hand(try SampleRequests.batch(.traces, items: 1), to: joint)
        #expect(inside.wasOver.withLock { $0 } == false)
        #expect(inside.passage.withLock { $0?.isOver } == true)
        inside.joint.withLock { $0 = nil }
        _ = hand(try SampleRequests.batch(.traces, items: 1), to: joint)
        #expect(last.itemCount == 1)
    }

    /// Stages above have asked before, and gave the same batch to others when the answer was no.
    @Test func aConsumerThatChangesBatchesGetsItsOwn() throws {
        let (reader, changer) = (RecordingConsumer(), RecordingConsumer(mutatesBatches: true))
        let joint = Joint([reader])
        _ = joint.redirect(to: [changer])
        #expect(!joint.mutatesBatches)
        let batch = try SampleRequests.batch(.traces, items: 1)
        _ = hand(batch, to: joint)
        #expect(changer.batches.count == 1 && changer.batches[0] !== batch)
        _ = joint.redirect(to: [reader])
        _ = hand(batch, to: joint)
        #expect(reader.batches.count == 1 && reader.batches[0] === batch)

        let other = Joint([changer])
        _ = hand(batch, to: other)
        #expect(other.mutatesBatches && changer.batches[1] === batch)
    }

    @Test func nobodyToHandOnToRefuses() throws {
        let joint = Joint([])
        let answered = hand(try SampleRequests.batch(.traces, items: 1), to: joint).all
        #expect(answered.first??.code == .internal)
    }
}

@Suite struct ListenerRegistryTests {
    private final class Owner: Sendable {}

    @Test func onlyWhoEndsIsSucceeded() {
        let registry = ListenerRegistry()
        let (one, two) = (Owner(), Owner())
        registry.add("h:1", component: "receiver/otlp", owner: one)
        registry.add("h:2", component: "receiver/other", owner: two)
        #expect(registry.predecessor(at: "h:1") == nil, "no change is under way")
        registry.beginChange(ending: ["receiver/otlp"])
        #expect(registry.predecessor(at: "h:1") === one)
        #expect(registry.predecessor(at: "h:2") == nil && registry.predecessor(at: "h:3") == nil)
        registry.add(ending: "receiver/other")
        #expect(registry.predecessor(at: "h:2") === two)
        registry.cancel()
        #expect(registry.predecessor(at: "h:1") == nil)
    }

    @Test func transfersHappenAtTheCommitOnly() {
        let registry = ListenerRegistry()
        let runs = Mutex(0)
        registry.beginChange(ending: [])
        registry.onCommit { runs.withLock { $0 += 1 } }
        registry.cancel()
        registry.commit()
        #expect(runs.withLock { $0 } == 0)
        registry.beginChange(ending: [])
        registry.onCommit { runs.withLock { $0 += 1 } }
        registry.commit()
        registry.commit()
        #expect(runs.withLock { $0 } == 1)
    }

    @Test func onlyTheOwnerLeaves() {
        let registry = ListenerRegistry()
        let (one, two) = (Owner(), Owner())
        registry.add("h:1", component: "receiver/otlp", owner: one)
        registry.add("h:1", component: "receiver/otlp", owner: two)
        registry.remove("h:1", owner: one)
        registry.beginChange(ending: ["receiver/otlp"])
        #expect(registry.predecessor(at: "h:1") === two)
        registry.remove("h:1", owner: two)
        #expect(registry.predecessor(at: "h:1") == nil)
    }
}
