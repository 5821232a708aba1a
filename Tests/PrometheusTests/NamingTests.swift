import OTLP
import Prometheus
import Testing

/// The name of a metric's only series.
private func name(
    _ name: String, unit: String, _ kind: String, strategy: TranslationStrategy = .underscoreEscapingWithSuffixes,
    namespace: String = ""
) throws -> String? {
    let translation = Translation {
        $0.strategy = strategy
        $0.namespace = namespace
    }
    let point = Point.number(1)
    let metric =
        switch kind {
        case "gauge": Metric.gauge(name, unit: unit, [point])
        case "counter": Metric.sum(name, unit: unit, [point])
        default: Metric.sum(name, unit: unit, monotonic: false, [point])
        }
    let report = translation.run(try batch([metric]))
    #expect(report.rejected == (translation.sink.series.isEmpty ? 1 : 0))
    if translation.sink.series.isEmpty { #expect(report.rejected(.invalidMetricName) == 1) }
    return translation.sink.series.first?.name
}

@Suite struct MetricNames {
    @Test(arguments: [
        ("system.cpu.utilization", "1", "gauge", "system_cpu_utilization_ratio"),
        ("requests", "1", "counter", "requests_total"),
        ("net.io", "By/s", "gauge", "net_io_bytes_per_second"),
        ("http.server.duration", "s", "other", "http_server_duration_seconds"),
        ("gen_ai.client.token.usage", "{token}", "other", "gen_ai_client_token_usage"),
        ("a..b__c", "", "gauge", "a_b_c"), ("_a_", "", "gauge", "a"),
        ("errors_total", "", "counter", "errors_total"), ("total.errors", "", "counter", "errors_total"),
        ("total", "", "counter", "total"), ("total", "", "gauge", "total"),
        ("ratio.hits", "1", "gauge", "hits_ratio"), ("hits", "1", "other", "hits"),
        ("time.seconds", "s", "counter", "time_seconds_total"), ("seconds.spent", "s", "gauge", "seconds_spent"),
        ("speed", "km/h", "gauge", "speed_km_per_hour"), ("speed", "m/s", "gauge", "speed_meters_per_second"),
        ("per.second", "By/s", "gauge", "per_second_bytes"), ("rate", "{req}/s", "gauge", "rate_per_second"),
        ("rate", "By/{req}", "gauge", "rate_bytes"), ("odd", "k%/x y", "gauge", "odd_k_per_x_y"),
        ("9lives", "", "gauge", "_9lives"), ("größe", "", "gauge", "gr_e"), ("ns:name", "", "gauge", "ns:name"),
        ("usage", "%", "gauge", "usage_percent"), ("mem", "MiBy", "gauge", "mem_mebibytes"),
        ("t", " ms ", "gauge", "t_milliseconds"),
        ("x", "/s", "gauge", "x_per_second"), ("x", "1/s", "counter", "x_per_second_total"),
    ])
    func escapedWithSuffixes(_ raw: String, _ unit: String, _ kind: String, _ wanted: String) throws {
        #expect(try name(raw, unit: unit, kind) == wanted)
    }

    @Test(arguments: [
        ("net.io", "By/s", "counter", "net_io"), ("a..b__c", "", "gauge", "a_b__c"), ("_a_", "", "gauge", "_a_"),
        ("9lives", "1", "gauge", "_9lives"), ("größe", "", "gauge", "gr_e"),
    ])
    func escapedWithoutSuffixes(_ raw: String, _ unit: String, _ kind: String, _ wanted: String) throws {
        #expect(try name(raw, unit: unit, kind, strategy: .underscoreEscapingWithoutSuffixes) == wanted)
    }

    @Test(arguments: [
        ("net.io", "By/s", "counter", "net.io_bytes_per_second_total"), ("größe", "m", "gauge", "größe_meters"),
        ("x_total", "", "counter", "x_total"), ("x.total", "s", "counter", "x_seconds_total"),
        ("cpu.ratio", "1", "gauge", "cpu_ratio"), ("x_seconds", "s", "gauge", "x_seconds"), ("9", "", "gauge", "9"),
    ])
    func verbatimWithSuffixes(_ raw: String, _ unit: String, _ kind: String, _ wanted: String) throws {
        #expect(try name(raw, unit: unit, kind, strategy: .noUTF8EscapingWithSuffixes) == wanted)
    }

    @Test func untranslated() throws {
        #expect(try name("net.io", unit: "By", "counter", strategy: .noTranslation) == "net.io")
        #expect(try name("net.io", unit: "By", "counter", strategy: .noTranslation, namespace: "a") == "a_net.io")
    }

    @Test func namespace() throws {
        #expect(try name("x.y", unit: "s", "counter", namespace: "team") == "team_x_y_seconds_total")
        #expect(
            try name("9", unit: "", "gauge", strategy: .underscoreEscapingWithoutSuffixes, namespace: "a") == "a_9")
    }

    @Test(arguments: ["", "___", "ß"]) func nothingLeft(_ raw: String) throws {
        #expect(try name(raw, unit: "", "gauge") == nil)
        #expect(try name(raw, unit: "s", "counter", namespace: "n") == nil)
    }

    @Test func unitsInMetadata() throws {
        let translation = Translation()
        translation.run(
            try batch(
                [("a", "By/s"), ("b", "1"), ("c", "{x}"), ("d", "/s")].map { name, unit in
                    Metric.sum(name, unit: unit, help: "help of \(name)", [Point.number(1)])
                }))
        #expect(
            translation.sink.families.map { String(decoding: $0.unit, as: UTF8.self) } == [
                "bytes_per_second", "", "", "per_second",
            ])
        #expect(String(decoding: translation.sink.families[0].help, as: UTF8.self) == "help of a")
    }
}

