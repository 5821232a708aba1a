import Config
import Testing

@Suite struct ConfigValueTests {
    @Test(arguments: [
        ("0", 0), ("+0", 0), ("0s", 0), ("1ns", 1), ("1us", 1000), ("1µs", 1000), ("1μs", 1000), ("1ms", 1_000_000),
        ("1s", 1_000_000_000), ("1m", 60_000_000_000), ("1h", 3_600_000_000_000), ("1.5s", 1_500_000_000),
        (".5s", 500_000_000), ("5.s", 5_000_000_000), ("1h30m", 5_400_000_000_000), ("-1m30s", -90_000_000_000),
        ("1m0.5s", 60_500_000_000), ("0.000000001s", 1), ("0.0000000009s", 0),
        ("1.23456789012345678901s", 1_234_567_890),
        ("0.1h", 360_000_000_000), ("9223372036854775807ns", Int64.max), ("2562047h47m16.854775807s", Int64.max),
        ("00000000000000000000000001s", 1_000_000_000),
    ])
    func `durations`(text: String, nanoseconds: Int64) throws {
        #expect(try DurationText.parse(text) == .nanoseconds(nanoseconds))
    }

    @Test(arguments: [
        "", "-", "+", ".", "s", ".s", "5", "1.5", "1s2", "5 s", "5S", "1d", "1s ", " 1s", "--1s", "1..5s", "1e3s",
        "9223372036854775808ns", "2562048h", "99999999999999999999s", "9223372036s9223372036s", "∞", "1s\0",
    ])
    func `texts that are no duration`(text: String) {
        #expect(throws: DurationText.Malformed.self) { try DurationText.parse(text) }
    }

    @Test(arguments: [
        "0s", "1ns", "1.5us", "200ms", "1.5s", "1m0s", "1h30m0s", "2562047h47m16.854775807s", "-1m30.05s", "999.999ms",
    ])
    func `durations print as Go prints them`(text: String) throws {
        #expect(DurationText.format(try DurationText.parse(text)) == text)
    }

    /// 20,000 durations: printing and parsing give them back.
    @Test func `random durations`() throws {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<20_000 {
            let shift = Int64.random(in: 0...62, using: &generator)
            let value = Duration.nanoseconds(Int64.random(in: (-Int64.max)...Int64.max, using: &generator) >> shift)
            #expect(try DurationText.parse(DurationText.format(value)) == value)
        }
    }

    @Test(arguments: [
        ("localhost:4318", "localhost", 4318), ("[::1]:4318", "::1", 4318), (":4318", "", 4318),
        ("0.0.0.0:4318", "0.0.0.0", 4318), ("[fe80::1%eth0]:0", "fe80::1%eth0", 0),
        ("my_host-1.svc:65535", "my_host-1.svc", 65535),
        ("[::ffff:1.2.3.4]:1", "::ffff:1.2.3.4", 1),
    ])
    func `endpoints`(text: String, host: String, port: Int) throws {
        let endpoint = try ConfigEndpoint.parse(text)
        #expect(endpoint == ConfigEndpoint(host: host, port: port))
        #expect(endpoint.description == text)
    }

    @Test(arguments: [
        ("", "is empty; write host:port"), ("localhost", "has no port; write host:port"),
        ("http://localhost:1", "must be host:port, without a scheme such as http://"),
        ("::1:4318", "has too many colons; write an IPv6 address as [address]:port"),
        ("[::1]", "has no port after the address; write [address]:port"),
        ("[]:1", "has no port after the address; write [address]:port"),
        ("[host]:1", "holds no IPv6 address between [ and ]"), ("[::1%]:1", "holds no IPv6 address between [ and ]"),
        ("a b:1", "has a host with characters that no host name has"),
        ("h:", "has a port that is no number from 0 to 65535"), ("h:x", "has a port that is no number from 0 to 65535"),
        ("h:65536", "has a port that is no number from 0 to 65535"),
        ("h:+1", "has a port that is no number from 0 to 65535"),
        ("h:000001", "has a port that is no number from 0 to 65535"),
    ])
    func `texts that are no endpoint`(text: String, problem: String) {
        let error = #expect(throws: ConfigEndpoint.Malformed.self) { try ConfigEndpoint.parse(text) }
        #expect(error?.description == problem)
    }

    @Test func `loopback endpoints`() throws {
        let loopback = ["localhost:1", "127.0.0.1:1", "[::1]:1"].map { try? ConfigEndpoint.parse($0).isLoopback }
        #expect(loopback == [true, true, true])
        let other = [":1", "0.0.0.0:1", "h:1"].map { try? ConfigEndpoint.parse($0).isLoopback }
        #expect(other == [false, false, false])
    }

    @Test(arguments: [
        ("http://h", "http", "h", 80, ""), ("HTTPS://h/", "https", "h", 443, "/"),
        ("https://h:8443/a/b?c=d", "https", "h", 8443, "/a/b?c=d"), ("http://[::1]:1/x", "http", "::1", 1, "/x"),
        ("http://[::1]", "http", "::1", 80, ""), ("http://h?q", "http", "h", 80, "?q"),
        ("http://h/x://y", "http", "h", 80, "/x://y"),
    ])
    func `URLs`(text: String, scheme: String, host: String, port: Int, path: String) throws {
        let url = try ConfigURL.parse(text, schemes: ["http", "https"])
        #expect(url.scheme == scheme && url.host == host && url.port == port && url.path == path)
        #expect(url.description == text.replacing("HTTPS", with: "https"))
    }

