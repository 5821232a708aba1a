import Compression
import Delivery
import OTLP
import Pipeline
import Prometheus
import Testing

@testable import Exporters
@testable import Transport

@Suite struct RemoteWriteSettingsTests {
    private func read(_ yaml: String) throws -> (settings: PrometheusRemoteWriteSettings?, errors: String) {
        let (settings, errors, _) = try decode(yaml, "exporters::prometheus_remote_write") {
            PrometheusRemoteWriteExporterFactory().settings(from: $0)
        }
        return (settings, errors)
    }

    @Test func defaultsAreOtelcols() throws {
        let settings = try #require(try read("endpoint: http://h:1/api/v1/write?a=b").settings)
        #expect(settings.url == "http://h:1/api/v1/write?a=b")
        #expect(settings.version == .v1 && !settings.sendsMetadata)
        #expect(settings.maximumBodyBytes == 3_000_000 && settings.shards == 5)
        #expect(settings.delivery.queue.size == 10_000 && settings.delivery.queue.consumers == 1)
        #expect(settings.delivery.queue.isEnabled && settings.delivery.timeout == .seconds(5))
        #expect(settings.delivery.retry.initialInterval == .milliseconds(50))
        #expect(settings.delivery.retry.maxElapsedTime == .seconds(300))
        let translation = settings.translation
        #expect(translation.strategy == .underscoreEscapingWithSuffixes && translation.namespace.isEmpty)
        #expect(translation.addsTargetInfo && translation.addsScopeLabels && !translation.addsResourceAttributes)
    }

    @Test func everyKeyIsRead() throws {
        let (settings, errors) = try read(
            """
            endpoint: https://h/write
            namespace: n
            external_labels: {zone: z}
            headers: {X-Scope-OrgID: t}
            tls: {insecure_skip_verify: true}
            add_metric_suffixes: false
            resource_to_telemetry_conversion: {enabled: true, exclude_service_attributes: true}
            target_info: {enabled: false}
            disable_scope_info: true
            send_metadata: true
            remote_write_queue: {enabled: true, queue_size: 7, num_consumers: 3}
            max_batch_size_bytes: 4096
            max_batch_request_parallelism: 9
            protobuf_message: io.prometheus.write.v2.Request
            timeout: 1s
            compression: snappy
            label_name_underscore_sanitization: false
            label_name_preserve_multiple_underscores: false
            """)
        #expect(errors == "")
        let found = try #require(settings)
        #expect(found.translation.strategy == .underscoreEscapingWithoutSuffixes)
        #expect(found.translation.namespace == "n" && found.translation.externalLabels.map(\.name) == ["zone"])
        #expect(found.translation.addsResourceAttributes && found.translation.excludesServiceAttributes)
        #expect(!found.translation.addsTargetInfo && !found.translation.addsScopeLabels)
        #expect(!found.translation.sanitizesLeadingUnderscore && !found.translation.preservesUnderscoreRuns)
        #expect(found.shards == 3 && found.delivery.queue.size == 7 && found.delivery.queue.consumers == 1)
        #expect(found.version == .v2 && found.sendsMetadata && found.maximumBodyBytes == 4096)
        let headers = found.headers(.v2).map { "\($0.name): \($0.value)" }
        #expect(
            headers == [
                "Content-Encoding: snappy", "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request",
                "X-Prometheus-Remote-Write-Version: 2.0.0", "User-Agent: martlet", "X-Scope-OrgID: t",
            ])
    }

    @Test func theStrategyGoesFirst() throws {
        let yaml = "{endpoint: 'http://h', add_metric_suffixes: false, translation_strategy: NoTranslation}"
        #expect(try read(yaml).settings?.translation.strategy == .noTranslation)
    }

    @Test(arguments: [
        ("wal: {directory: /x}", "remote_write_queue"), ("sending_queue: {}", "remote_write_queue"),
        ("headers: {content-type: x}", "must not hold content-type"), ("headers: {User-Agent: x}", "must not hold"),
        ("headers: {Content-Encoding: x}", "must not hold"),
        ("headers: {X-Prometheus-Remote-Write-Version: x}", "must not hold"), ("compression: gzip", "snappy"),
        ("compression_params: {level: 1}", "no levels"), ("namespace: a-b", "letters"), ("namespace: 1a", "letters"),
        ("external_labels: {a: ''}", "neither"), ("protobuf_message: x", "must be"),
        ("max_batch_size_bytes: 5", "1024"),
        ("resource_to_telemetry_conversion: {clear_after_copy: true}", "not supported"),
        ("translation_strategy: x", "must be"),
    ])
    func whatIsRefused(_ yaml: String, _ message: String) throws {
        let (settings, errors) = try read("endpoint: http://h\n\(yaml)")
        #expect(settings == nil && errors.contains(message), "\(errors)")
    }
}

