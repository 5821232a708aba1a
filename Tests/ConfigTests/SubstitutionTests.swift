import Config
import Testing

@Suite struct SubstitutionTests {
    private let environment = [
        "PORT": "4317", "HOST": "db", "EMPTY": "", "ZERO": "0123", "MAP": "{a: 1, b: [x]}", "QUOTED": "\"q\"",
        "NAME": "HOST", "BROKEN": "[x", "NESTED": "${env:HOST}:${PORT}", "DOLLAR": "pa$word", "DOUBLE": "a$$b",
        "HASH": "#hunter2", "SELF": "${env:SELF}", "PING": "x${env:PONG}", "PONG": "y${env:PING}", "BOOL": "true",
        "UNCLOSED": "a${b", "LINES": "a: 1\n b: 2\n",
    ]
    private let files = [
        "token": "abc\n", "part.yaml": "x: ${env:HOST}\ny: 2\n", "bad.yaml": "x: [1\ny: 2\n", "dollar": "a$b",
    ]

    private func value(_ text: String) -> String {
        do throws(ConfigError) {
            return shape(try load("a: \(text)", environment: environment, files: files).root["a"])
        } catch {
            return error.description
        }
    }

    @Test(arguments: [
        ("${env:PORT}", "4317"), ("${PORT}", "4317"), ("'${PORT}'", "4317"), ("${env:BOOL}", "true"),
        ("${env:MAP}", "{a: 1, b: [\"x\"]}"), ("${env:EMPTY}", "null"), ("${env:BROKEN}", "\"[x\""),
        ("${env:QUOTED}", "\"\"q\"\""), ("${env:HASH}", "null"), ("${env:ZERO}", "83"),
        ("x${env:PORT}", "\"x4317\""), ("${HOST}:${PORT}", "\"db:4317\""), ("${env:MAP}!", "\"{a: 1, b: [x]}!\""),
        ("${env:NESTED}", "\"db:4317\""), ("tcp://${env:NESTED}/", "\"tcp://db:4317/\""),
        ("${env:${NAME}}", "\"db\""), ("${${NAME}}", "\"db\""), ("${env:${env:NOPE:-HOST}}", "\"db\""),
        ("${env:NOPE:-5s}", "\"5s\""), ("${NOPE:-5}", "5"), ("${NOPE:-}", "null"), ("${env:EMPTY:-x}", "null"),
        ("${env:NOPE:-${env:HOST}}", "\"db\""), ("${env:NOPE:-a:-b}", "\"a:-b\""), ("${NOPE:-{a: 1}}", "\"{a: 1}\""),
        ("${env:NOPE:-$$5}", "\"$5\""), ("${env:NOPE:-$$$$}", "\"$$\""),
        ("$$", "\"$\""), ("$${env:HOST}", "\"${env:HOST}\""), ("$$$${x}", "\"$${x}\""), ("$$${HOST}", "\"$db\""),
        ("a$", "\"a$\""), ("^$", "\"^$\""), ("$1", "\"$1\""), ("a$$b", "\"a$b\""),
        ("${env:DOLLAR}", "\"pa$word\""), ("${env:DOUBLE}", "\"a$b\""), ("${env:UNCLOSED}", "\"a${b\""),
        ("${yaml:[1, x]}", "[1, \"x\"]"), ("${yaml:b::c: ${HOST}}", "{b: {c: \"db\"}}"),
        ("${file:token}", "\"abc\""), ("${file:dollar}", "\"a$b\""), ("Bearer ${file:token}", "\"Bearer abc\""),
        ("${file:part.yaml}", "{x: \"db\", y: 2}"), ("${file:tok${yaml:en}}", "\"abc\""),
    ])
    func `values`(text: String, expected: String) {
        // A flow mapping ends at its first "}", hence the quotes that YAML needs around the others too.
        let quoted = text.hasPrefix("'") ? text : "'\(text)'"
        #expect(value(quoted) == expected)
    }