    @Test(arguments: [
        "", "h:1", "http:", "http://", "http:///x", "http://:80", "http://u:p@h", "http://h#x", "http://h/a b",
        "ftp://h",
        "http://h:x", "http://h:", "http://h/é", "/http://h", "http://[::1", "http://h:1:2",
    ])
    func `texts that are no URL`(text: String) {
        #expect(throws: ConfigEndpoint.Malformed.self) { try ConfigURL.parse(text, schemes: ["http", "https"]) }
    }

    @Test func `paths are appended before the query`() throws {
        func append(_ text: String) throws -> String {
            try ConfigURL.parse(text, schemes: ["http", "amqp"]).appending(path: "/v1/traces").description
        }
        #expect(try append("http://h") == "http://h/v1/traces")
        #expect(try append("http://h:1/") == "http://h:1/v1/traces")
        #expect(try append("http://h/api/?k=v") == "http://h/api/v1/traces?k=v")
        #expect(try ConfigURL.parse("amqp://h", schemes: ["amqp"]).port == nil)
    }

    @Test func `secrets do not print`() {
        let secret = SecretString("hunter2")
        struct Holder { let secret: SecretString }
        var dumped = ""
        dump(Holder(secret: secret), to: &dumped)
        let texts = ["\(secret)", String(reflecting: secret), "\(Holder(secret: secret))", "\([secret])", dumped]
        #expect(texts.allSatisfy { !$0.contains("hunter2") })
        #expect("\(secret)" == "[REDACTED]")
        #expect(secret.reveal() == "hunter2" && secret == SecretString("hunter2") && !secret.isEmpty)
    }

    @Test(arguments: [
        ("otlp", "otlp", ""), ("otlp/2", "otlp", "2"), (" otlp / a ", "otlp", "a"), ("a_1/b/c", "a_1", "b/c"),
        ("otlp/in-ternal.é_1:x", "otlp", "in-ternal.é_1:x"), ("A9", "A9", ""),
    ])
    func `component ids`(text: String, type: String, name: String) throws {
        let id = try ComponentID.parse(text)
        #expect(id == ComponentID(type: type, name: name))
        #expect(id.description == (name.isEmpty ? type : "\(type)/\(name)"))
    }

    @Test(arguments: [
        ("", "the id is empty"), ("/a", "the id \"/a\" has no type before \"/\""),
        ("otlp/", "the id \"otlp/\" has nothing after \"/\""),
        ("1a", "the type \"1a\" must be a letter, then at most 62 letters, digits or \"_\""),
        ("ot-lp", "the type \"ot-lp\" must be a letter, then at most 62 letters, digits or \"_\""),
        ("é", "the type \"é\" must be a letter, then at most 62 letters, digits or \"_\""),
        (
            "otlp/a b",
            "the name in the id \"otlp/a b\" contains \" \"; spaces, symbols and control characters are not allowed"
        ),
        (
            "otlp/€",
            "the name in the id \"otlp/€\" contains \"€\"; spaces, symbols and control characters are not allowed"
        ),
    ])
    func `texts that are no component id`(text: String, problem: String) {
        let error = #expect(throws: IDError.self) { try ComponentID.parse(text) }
        #expect(error?.description == problem)
    }

    @Test func `lengths of ids`() {
        #expect((try? ComponentID.parse(String(repeating: "a", count: 63))) != nil)
        #expect((try? ComponentID.parse(String(repeating: "a", count: 64))) == nil)
        #expect((try? ComponentID.parse("a/" + String(repeating: "é", count: 1024))) != nil)
        #expect((try? ComponentID.parse("a/" + String(repeating: "é", count: 1025))) == nil)
    }

    @Test func `pipeline ids`() throws {
        #expect(try PipelineID.parse("traces") == PipelineID(signal: .traces))
        #expect(try PipelineID.parse("logs/a").description == "logs/a")
        func problem(_ text: String) -> String? {
            #expect(throws: IDError.self) { try PipelineID.parse(text) }?.description
        }
        #expect(
            problem("profiles/x")
                == "pipelines for profiles are not supported; the signals are traces, metrics and logs")
        #expect(
            problem("trace") == """
                the pipeline id "trace" must start with "traces", "metrics" or "logs" (did you mean "traces"?)
                """)
        #expect(problem("metrics/") == #"the pipeline id "metrics/" has nothing after "/""#)
        #expect(problem("logs/a b") != nil)
    }

    @Test func `ordered maps`() {
        var map = OrderedMap<String, Int>()
        map["z"] = 1
        map["a"] = 2
        map["z"] = 3
        #expect(map.keys == ["z", "a"] && map.count == 2 && map["z"] == 3)
        map["z"] = nil
        map["q"] = nil
        #expect(map.map(\.key) == ["a"] && !map.isEmpty)
    }
}
