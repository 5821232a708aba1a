import Config
import Testing

@Suite struct YAMLTreeTests {
    @Test(arguments: [
        ("", "null"), ("~", "null"), ("null", "null"), ("Null", "null"), ("NULL", "null"), ("nUll", "\"nUll\""),
        ("true", "true"), ("True", "true"), ("FALSE", "false"), ("yes", "\"yes\""), ("on", "\"on\""),
        ("0", "0"), ("-0", "0"), ("+5", "5"), ("-17", "-17"), ("1_000", "1000"), ("0x1F", "31"), ("-0x10", "-16"),
        ("0o17", "15"), ("010", "8"), ("0b101", "5"), ("08", "8.0f"), ("+-5", "\"+-5\""), ("--5", "\"--5\""),
        ("9223372036854775807", "9223372036854775807"), ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775808", "9.223372036854776e+18f"), ("1.5", "1.5f"), (".5", "0.5f"), ("1.", "1.0f"),
        ("1e3", "1000.0f"), ("-1.5E-2", "-0.015f"), ("1e", "\"1e\""), (".", "\".\""), ("1.2.3", "\"1.2.3\""),
        ("1e999", "\"1e999\""), (".inf", "inff"), ("-.Inf", "-inff"), (".NaN", "nan"), ("nan", "\"nan\""),
        ("inf", "\"inf\""), ("0x", "\"0x\""), ("0xg", "\"0xg\""), ("2024-01-02", "\"2024-01-02\""),
        ("10s", "\"10s\""), ("localhost:4317", "\"localhost:4317\""), ("\"1\"", "\"1\""), ("'true'", "\"true\""),
        ("!!str 12", "\"12\""), ("! 12", "\"12\""), ("!!int \"12\"", "12"), ("!!float 1", "1.0f"),
        ("!!bool 'true'", "true"), ("!!null ''", "null"), ("|\n  12", "\"12\""), (">-\n  a\n  b", "\"a b\""),
    ])
    func `plain scalars mean what yaml.v3 says`(text: String, expected: String) throws {
        #expect(shape(try tree("a: \(text)")["a"]) == expected)
    }

    @Test func `styles are kept`() throws {
        let root = try tree("a: x\nb: 'x'\nc: \"x\"\nd: |\n  x\ne: !!str x")
        let styles = ["a", "b", "c", "d", "e"].map { root[$0]?.scalar?.style }
        #expect(styles == [.plain, .quoted, .quoted, .quoted, .quoted])
    }

    @Test func `every key and value has its place`() throws {
        let root = try tree("receivers:\n  otlp:\n    protocols: {grpc: , http: [a, 'b']}\n\nü: ö\n")
        func place(_ position: ConfigPosition?) -> String { position?.description ?? "missing" }
        #expect(place(root.position) == "a.yaml:1:1")
        let otlp = root["receivers"]?.mapping?["otlp"]
        #expect(place(otlp?.keyPosition) == "a.yaml:2:3")
        #expect(place(otlp?.value.position) == "a.yaml:3:5")
        let protocols = otlp?.value.mapping?["protocols"]
        #expect(place(protocols?.keyPosition) == "a.yaml:3:5")
        #expect(place(protocols?.value.position) == "a.yaml:3:16")
        #expect(place(protocols?.value.mapping?["http"]?.keyPosition) == "a.yaml:3:25")
        #expect(place(protocols?.value["http"]?.position) == "a.yaml:3:31")
        #expect(place(protocols?.value["http"]?.sequence?.last?.position) == "a.yaml:3:35")
        #expect(place(root.mapping?["ü"]?.value.position) == "a.yaml:5:4")
    }

    @Test func `keys keep their order`() throws {
        #expect(try tree("z: 1\na: 2\nm: 3").mapping?.keys == ["z", "a", "m"])
    }

    @Test func `anchors, aliases and merge keys`() throws {
        let text = """
            base: &base {a: 1, b: {c: 2}}
            other: &other {a: 9, d: 4}
            one: {<<: *base, b: 3}
            two: {<<: [*base, *other], e: 5}
            list: [&x 7, *x]
            quoted: {"<<": 1}
            """
        let root = try tree(text)
        #expect(shape(root["one"]) == "{b: 3, a: 1}")
        #expect(shape(root["two"]) == "{e: 5, a: 1, b: {c: 2}, d: 4}")
        #expect(shape(root["list"]) == "[7, 7]")
        #expect(shape(root["quoted"]) == "{<<: 1}")
        #expect(root["one"]?["a"]?.position.description == "a.yaml:1:17")
        #expect(errors("a: {<<: 1}") == #"a.yaml:1:9: "<<" needs a mapping or a list of mappings, not an integer"#)
        #expect(errors("a: *b").hasSuffix(#"there is no anchor "b" above this alias"#))
        #expect(
            errors("a: &a [1, *a]") == #"a.yaml:1:11: is not usable YAML: the value of anchor "a" contains itself"#)
    }