    @Test(arguments: [
        ("$HOST", #""$HOST" is not expanded; write "${env:HOST}" for the variable or "$$HOST" for the text"#),
        ("a${HOST", #""${" has no "}"; write "$$" for a dollar sign"#),
        ("${http://x/y}", #""${http:…}" is not supported; download the file and use "${file:…}""#),
        ("${https:x}", #""${https:…}" is not supported; download the file and use "${file:…}""#),
        ("${vault:x}", #"the scheme "vault" in "${…}" is unknown; it can be "env", "file" or "yaml""#),
        (
            "${}",
            #""" in "${…}" is no variable: the name of an environment variable is letters, digits and "_", "#
                + "and does not start with a digit"
        ),
        (
            "${1}",
            #""1" in "${…}" is no variable: the name of an environment variable is letters, digits and "_", "#
                + "and does not start with a digit"
        ),
        (
            "${env:a-${HOST}}",
            #""env:a-${HOST}" in "${…}" is no variable: the name of an environment variable is letters, digits "#
                + #"and "_", and does not start with a digit"#
        ),
        ("${file:}", #""${file:}" names no file"#),
        ("${file:nope}", #"cannot read the file "nope": No such file or directory"#),
        ("${yaml:a$b}", #""$b" is not expanded; write "${env:b}" for the variable or "$$b" for the text"#),
        ("${env:SELF}", "substitutions lead into each other more than 20 deep; does a value refer to itself?"),
        ("${env:PING}", "substitutions lead into each other more than 20 deep; does a value refer to itself?"),
    ])
    func `errors stand at the scalar`(text: String, expected: String) {
        #expect(value("'\(text)'") == "a.yaml:1:4: \(expected)")
    }

    @Test func `substituted nodes stand where the reference is`() throws {
        let root = try load(
            "a:\n  b: ${file:part.yaml}\n  c: x${PORT}\n", environment: environment, files: files
        ).root
        let b = root["a"]?.mapping?["b"]?.value
        #expect(b?.position.description == "a.yaml:2:6")
        #expect(b?.mapping?["y"]?.keyPosition.description == "a.yaml:2:6")
        #expect(b?.substitutedText == "x: db\ny: 2")
        #expect(root["a"]?["c"]?.position.description == "a.yaml:3:6")
        #expect(root["a"]?["c"]?.substitutedText == "x4317")
    }

    @Test func `keys are not expanded`() throws {
        #expect(shape(try tree("'${env:X}': 1")) == "{${env:X}: 1}")
    }

    @Test func `unset variables are empty and warned about once a place`() throws {
        let loaded = try load("a: ${env:NO}\nb: '${NO}-${NO}'\nc: ${NO:-1}\n")
        #expect(shape(loaded.root) == "{a: null, b: \"-\", c: 1}")
        #expect(
            loaded.diagnostics.warnings.map(\.description) == [
                #"a.yaml:1:4: the environment variable "NO" is not set; its value is empty"#,
                #"a.yaml:2:4: the environment variable "NO" is not set; its value is empty"#,
            ])
    }

    @Test func `a document that is not YAML is a string with a warning that does not show it`() throws {
        let loaded = try load("a: ${file:bad.yaml}\nb: ${env:BROKEN}", environment: environment, files: files)
        #expect(shape(loaded.root) == "{a: \"x: [1\ny: 2\", b: \"[x\"}")
        #expect(
            loaded.diagnostics.warnings.map(\.description) == [
                "a.yaml:1:4: the value of ${file:bad.yaml} is not usable YAML: did not find expected ',' or ']' "
                    + "(while parsing a flow sequence that starts at line 1, column 4); it is taken as a string"
            ])
    }

    @Test func `all errors are reported`() {
        #expect(errors("a: $A\nb: [$B, '${x:y}']").split(separator: "\n").count == 3)
    }

    @Test func `expansion is bounded`() {
        let laughs = Dictionary(
            uniqueKeysWithValues: (0..<19).map { ("L\($0)", "${env:L\($0 + 1)}${env:L\($0 + 1)}") })
        #expect(
            errors("a: ${env:L0}", environment: laughs)
                == "a.yaml:1:4: the configuration has more than 10000 substitutions")
        let big = String(repeating: "x", count: 1 << 20)
        let many = (0..<20).map { "a\($0): ${env:BIG}\n" }.joined()
        #expect(
            errors(many, environment: ["BIG": big])
                == "a.yaml:17:6: substitutions produce more than 16777216 bytes")
        let wide = "[" + [String](repeating: "1", count: 50_000).joined(separator: ",") + "]"
        #expect(
            errors("a: ${env:W}\nb: ${env:W}\nc: ${env:W}\nd: ${env:W}", environment: ["W": wide])
                == "a.yaml:4:4: substitutions produce more than 200000 values")
        let deep = String(repeating: "[", count: 60) + "'${env:DEEP2}'" + String(repeating: "]", count: 60)
        let deeper = String(repeating: "[", count: 60) + String(repeating: "]", count: 60)
        #expect(
            errors("a: ${env:DEEP}", environment: ["DEEP": deep, "DEEP2": deeper])
                == "a.yaml:1:4: substitution nests it more than 100 levels deep")
        let open = String(repeating: "${", count: 200_000)
        #expect(errors("a: ${env:O}", environment: ["O": open]) == "")
        let closed = open + String(repeating: "}", count: 200_000)
        #expect(errors("a: '\(closed)'") == #"a.yaml:1:4: "${" is nested more than 20 deep"#)
    }

    /// 20,000 texts of reference syntax: none may trap, and escaping gives any of them back.
    @Test func `mutated references`() throws {
        var generator = SeededGenerator(seed: 7)
        let pieces = [
            "${", "}", "$", "$$", ":-", "env:", "file:", "yaml:", "HOST", "NESTED", "SELF", "token", "x", "{", ":", "é",
            "[", "'", "\n", "PING",
        ]
        var expanded = 0
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 1...12, using: &generator)).map { _ in
                pieces[Int.random(in: 0..<pieces.count, using: &generator)]
            }.joined()
            let scalar = "\"" + text.replacing("\n", with: "\\n") + "\""
            if (try? load("a: \(scalar)", environment: environment, files: files)) != nil { expanded += 1 }
            let escaped = scalar.replacing("$", with: "$$")
            #expect(try tree("a: \(escaped)")["a"]?.scalar?.text == text)
        }
        #expect(expanded > 2000)
    }
}