@Suite struct RemoteWriteTransmissionTests {
    /// A body of `series` series with a sample each.
    private func body(_ series: Int, _ version: RemoteWriteVersion = .v1) throws -> RemoteWriteBody {
        var writer = WireWriter()
        if version == .v2 { writer.append(field: 4, bytes: UnsafeRawBufferPointer(start: nil, count: 0)) }
        for number in 0..<series {
            let text = Array("series \(number)".utf8)
            text.withUnsafeBytes { writer.append(field: version == .v1 ? 1 : 5, bytes: $0) }
        }
        var counts = RemoteWriteCounts()
        counts.samples = series
        counts.points = series
        return try RemoteWriteBody(writer.bytes, version, counts)
    }

    private func sent(_ step: RemoteWriteTransmission.Step) -> RemoteWriteBody? {
        if case .send(let body) = step { return body }
        return nil
    }

    private func outcome(_ step: RemoteWriteTransmission.Step) -> ExportOutcome? {
        if case .finish(let outcome) = step { return outcome }
        return nil
    }

    @Test func shardsInParallelBodiesInOrder() throws {
        let bodies = try [[body(1), body(2)], [body(3)], []]
        var state = RemoteWriteTransmission(bodies, TranslationReport())
        let first = state.begin()
        #expect(first.map(\.shard) == [0, 1])
        #expect(first[0].body === bodies[0][0] && first[1].body === bodies[1][0])
        #expect(sent(state.answered(0, .written(missing: 0))) === bodies[0][1])
        #expect(outcome(state.answered(0, .written(missing: 0))) == nil)
        #expect(outcome(state.answered(1, .written(missing: 0))) == .delivered)
    }

    @Test func onlyWhatFailedIsSentAgain() throws {
        let bodies = try [[body(1), body(2)], [body(3), body(4)]]
        var state = RemoteWriteTransmission(bodies, TranslationReport())
        _ = state.begin()
        #expect(sent(state.answered(0, .retry("busy", after: .seconds(1)))) == nil)
        #expect(sent(state.answered(1, .written(missing: 0))) === bodies[1][1])
        let end = state.answered(1, .retry("busier", after: .seconds(3)))
        #expect(outcome(end) == .retryable("busy", after: .seconds(3)))
        let again = state.begin()
        #expect(again.map(\.body.counts.points) == [1, 4])
        #expect(sent(state.answered(0, .written(missing: 0))) === bodies[0][1])
        #expect(outcome(state.answered(1, .drop("no"))) == nil)
        #expect(outcome(state.answered(0, .written(missing: 0))) == .delivered(rejected: 4, message: "no"))
    }

    @Test func nothingTaken() throws {
        var state = RemoteWriteTransmission(try [[body(2)], [body(1)]], TranslationReport())
        _ = state.begin()
        _ = state.answered(0, .drop("first"))
        #expect(outcome(state.answered(1, .drop("second"))) == .permanent("first"))
        let empty = RemoteWriteTransmission([[]], TranslationReport())
        #expect(empty.outcome == .delivered)
    }

    @Test func timeRunsOut() throws {
        var state = RemoteWriteTransmission(try [[body(1), body(2)]], TranslationReport())
        _ = state.begin()
        _ = state.answered(0, .written(missing: 0))
        guard case .retryable? = outcome(state.outOfTime(0)) else {
            Issue.record("not retryable")
            return
        }
        #expect(state.begin().map(\.body.counts.points) == [2])
    }

    @Test func anotherVersionIsWanted() throws {
        var state = RemoteWriteTransmission(try [[body(1, .v2), body(2, .v2)], [body(3, .v2)]], TranslationReport())
        _ = state.begin()
        #expect(sent(state.answered(0, .unsupported("415"))) == nil)
        guard case .encodeAnew = state.answered(1, .written(missing: 0)) else {
            Issue.record("not encoded anew")
            return
        }
    }

    @Test(arguments: [RemoteWriteVersion.v1, .v2]) func tooLargeGoesInHalves(_ version: RemoteWriteVersion) throws {
        var state = RemoteWriteTransmission(try [[body(5, version), body(1, version)]], TranslationReport())
        _ = state.begin()
        let half = try #require(sent(state.answered(0, .tooLarge("large"))))
        #expect(half.counts.samples == 2)
        let rest = try #require(sent(state.answered(0, .written(missing: 0))))
        #expect(rest.counts.samples == 3)
        var left = rest
        var sizes: [Int] = []
        // Down to single series, which nothing can make smaller.
        while let next = sent(state.answered(0, .tooLarge("large"))) {
            sizes.append(next.counts.samples)
            left = next
        }
        #expect(left.counts.samples == 1)
        #expect(sizes == [1, 2, 1, 1, 1])
        #expect(state.outcome == .delivered(rejected: 4, message: "large"))
    }

