import Config
import OTLP
import Pipeline
import Sampling
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Processors

/// The processor around the shards: configuration, acknowledgement, bounds, refusals, the end.
@Suite struct TailSamplingTests {
    private func settings(_ yaml: String) throws -> TailSamplingSettings {
        let root = try ConfigLoader().load(configs: ["yaml:" + yaml]).root
        let section = ConfigSection(root, path: "processors::tail_sampling")
        let settings = TailSamplingSettings(from: section)
        try section.finish()
        return settings
    }

    private func withProcessor(
        _ yaml: String, next: RecordingConsumer, _ body: (TailSamplingProcessor, TestEnvironment) async throws -> Void
    ) async throws {
        let environment = TestEnvironment()
        let id = ComponentID(type: "tail_sampling")
        let settings = try settings(yaml)
        let processor = try TailSamplingProcessor(settings, id: id, next: next, environment: environment.components)
        try processor.start()
        do {
            try await body(processor, environment)
        } catch {
            await processor.stop(deadline: .now)
            try await environment.shutDown()
            throw error
        }
        await processor.stop(deadline: .now + .seconds(10))
        try await environment.shutDown()
    }

    private static let all = "policies: [{name: all, type: always_sample}]"

    // MARK: Configuration

    /// Every top-level option and every policy type, as otelcol's documentation writes them.
    @Test func aConfigurationOfOtelcolIsRead() throws {
        let settings = try settings(
            """
            decision_wait: 10s
            decision_wait_after_root_received: 2s
            num_traces: 100
            block_on_overflow: true
            expected_new_traces_per_sec: 10
            num_shards: 4
            sampling_strategy: trace-complete
            sample_on_first_match: false
            drop_pending_traces_on_shutdown: true
            maximum_trace_size_bytes: 100000
            decision_cache: {sampled_cache_size: 100000, non_sampled_cache_size: 100001}
            policies:
              - {name: p1, type: always_sample}
              - {name: p2, type: latency, latency: {threshold_ms: 5000, upper_threshold_ms: 10000}}
              - {name: p3, type: numeric_attribute, numeric_attribute: {key: key1, min_value: 0, max_value: 100}}
              - {name: p4, type: probabilistic, probabilistic: {sampling_percentage: 10}}
              - {name: p5, type: status_code, status_code: {status_codes: [ERROR, UNSET]}}
              - {name: p6, type: string_attribute, string_attribute: {key: key2, values: [value1, value2]}}
              - {name: p7, type: string_attribute, string_attribute: {key: key2, values: ['value1', 'val*'],
                 enabled_regex_matching: true, cache_max_size: 10}}
              - {name: p8, type: rate_limiting, rate_limiting: {spans_per_second: 35}}
              - {name: p9, type: bytes_limiting, bytes_limiting: {bytes_per_second: 35000, burst_capacity: 1000000}}
              - {name: p10, type: string_attribute, string_attribute: {key: url.path, values: ['\\/health'],
                 enabled_regex_matching: true, invert_match: true}}
              - {name: p11, type: span_count, span_count: {min_spans: 2, max_spans: 20}}
              - {name: p12, type: trace_state, trace_state: {key: key3, values: [value1, value2]}}
              - {name: p13, type: boolean_attribute, boolean_attribute: {key: key4, value: true}}
              - {name: p14, type: trace_flags}
              - name: and-1
                type: and
                and:
                  and_sub_policy:
                    - {name: a, type: numeric_attribute, numeric_attribute: {key: key1, min_value: 50}}
                    - {name: b, type: string_attribute, string_attribute: {key: key2, values: [value1]}}
                    - {name: c, type: not, not: {not_sub_policy: {name: d, type: trace_flags}}}
              - name: drop-1
                type: drop
                drop: {drop_sub_policy: [{name: a, type: trace_flags}]}
              - name: composite-1
                type: composite
                composite:
                  max_total_spans_per_second: 1000
                  policy_order: [c3, c1]
                  composite_sub_policy:
                    - {name: c1, type: numeric_attribute, numeric_attribute: {key: key1, min_value: 50}}
                    - {name: c2, type: string_attribute, string_attribute: {key: key2, values: [value1]}}
                    - {name: c3, type: always_sample}
                  rate_allocation: [{policy: c1, percent: 50}, {policy: c2, percent: 25}]
            """)
        #expect(settings.rules.decisionWait == 10_000_000_000)
        #expect(settings.rules.waitAfterRoot == 2_000_000_000)
        #expect(settings.maximumTraces == 100)
        #expect(settings.shards == 4)
        #expect(settings.rules.nonSampledCacheSize == 100_001)
        #expect(settings.policies.map(\.name).suffix(3) == ["and-1", "drop-1", "composite-1"])
        guard case .composite(let composite) = settings.policies[16].rule else {
            Issue.record("no composite")
            return
        }
        #expect(composite.shares.map(\.policy.name) == ["c3", "c1", "c2"])
        #expect(composite.shares.map(\.spansPerSecond) == [333, 500, 250])
        guard case .attribute(let test, _) = settings.policies[2].rule, case .number(let low, let high) = test.test
        else {
            Issue.record("no number")
            return
        }
        #expect(low == 0 && high == 100)
    }

