import Config
import Testing

@Suite struct ConfigSectionTests {
    private enum Level: String, CaseIterable { case none, basic, detailed }

    private func section(_ yaml: String, environment: [String: String] = [:]) throws -> ConfigSection {
        ConfigSection(try load(yaml, environment: environment).root, path: "receivers::x")
    }

    /// The errors of reading `yaml` with `body`, one a line.
    private func errors(
        _ yaml: String, environment: [String: String] = [:], _ body: (ConfigSection) -> Void
    ) throws -> [String] {
        let section = try section(yaml, environment: environment)
        body(section)
        do throws(ConfigError) {
            try section.finish()
            return []
        } catch {
            return error.diagnostics.errors.map(\.description)
        }
    }

    @Test func `values of every type`() throws {
        let text = """
            yes: true
            small: 17
            whole: 1e6
            ratio: 0.25
            one: 1
            text: hello
            empty: ''
            level: basic
            timeout: 1h30m
            zero: 0
            at: "[::1]:4318"
            url: https://h:8443/v1?x=y
            token: s3cret
            list: [a, b]
            commas: a,b,c
            single: a
            map: {k: v, n: }
            headers: {Authorization: abc}
            pairs: [{name: X, value: y}]
            ints: [1, 2]
            numbers: [1, 2.5]
            buckets: [2ms, 1.5s]
            """
        let section = try section(text)
        #expect(section.bool("yes") == true)
        #expect(section.integer("small", in: 0...20) == 17)
        #expect(section.integer("whole", in: 0...Int64.max) == 1_000_000)
        #expect(section.integer("small") == UInt8(17))
        #expect(section.double("ratio", in: 0...1) == 0.25)
        #expect(section.double("one", in: 0...1) == 1)
        #expect(section.string("text") == "hello")
        #expect(section.string("empty") == "")
        #expect(section.nonEmptyString("text") == "hello")
        #expect(section.choice("level", ["none", "basic"]) == "basic")
        #expect(section.choice("level", as: Level.self) == .basic)
        #expect(section.duration("timeout") == .seconds(5400))
        #expect(section.duration("zero") == .zero)
        #expect(section.endpoint("at") == ConfigEndpoint(host: "::1", port: 4318))
        #expect(section.url("url")?.description == "https://h:8443/v1?x=y")
        #expect(section.secret("token")?.reveal() == "s3cret")
        #expect(section.stringList("list") == ["a", "b"])
        #expect(section.stringList("commas") == ["a", "b", "c"])
        #expect(section.stringList("single") == ["a"])
        #expect(section.stringList("empty") == [])
        #expect(section.stringMap("map")?.map { "\($0.key)=\($0.value)" } == ["k=v", "n="])
        #expect(section.secretMap("headers")?["Authorization"]?.reveal() == "abc")
        #expect(section.secretMap("pairs")?["X"]?.reveal() == "y")
        #expect(section.integerList("ints", in: 0...9) == [1, 2])
        #expect(section.doubleList("numbers") == [1, 2.5])
        #expect(section.durationList("buckets") == [.milliseconds(2), .milliseconds(1500)])
        try section.finish()
    }

    @Test func `missing and null are defaults`() throws {
        let names = ["missing", "null"]
        for name in names {
            let section = try section("'null': ")
            _ = section.contains("null")
            #expect(section.bool(name) == nil)
            #expect(section.integer(name) == Int?.none)
            #expect(section.double(name) == nil)
            #expect(section.string(name) == nil)
            #expect(section.nonEmptyString(name) == nil)
            #expect(section.choice(name, ["a"]) == nil)
            #expect(section.duration(name) == nil)
            #expect(section.endpoint(name) == nil)
            #expect(section.url(name) == nil)
            #expect(section.secret(name) == nil)
            #expect(section.stringList(name) == nil)
            #expect(section.stringMap(name) == nil)
            #expect(section.secretMap(name) == nil)
            #expect(section.sectionList(name) == nil)
            #expect(section.sectionMap(name) == nil)
            #expect(section.integerList(name) == [Int]?.none)
            #expect(section.section(name).keys.isEmpty)
            #expect(section.section(name).isPresent == (name == "null"))
            #expect((section.optionalSection(name) == nil) == (name == "missing"))
            try section.finish()
        }
    }