/// The labels of a point's series without its name.
private func labels(
    _ pairs: [(String, Value)], _ change: (inout TranslationOptions) -> Void = { _ in },
    resource: [(String, Value)] = []
) throws -> [String] {
    let translation = Translation {
        $0.addsTargetInfo = false
        change(&$0)
    }
    translation.run(try batch([Metric.gauge("m", [Point.number(1, pairs)])], resource: resource))
    return translation.sink.series.flatMap { series in
        series.labels.filter { $0.name != "__name__" }.map { "\($0.name)=\($0.value)" }
    }
}

@Suite struct LabelNames {
    @Test(arguments: [
        ("a.b", "a_b"), ("1st", "key_1st"), ("_x", "key_x"), ("__x", "__x"), ("a..b", "a__b"), ("grüße", "gr__e"),
        ("__meta__", "__meta__"), ("A:b", "A_b"),
    ])
    func escaped(_ key: String, _ wanted: String) throws {
        #expect(try labels([(key, .text("v"))]) == ["\(wanted)=v"])
    }

    @Test(arguments: [("a..b", "a_b"), ("__x___y__", "__x_y__"), ("___x", "_x"), ("_x", "_x")])
    func collapsed(_ key: String, _ wanted: String) throws {
        let found = try labels([(key, .text("v"))]) {
            $0.preservesUnderscoreRuns = false
            $0.sanitizesLeadingUnderscore = false
        }
        #expect(found == ["\(wanted)=v"])
    }