    @Test(
        arguments: [
            ("policies: [{name: a, type: ottl_condition, ottl_condition: {}}]", "OTTL is not part"),
            ("policies: [{name: a, type: my_extension}]", "no policy type"),
            ("tail_storage: disk\n" + all, "is not supported"), ("policies: []", "must not be empty"),
            ("{}", "policies"),
            ("policies: [{name: a, type: trace_flags}, {name: a, type: trace_flags}]", "another policy"),
            ("policies: [{name: a, type: numeric_attribute, numeric_attribute: {key: k}}]", "min_value"),
            ("policies: [{name: a, type: status_code, status_code: {status_codes: [BAD]}}]", "OK, ERROR, UNSET"),
            (
                "policies: [{name: a, type: string_attribute, string_attribute: {key: k, values: ['('], "
                    + "enabled_regex_matching: true}}]", "no regular expression"
            ),
            (
                "policies: [{name: a, type: same_span, same_span: {same_span_sub_policy: "
                    + "[{name: b, type: span_count, span_count: {min_spans: 1}}]}}]", "not about one span"
            ),
            (
                "sampling_strategy: span-ingest\npolicies: [{name: a, type: rate_limiting, "
                    + "rate_limiting: {spans_per_second: 1}}]", "span-ingest"
            ),
            ("policies: [{name: a, type: aggregate, aggregate: {field: f, function: sum}}]", "min_value"),
        ])
    func whatCannotWorkIsRefusedByName(_ yaml: String, _ reason: String) throws {
        let error = #expect(throws: ConfigError.self) { _ = try settings(yaml) }
        #expect("\(try #require(error))".firstRange(of: reason) != nil)
    }

    // MARK: Holding

    @Test func aBatchIsAcknowledgedWhenItIsHeld() async throws {
        let next = RecordingConsumer()
        let outcomes = Outcomes()
        try await withProcessor(Self.all, next: next) { processor, environment in
            processor.consume(
                try SampleRequests.batch(.traces, items: 20), context: RequestContext(), receipt: outcomes.receipt())
            #expect(outcomes.all == [nil])
            #expect(next.calls.isEmpty)
            #expect(environment.budget.heldBytes > 256 << 10, "the chunk counts")
        }
        #expect(next.itemCount == 20)
    }