    @Test func halvesHoldEverySeriesOnce() throws {
        for version in [RemoteWriteVersion.v1, .v2] {
            let halves = try #require(try body(101, version).halves())
            #expect(halves.map(\.counts.points) == [50, 51])
            var texts: [String] = []
            for half in halves {
                let body = half.http
                #expect(body.count == half.count)
                let parts = half.halves() ?? []
                #expect(parts.map(\.counts.points).reduce(0, +) == half.counts.points)
                texts.append("\(half.plainCount)")
            }
            #expect(texts.count == 2)
        }
        #expect(try body(1).halves() == nil)
    }
}

@Suite struct RemoteWriteAnswerTests {
    private func answer(
        _ status: Int, _ version: RemoteWriteVersion = .v1, isProven: Bool = false,
        headers: [(name: String, value: String)] = [], text: String = "", retryAfter: String? = nil
    ) throws -> RemoteWriteAnswer {
        var counts = RemoteWriteCounts()
        counts.samples = 5
        counts.points = 5
        let body = try [1, 2, 3].withUnsafeBytes { try RemoteWriteBody($0, version, counts) }
        let response = HTTPClientResponse(
            status: status, contentType: nil, retryAfter: retryAfter, headers: headers, body: Array(text.utf8))
        return RemoteWriteAnswer(.success(response), to: body, isProven: isProven)
    }

    private let written: [(name: String, value: String)] = [(RemoteWriteAnswer.writtenHeaders[0], "5")]

    @Test func statusesOfVersion1() throws {
        for status in [200, 202, 204, 299] { #expect(try answer(status) == .written(missing: 0)) }
        for status in [429, 500, 503, 599] {
            #expect(
                try answer(status, retryAfter: "7")
                    == .retry("the receiver answered HTTP \(status)", after: .seconds(7)))
        }
        for status in [301, 400, 401, 404, 415, 422] {
            #expect(try answer(status, text: "x\n") == .drop("the receiver answered HTTP \(status): x"))
        }
        #expect(try answer(413) == .tooLarge("the receiver answered HTTP 413"))
    }

    @Test func statusesOfVersion2() throws {
        #expect(try answer(204, .v2, headers: written) == .written(missing: 0))
        #expect(try answer(204, .v2, headers: [(written[0].name, "3")]) == .written(missing: 2))
        #expect(try answer(204, .v2, headers: [(written[0].name, "x")]) == .written(missing: 5))
        #expect(try answer(204, .v2) == .unsupported("the receiver does not say what it wrote"))
        #expect(try answer(204, .v2, isProven: true) == .written(missing: 0))
        #expect(try answer(415, .v2, isProven: true) == .unsupported("the receiver answered HTTP 415"))
        #expect(try answer(400, .v2) == .unsupported("the receiver answered HTTP 400"))
        #expect(try answer(400, .v2, isProven: true) == .drop("the receiver answered HTTP 400"))
        #expect(try answer(400, .v2, headers: written) == .drop("the receiver answered HTTP 400"))
        #expect(try answer(500, .v2) == .retry("the receiver answered HTTP 500", after: nil))
    }

    @Test func failures() throws {
        let body = try [1].withUnsafeBytes { try RemoteWriteBody($0, .v1, RemoteWriteCounts()) }
        func answer(_ code: HTTPClientError.Code, status: Int = 0) -> RemoteWriteAnswer {
            RemoteWriteAnswer(
                .failure(HTTPClientError(code, origin: "h:1", status: status)), to: body, isProven: false)
        }
        #expect(answer(.connect) == .retry("cannot connect to h:1", after: nil))
        #expect(answer(.invalidRequest) == .drop("invalid request to h:1"))
        #expect(answer(.responseTooLarge, status: 200) == .written(missing: 0))
        #expect(answer(.responseTooLarge, status: 400) == .drop("answer too large from h:1"))
    }

    @Test func longTextsAreCut() throws {
        guard case .drop(let reason) = try answer(400, text: String(repeating: "é\u{7}", count: 5000)) else {
            Issue.record("not dropped")
            return
        }
        #expect(reason.utf8.count < 700 && !reason.contains("\u{7}"))
    }
}