    @Test func `key paths unfold, and quotes keep them whole`() throws {
        #expect(shape(try tree("a::b::c: 1")) == "{a: {b: {c: 1}}}")
        #expect(shape(try tree("a::b: 1\na::c: 2\na:\n  d: 3")) == "{a: {b: 1, c: 2, d: 3}}")
        #expect(shape(try tree("a:\n  d: 3\na::b: 1")) == "{a: {d: 3, b: 1}}")
        #expect(shape(try tree("x:\n  a::b: 1")) == "{x: {a: {b: 1}}}")
        #expect(shape(try tree("'a::b': 1")) == "{a::b: 1}")
        #expect(errors("a::b: 1\na:\n  b: 2").contains("a.yaml:2:1: the key \"a\" is here twice"))
        #expect(errors("a::b: 1\na::b: 2").contains("a.yaml:2:1: the key \"a::b\" is here twice"))
        #expect(errors("a: 1\na::b: 2").contains("is here twice"))
        #expect(errors("a::::b: 2").contains("has an empty part"))
    }

    @Test func `all duplicate keys are reported`() {
        #expect(
            errors("a: 1\nb: {c: 1, c: 2}\na: 3\n") == """
                a.yaml:2:11: the key "c" is here twice; it is first at line 2, column 5
                a.yaml:3:1: the key "a" is here twice; it is first at line 1, column 1
                """)
    }

    @Test(arguments: [
        ("a: 1\n---\nb: 2\n", "a.yaml:2:1: is not usable YAML: it holds more than one document (\"---\")"),
        ("? [a]\n: b\n", "a.yaml:1:3: is not usable YAML: a key must be a string, not a sequence or mapping"),
        ("'': b\n", "a.yaml:1:1: is not usable YAML: a key is empty"),
        ("a: !!binary aGk=\n", "a.yaml:1:4: the tag \"tag:yaml.org,2002:binary\" is not supported for this value"),
        ("a: !mine {}\n", "a.yaml:1:4: the tag \"!mine\" is not supported for this value"),
        ("a: !!int x\n", "a.yaml:1:4: the tag \"tag:yaml.org,2002:int\" is not supported for this value"),
        ("a: \"\\0\"\n", "a.yaml:1:4: the value contains a NUL character"),
        ("[1, 2]", "a.yaml:1:1: the configuration must be a mapping, not a sequence"),
        ("text", "a.yaml:1:1: the configuration must be a mapping, not a string"),
        (
            "a:\n\tb: 1\n",
            "a.yaml:2:1: is not usable YAML: found character that cannot start any token (while scanning for the "
                + "next token); indent with spaces, not tabs"
        ),
        (
            "a: [${env:B}]\n",
            "a.yaml:1:6: is not usable YAML: did not find expected ',' or ']' (while parsing a flow sequence that "
                + "starts at line 1, column 4); put \"${…}\" in quotes inside [ ] and { }"
        ),
        (
            "a: {b: 1\nc: 2",
            "a.yaml:2:2: is not usable YAML: did not find expected ',' or '}' (while parsing a flow mapping that "
                + "starts at line 1, column 4)"
        ),
    ])
    func `text that is refused`(text: String, expected: String) {
        #expect(errors(text) == expected)
    }

    @Test func `empty sources and a byte order mark`() throws {
        #expect(try tree("").isNull)
        #expect(try tree("# nothing\n").isNull)
        #expect(try tree("---\n...\n").isNull)
        let root = try tree("\u{FEFF}a: 1")
        #expect(root.mapping?["a"]?.keyPosition.description == "a.yaml:1:1")
    }

    @Test func `descriptions and reflection do not show values`() throws {
        let root = try tree("password: hunter2")
        var dumped = ""
        dump(root, to: &dumped)
        dump(root["password"]?.scalar, to: &dumped)
        #expect(!"\(root) \(String(reflecting: root["password"])) \(dumped)".contains("hunter2"))
    }
}