    @Test func theOldestIsDecidedWhenThereAreTooMany() async throws {
        let next = RecordingConsumer()
        try await withProcessor("num_traces: 5\nnum_shards: 3\n" + Self.all, next: next) { processor, environment in
            for index in 1...12 {
                processor.consume(
                    try SampleRequests.batch(.traces, items: 1, first: index), context: RequestContext(),
                    receipt: Outcomes().receipt())
            }
            let text = environment.metrics.prometheusText()
            #expect(text.firstRange(of: "trigger=\"num_traces\"} 7") != nil)
            #expect(text.firstRange(of: "otelcol_processor_tail_sampling_sampling_traces_on_memory 5") != nil)
            #expect(
                text.firstRange(of: "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total 0") != nil)
        }
        #expect(next.itemCount == 12)
    }

    @Test func bytesAreBoundedToo() async throws {
        let next = RecordingConsumer()
        let yaml = "maximum_buffer_bytes: 1048576\n" + Self.all
        try await withProcessor(yaml, next: next) { processor, _ in
            for index in 1...40 {
                processor.consume(
                    try SampleRequests.batch(.traces, items: 1, first: index, padding: 100_000),
                    context: RequestContext(), receipt: Outcomes().receipt())
            }
            // What is complete goes on at once: two such spans and a bit fill a request.
            #expect(next.itemCount >= 27)
        }
        #expect(next.itemCount == 40)
    }

    /// A span at a time comes in, and at the bound a trace leaves for each: they go on together.
    @Test func tracesAtTheBoundLeaveTogether() async throws {
        let next = RecordingConsumer()
        try await withProcessor("num_traces: 5\nnum_shards: 1\n" + Self.all, next: next) { processor, _ in
            for index in 1...1000 {
                processor.consume(
                    try SampleRequests.batch(.traces, items: 1, first: index), context: RequestContext(),
                    receipt: Outcomes().receipt())
            }
        }
        #expect(next.itemCount == 1000)
        #expect(next.calls.count < 200)
    }

    @Test func requestsWaitForRoomWhenTheyAreToldTo() async throws {
        let next = RecordingConsumer()
        let outcomes = Outcomes()
        let yaml = "block_on_overflow: true\nnum_traces: 2\n" + Self.all
        try await withProcessor(yaml, next: next) { processor, _ in
            for index in 1...3 {
                processor.consume(
                    try SampleRequests.batch(.traces, items: 1, first: index), context: RequestContext(),
                    receipt: outcomes.receipt())
            }
            #expect(outcomes.all == [nil, nil])
        }
        // The third was never taken: its sender knows.
        #expect(outcomes.all.count == 3)
        #expect(outcomes.all[2]?.code == .shuttingDown)
        #expect(next.itemCount == 2)
    }

    /// Requests from many threads, decisions and new policies at the same time: each span goes on once.
    @Test(.timeLimit(.minutes(5))) func policiesChangeUnderLoad() async throws {
        let next = RecordingConsumer()
        let changes = ["", "num_traces: 40\n", "decision_wait: 2s\n", "span_limit: 2\n"]
        try await withProcessor("decision_wait: 1s\n" + Self.all, next: next) { processor, _ in
            await withTaskGroup(of: Void.self) { group in
                for thread in 0..<4 {
                    group.addTask {
                        for index in 0..<150 {
                            let first = thread * 10_000 + index * 10
                            guard let batch = try? SampleRequests.batch(.traces, items: 7, first: first + 1) else {
                                return
                            }
                            processor.consume(batch, context: RequestContext(), receipt: Outcomes().receipt())
                            await Task.yield()
                        }
                    }
                }
                group.addTask {
                    for index in 0..<40 {
                        guard let settings = try? self.settings(changes[index % changes.count] + Self.all),
                            case .inPlace(let apply)? = try? processor.change(to: settings)
                        else {
                            Issue.record("not in place")
                            return
                        }
                        apply()
                        await Task.yield()
                    }
                }
            }
        }
        #expect(next.itemCount == 4 * 150 * 7)
    }

    @Test func whatCannotChangeInPlaceIsNamed() async throws {
        try await withProcessor(Self.all, next: RecordingConsumer()) { processor, _ in
            for (yaml, keys) in [
                ("num_shards: 9\n", ["num_shards"]), ("sampling_strategy: span-ingest\n", ["sampling_strategy"]),
                ("decision_cache: {sampled_cache_size: 5}\nnum_traces: 7\n", ["decision_cache"]),
            ] {
                guard case .restart(let found) = try processor.change(to: settings(yaml + Self.all)) else {
                    Issue.record("\(yaml) in place")
                    continue
                }
                #expect(found == keys)
            }
        }
    }

    // MARK: Logs

    @Test func logRecordsGoWithTheirTraces() async throws {
        let (spans, records) = (RecordingConsumer(), RecordingConsumer())
        let environment = TestEnvironment()
        let components = environment.components
        let factory = TailSamplingProcessorFactory()
        let settings = try settings(Self.all)
        let id = ComponentID(type: "tail_sampling")
        let logs = try factory.make(settings, id: id, signal: .logs, next: records, environment: components)
        let traces = try factory.make(settings, id: id, signal: .traces, next: spans, environment: components)
        try traces.start()
        try logs.start()
        let outcomes = Outcomes()
        let traced = try SampleRequests.batch(.logs, items: 3)
        let free = TraceRuns(traced)
        traces.consume(
            try SampleRequests.batch(.traces, items: 4), context: RequestContext(), receipt: outcomes.receipt())
        logs.consume(traced, context: RequestContext(), receipt: outcomes.receipt())
        #expect(outcomes.all == [nil, nil])
        #expect(records.itemCount == (free.hasTraces ? 0 : 3))
        await logs.stop(deadline: .now + .seconds(10))
        await traces.stop(deadline: .now + .seconds(10))
        #expect(records.itemCount == 3)
        #expect(spans.itemCount == 4)
        logs.consume(
            try SampleRequests.batch(.logs, items: 3), context: RequestContext(), receipt: outcomes.receipt())
        #expect(outcomes.all.last??.code == .shuttingDown)
        try await environment.shutDown()
    }

    @Test(arguments: [("keep", 3), ("drop", 0)]) func withoutTracesThereIsNothingToFollow(
        _ unmatched: String, _ count: Int
    ) async throws {
        let records = RecordingConsumer()
        let environment = TestEnvironment()
        let settings = try settings("log_correlation: {unmatched: \(unmatched)}\n" + Self.all)
        let logs = try TailSamplingProcessorFactory().make(
            settings, id: ComponentID(type: "tail_sampling"), signal: .logs, next: records,
            environment: environment.components)
        try logs.start()
        let outcomes = Outcomes()
        logs.consume(
            try SampleRequests.batch(.logs, items: 3), context: RequestContext(), receipt: outcomes.receipt())
        #expect(outcomes.all == [nil])
        #expect(records.itemCount == count)
        #expect(environment.log.first("reason") == "no traces pipeline has this processor")
        await logs.stop(deadline: .now + .seconds(10))
        try await environment.shutDown()
    }

    @Test(.timeLimit(.minutes(2))) func aRequestThatWaitsIsTakenWhenThereIsRoom() async throws {
        let outcomes = Outcomes()
        let yaml = "block_on_overflow: true\nnum_traces: 2\ndecision_wait: 1s\n" + Self.all
        try await withProcessor(yaml, next: RecordingConsumer()) { processor, _ in
            for index in 1...2 {
                processor.consume(
                    try SampleRequests.batch(.traces, items: 1, first: index), context: RequestContext(),
                    receipt: outcomes.receipt())
            }
            let third = try SampleRequests.batch(.traces, items: 1, first: 3)
            let error = await withCheckedContinuation { continuation in
                let receipt = Receipt { continuation.resume(returning: $0) }
                processor.consume(third, context: RequestContext(), receipt: receipt)
            }
            #expect(outcomes.all == [nil, nil] && error == nil)
        }
    }

    // MARK: Handing on

    @Test func aRefusalIsNoEnd() async throws {
        let refusals = Atomic<Int>(3)
        let next = RecordingConsumer { _ in
            guard refusals.subtract(1, ordering: .relaxed).oldValue > 0 else { return .accept }
            return .refuse(ConsumeError(.queueFull, "full", retryAfter: .milliseconds(1)))
        }
        try await withProcessor(Self.all, next: next) { processor, _ in
            processor.consume(
                try SampleRequests.batch(.traces, items: 5), context: RequestContext(), receipt: Outcomes().receipt())
        }
        #expect(next.calls.count == 4)
        #expect(next.batches.last?.items.count == 5)
    }

    @Test func whatIsRefusedForGoodIsCountedAndLogged() async throws {
        let next = RecordingConsumer { _ in .refuse(ConsumeError(.refused, "never")) }
        let environment = TestEnvironment()
        let processor = try TailSamplingProcessor(
            settings(Self.all), id: ComponentID(type: "tail_sampling"), next: next,
            environment: environment.components)
        processor.consume(
            try SampleRequests.batch(.traces, items: 5), context: RequestContext(), receipt: Outcomes().receipt())
        await processor.stop(deadline: .now + .seconds(10))
        #expect(environment.metrics.prometheusText().firstRange(of: "cause=\"refused\"} 5") != nil)
        #expect(environment.log.first("spans") == "5")
        try await environment.shutDown()
    }

    @Test func afterTheEndEverythingIsRefused() async throws {
        let outcomes = Outcomes()
        let environment = TestEnvironment()
        let processor = try TailSamplingProcessor(
            settings(Self.all), id: ComponentID(type: "tail_sampling"), next: RecordingConsumer(),
            environment: environment.components)
        await processor.stop(deadline: .now + .seconds(1))
        await processor.stop(deadline: .now)
        processor.consume(try SampleRequests.batch(.traces), context: RequestContext(), receipt: outcomes.receipt())
        #expect(outcomes.all.first??.code == .shuttingDown)
        #expect(environment.budget.heldBytes == 0 || environment.budget.heldBytes < 1 << 20)
        try await environment.shutDown()
    }
}