    @Test func `values of the wrong type or size`() throws {
        let text = """
            flag: yes
            count: many
            big: 300
            half: 1.5
            ratio: 1.5
            nan: .nan
            text: 12
            map_text: {a: 1}
            blank: ""
            level: basik
            wait: 5
            wait2: 5 s
            wait3: -1s
            wait4: 2h
            wait5: [1s]
            at: localhost
            url: ftp://x
            min: -1
            """
        let found = try errors(text) { section in
            _ = section.bool("flag")
            _ = section.integer("count", in: 0...10)
            _ = section.integer("big", in: UInt8(0)...UInt8(255))
            _ = section.integer("half", in: 0...10)
            _ = section.double("ratio", in: 0...1)
            _ = section.double("nan")
            _ = section.string("text")
            _ = section.string("map_text")
            _ = section.nonEmptyString("blank")
            _ = section.choice("level", as: Level.self)
            _ = section.duration("wait")
            _ = section.duration("wait2")
            _ = section.duration("wait3")
            _ = section.duration("wait4", in: .seconds(1) ... .seconds(60))
            _ = section.duration("wait5")
            _ = section.endpoint("at")
            _ = section.url("url")
            _ = section.integer("min", in: 1...Int.max)
        }
        #expect(
            found.joined(separator: "\n") == """
                a.yaml:1:7: receivers::x::flag: must be true or false, not a string "yes"
                a.yaml:2:8: receivers::x::count: must be an integer, not a string "many"
                a.yaml:3:6: receivers::x::big: must be from 0 to 255, not 300
                a.yaml:4:7: receivers::x::half: must be an integer, not a number 1.5
                a.yaml:5:8: receivers::x::ratio: must be from 0.0 to 1.0, not 1.5
                a.yaml:6:6: receivers::x::nan: must be a finite number, not .nan
                a.yaml:7:7: receivers::x::text: must be a string, not an integer; write "12" in quotes
                a.yaml:8:11: receivers::x::map_text: must be a string, not a mapping
                a.yaml:9:8: receivers::x::blank: must not be empty
                a.yaml:10:8: receivers::x::level: must be "none", "basic" or "detailed", not "basik" \
                (did you mean "basic"?)
                a.yaml:11:7: receivers::x::wait: "5" needs a unit, such as 30s or 200ms
                a.yaml:12:8: receivers::x::wait2: "5 s" has the unknown unit " s"; use ns, us, ms, s, m or h
                a.yaml:13:8: receivers::x::wait3: must not be negative, not -1s
                a.yaml:14:8: receivers::x::wait4: must be from 1s to 1m0s, not 2h0m0s
                a.yaml:15:8: receivers::x::wait5: must be a duration such as 30s or 200ms, not a sequence
                a.yaml:16:5: receivers::x::at: "localhost" has no port; write host:port
                a.yaml:17:6: receivers::x::url: "ftp://x" must start with "http://" or "https://"
                a.yaml:18:6: receivers::x::min: must be at least 1, not -1
                """)
    }

    @Test func `collections of the wrong type`() throws {
        let text = """
            list: {a: b}
            list2: [a, 1, [b]]
            map: [a]
            map2: {a: 1}
            ints: [1, 20, x]
            """
        let found = try errors(text) { section in
            _ = section.stringList("list")
            _ = section.stringList("list2")
            _ = section.stringMap("map")
            _ = section.stringMap("map2")
            _ = section.integerList("ints", in: 0...9)
        }
        #expect(
            found == [
                "a.yaml:1:7: receivers::x::list: must be a list of strings, not a mapping",
                "a.yaml:2:12: receivers::x::list2[1]: must be a string, not an integer; put it in quotes",
                "a.yaml:2:15: receivers::x::list2[2]: must be a string, not a sequence",
                "a.yaml:3:6: receivers::x::map: must be a mapping of strings, not a sequence",
                "a.yaml:4:11: receivers::x::map2::a: must be a string, not an integer; put it in quotes",
                "a.yaml:5:11: receivers::x::ints[1]: must be an integer from 0 to 9, not 20",
                "a.yaml:5:15: receivers::x::ints[2]: must be an integer from 0 to 9, not x",
            ])
    }

    @Test func `all unknown keys, in inner sections too, with the nearest known key`() throws {
        let text = """
            endpont: a
            protocols:
              http: {endpoint: x, tiemout: 1s}
              gprc:
            policies: [{name: a}, {nmae: b}]
            named: {one: {typ: x}}
            qqqqqqqq: 1
            """
        let found = try errors(text) { section in
            _ = section.string("endpoint")
            let protocols = section.section("protocols")
            _ = protocols.contains("grpc")
            let http = protocols.section("http")
            _ = http.string("endpoint")
            _ = http.duration("timeout")
            for policy in section.sectionList("policies") ?? [] { _ = policy.string("name") }
            for (_, inner) in section.sectionMap("named") ?? [] { _ = inner.string("type") }
            section.section("qq").acceptAnyKey()
        }
        #expect(
            found == [
                #"a.yaml:1:1: receivers::x: unknown key "endpont" (did you mean "endpoint"?)"#,
                #"a.yaml:3:23: receivers::x::protocols::http: unknown key "tiemout" (did you mean "timeout"?)"#,
                #"a.yaml:4:3: receivers::x::protocols: unknown key "gprc" (did you mean "grpc"?)"#,
                #"a.yaml:5:24: receivers::x::policies[1]: unknown key "nmae" (did you mean "name"?)"#,
                #"a.yaml:6:15: receivers::x::named::one: unknown key "typ" (did you mean "type"?)"#,
                #"a.yaml:7:1: receivers::x: unknown key "qqqqqqqq""#,
            ])
    }

    @Test func `required, refused and custom errors`() throws {
        let found = try errors("old: 1\nmin: 5\nnone:\n") { section in
            section.require("endpoint")
            section.require("none")
            section.require("min")
            section.refuse("old", because: "cookies are not kept; remove it")
            section.refuse("older", because: "it is gone")
            section.error("min", "must not exceed \"max\" (3)")
            section.error("max", "is too small")
            section.warn("min", "is deprecated", suggestion: "minimum")
            #expect(
                section.diagnostics.warnings.map(\.description) == [
                    #"a.yaml:2:6: receivers::x::min: is deprecated (did you mean "minimum"?)"#
                ])
        }
        #expect(
            found == [
                #"a.yaml:1:1: receivers::x: "endpoint" is missing"#,
                #"a.yaml:1:1: receivers::x: "old" is not supported: cookies are not kept; remove it"#,
                #"a.yaml:1:1: receivers::x::max: is too small"#,
                #"a.yaml:2:6: receivers::x::min: must not exceed "max" (3)"#,
                #"a.yaml:3:6: receivers::x: "none" must not be empty"#,
            ])
    }

    @Test func `a section that is no mapping`() throws {
        #expect(
            try errors("tls: true\nlist: [a]\nmany: x") {
                _ = $0.section("tls").string("ca_file")
                _ = $0.sectionList("list")
                _ = $0.sectionList("many")
            } == [
                "a.yaml:1:6: receivers::x::tls: must be a mapping, not a boolean",
                "a.yaml:2:8: receivers::x::list[0]: must be a mapping, not a string",
                "a.yaml:3:7: receivers::x::many: must be a list of mappings, not a string",
            ])
    }

    @Test func `strings take the text that was substituted`() throws {
        let environment = ["ZIP": "0123", "PW": "#x", "MAP": "{a", "MAP2": "{a: 1}", "EMPTY": "", "N": "7", "D": "5"]
        let text = """
            zip: ${env:ZIP}
            pw: ${env:PW}
            map: ${env:MAP}
            map2: ${env:MAP2}
            empty: ${env:EMPTY}
            unset: ${env:UNSET}
            number: ${env:N}
            headers: {a: "${env:ZIP}", b: "${env:EMPTY}"}
            list: ["${env:ZIP}"]
            commas: ${env:N}
            """
        let section = try section(text, environment: environment)
        #expect(section.stringList("commas") == ["7"])
        #expect(section.string("zip") == "0123")
        #expect(section.secret("pw")?.reveal() == "#x")
        #expect(section.string("map") == "{a")
        #expect(section.string("map2") == "{a: 1}")
        #expect(section.string("empty") == "")
        #expect(section.string("unset") == "")
        #expect(section.integer("number") == 7)
        #expect(section.secretMap("headers")?.map { $0.value.reveal() } == ["0123", ""])
        #expect(section.stringList("list") == ["0123"])
        try section.finish()
    }

    @Test func `messages never show secrets or substituted text`() throws {
        let environment = ["S": "hunter2", "D": "7"]
        let text = """
            port: ${env:S}
            wait: ${env:S}
            wait2: ${env:D}
            level: ${env:S}
            at: ${env:S}
            url: x${env:S}
            password: 4711
            api_key: 4711
            headers: {a: 4711, b: [4711]}
            pairs: [{name: n, value: 4711}, {value: x}, {name: n}]
            site: https://user:hunter2@host#x
            list: [[hunter2]]
            """
        let found = try errors(text, environment: environment) { section in
            _ = section.integer("port", in: 0...65535)
            _ = section.duration("wait")
            _ = section.duration("wait2")
            _ = section.choice("level", ["hunter3"])
            _ = section.endpoint("at")
            _ = section.url("url")
            _ = section.secret("password")
            _ = section.string("api_key")
            _ = section.secretMap("headers")
            _ = section.secretMap("pairs")
            _ = section.url("site")
            _ = section.stringList("list")
        }
        #expect(found.count == 15)
        #expect(!found.joined().contains("hunter2") && !found.joined().contains("4711"), "\(found)")
    }

    @Test func `decode collects and returns nothing after an error`() throws {
        let root = try load("a: 1\nb: x\nc: 2").root
        var diagnostics = ConfigDiagnostics()
        let result = ConfigSection.decode(root, path: "p", into: &diagnostics) { section in
            section.warn("a", "is old")
            return (section.integer("a", in: 0...9) ?? 0, section.integer("b", in: 0...9) ?? 0)
        }
        #expect(result == nil)
        #expect(
            diagnostics.errors.map(\.description) == [
                #"a.yaml:2:4: p::b: must be an integer, not a string "x""#,
                #"a.yaml:3:1: p: unknown key "c""#,
            ])
        #expect(diagnostics.warnings.count == 1)
        var clean = ConfigDiagnostics()
        let value = ConfigSection.decode(try load("a: 1").root, path: "", into: &clean) { section throws(ConfigError) in
            let value = section.integer("a", in: 0...9)
            try section.finish()
            return value
        }
        #expect(value == 1 && !clean.hasErrors)
        let thrown = ConfigSection.decode(root, path: "", into: &clean) { _ throws(ConfigError) -> Int in
            throw ConfigError(ConfigDiagnostic(at: nil, "own"))
        }
        #expect(thrown == nil && clean.errors.map(\.message) == ["own"])
    }

    @Test func `diagnostics are capped and counted`() {
        var diagnostics = ConfigDiagnostics()
        for index in 0..<150 {
            diagnostics.error(ConfigDiagnostic(at: nil, "e\(index)"))
            diagnostics.warning(ConfigDiagnostic(at: nil, "w\(index)"))
        }
        #expect(diagnostics.errors.count == 100 && diagnostics.omittedErrors == 50)
        #expect(diagnostics.warnings.count == 100 && diagnostics.omittedWarnings == 50)
        #expect(ConfigError(diagnostics).description.hasSuffix("e99\nand 50 more errors"))
    }

    @Test func `hostile text in messages is escaped and shortened`() throws {
        let long = String(repeating: "k", count: 5000)
        let found = try errors("\"a\\e[31m\\nb\": 1\n? \(long)\n: 2") { _ = $0.string("x") }
        #expect(found[0] == #"a.yaml:1:1: receivers::x: unknown key "a\u{1b}[31m\nb""#)
        #expect(found[1].utf8.count < 200)
    }
}