    @Test func verbatim() throws {
        #expect(
            try labels([("a.b", .text("v")), ("1", .text("w"))]) { $0.strategy = .noTranslation } == ["1=w", "a.b=v"])
    }

    @Test(arguments: ["", "_", "__", "ß"]) func invalid(_ key: String) throws {
        let translation = Translation()
        let report = translation.run(
            try batch([Metric.gauge("m", [Point.number(1, [(key, .text("v"))]), Point.number(2)])]))
        #expect(report.rejected(.invalidLabelName) == 1)
        #expect(report.points == 2)
        #expect(translation.texts == ["m"])
    }

    @Test func collisionsAreJoinedInOrderOfKeys() throws {
        #expect(
            try labels([("a_b", .text("3")), ("a.b", .text("1")), ("a-b", .text("0")), ("z", .text("z"))])
                == ["a_b=0;1;3", "z=z"])
        #expect(try labels([("a.b", .none), ("a_b", .text("x"))]) == ["a_b=;x"])
    }

    @Test func sortedByBytes() throws {
        #expect(
            try labels([("b", .text("2")), ("B", .text("1")), ("a_", .text("4")), ("a", .text("3"))])
                == ["B=1", "a=3", "a_=4", "b=2"])
    }

    @Test func values() throws {
        let found = try labels([
            ("a", .text("")), ("b", .bool(true)), ("c", .int(-5)), ("d", .double(0.1)), ("e", .double(1e30)),
            ("f", .array([.int(1), .text("x\"\n\u{1}"), .bool(false), .none])), ("g", .map([("k", .double(1.5))])),
            ("h", .bytes([1, 2, 3, 255])), ("i", .int(.min)), ("j", .double(.nan)), ("k", .double(1e-7)), ("l", .none),
            ("m", .double(3)), ("n", .double(-.infinity)), ("o", .array([.double(.nan)])), ("p", .bytes([1])),
        ])
        #expect(
            found == [
                "b=true", "c=-5", "d=0.1", "e=1e+30", "f=[1,\"x\\\"\\n\\u0001\",false,null]", "g={\"k\":1.5}",
                "h=AQID/w==", "i=-9223372036854775808", "j=NaN", "k=1e-7", "m=3", "n=-Inf", "o=[\"NaN\"]", "p=AQ==",
            ])
    }

    @Test func jobAndInstanceReplaceAttributes() throws {
        let resource: [(String, Value)] = [
            ("service.name", .text("s")), ("service.namespace", .text("n")), ("service.instance.id", .text("i")),
        ]
        #expect(
            try labels([("job", .text("x")), ("instance", .text("y"))], resource: resource)
                == ["instance=i", "job=n/s"])
        #expect(try labels([("job", .text("x"))], resource: [("service.namespace", .text("n"))]) == ["job=x"])
        #expect(try labels([], resource: [("service.name", .text("s"))]) == ["job=s"])
    }

    @Test func externalLabelsOnlyWhereThereIsNone() throws {
        let external: [(name: String, value: String)] = [("zone", "z"), ("a", "external")]
        #expect(try labels([("a", .text("own"))]) { $0.externalLabels = external } == ["a=own", "zone=z"])
        #expect(try labels([("a", .text(""))]) { $0.externalLabels = external } == ["a=external", "zone=z"])
        #expect(
            try labels(
                [("a", .text(""))], { $0.externalLabels = [("job", "external"), ("a", "e")] },
                resource: [("service.name", .text("s"))]) == ["a=e", "job=s"])
    }

    @Test func resourceAttributesOnRequest() throws {
        let resource: [(String, Value)] = [("service.name", .text("s")), ("host.name", .text("h")), ("x", .int(1))]
        #expect(
            try labels(
                [("x", .text("point")), ("host_name", .text("p"))], { $0.addsResourceAttributes = true },
                resource: resource) == ["host_name=h;p", "job=s", "service_name=s", "x=1"])
        #expect(
            try labels(
                [],
                {
                    $0.addsResourceAttributes = true
                    $0.excludesServiceAttributes = true
                }, resource: resource) == ["host_name=h", "job=s", "x=1"])
    }

    @Test func scopeLabels() throws {
        let scope = Wire().text(1, "lib").text(2, "1.0").adding(
            attributes(3, [("build.id", .int(7)), ("name", .text("lost")), ("schema.url", .text("lost"))]))
        let request = Request([Metric.gauge("m", [Point.number(1)])], scope: scope, schemaURL: "http://s")
        let translation = Translation()
        translation.run(try batch([request]))
        #expect(
            translation.texts == [
                "m{otel_scope_build_id=\"7\",otel_scope_name=\"lib\",otel_scope_schema_url=\"http://s\",otel_scope_version=\"1.0\"}"
            ])
        let without = Translation { $0.addsScopeLabels = false }
        without.run(try batch([request]))
        #expect(without.texts == ["m"])
    }

    @Test func manyShapesAndScopes() throws {
        // Points with other keys in turn, and scopes with other labels: what is remembered must not be mixed up.
        let translation = Translation()
        var wanted: [String] = []
        var requests: [Request] = []
        for number in 0..<40 {
            let points = (0..<5).map { index in
                let keys = (0..<(number * 7 + index) % 6).map { "k\($0 * (index + 1))" }
                let rest = keys.map { "\($0)=\"\(number).\(index)\"" } + ["otel_scope_name=\"s\(number % 3)\""]
                wanted.append("m{\(rest.sorted().joined(separator: ","))}")
                return Point.number(1, keys.map { ($0, .text("\(number).\(index)")) })
            }
            requests.append(Request([Metric.gauge("m", points)], scope: Wire().text(1, "s\(number % 3)")))
        }
        translation.run(try batch(requests))
        translation.run(try batch(requests))
        #expect(translation.texts == wanted + wanted)
    }
}
