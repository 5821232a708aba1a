import Config
import Testing

@Suite struct ConfigLoaderTests {
    private func load(
        _ configs: [String], sets: [String] = [], environment: [String: String] = [:], files: [String: String] = [:]
    ) -> String {
        do throws(ConfigError) {
            let loader = ConfigLoader(inputs: inputs(environment: environment, files: files))
            return shape(try loader.load(configs: configs, sets: sets).root)
        } catch {
            return error.description
        }
    }

    @Test func `sources of every scheme`() {
        let files = ["/etc/a.yaml": "a: 1", "b": "b: 2"]
        #expect(load(["/etc/a.yaml"], files: files) == "{a: 1}")
        #expect(load(["file:/etc/a.yaml", "file:b"], files: files) == "{a: 1, b: 2}")
        #expect(load(["env:CONF"], environment: ["CONF": "a::b: ${env:X}", "X": "3"]) == "{a: {b: 3}}")
        #expect(
            load(["yaml:exporters::debug::verbosity: detailed"]) == "{exporters: {debug: {verbosity: \"detailed\"}}}")
        #expect(load(["yaml:"]) == "null")
    }

    @Test func `later sources go over earlier ones`() {
        let files = [
            "a": "x: {one: 1, list: [1, 2], sub: {k: v}}\ny: 1\nz: {a: 1}",
            "b": "x: {two: 2, list: [3], sub: {l: w}}\ny:",
            "empty": "# nothing",
        ]
        let merged = "{x: {one: 1, list: [3], sub: {k: \"v\", l: \"w\"}, two: 2}, y: null, z: {a: 1}}"
        #expect(load(["a", "b"], files: files) == merged)
        #expect(load(["a", "empty", "b", "empty"], files: files) == merged)
        #expect(load(["a", "yaml:x: 5", "yaml:z: {b: 2}"], files: files) == "{x: 5, y: 1, z: {a: 1, b: 2}}")
    }

    @Test func `overrides`() {
        let files = ["a": "x: {timeout: 1s, otlp/a.b: {c: 1}}"]
        #expect(
            load(["a"], sets: ["x.timeout=5s"], files: files) == "{x: {timeout: \"5s\", otlp/a.b: {c: 1}}}")
        #expect(
            load(["a"], sets: ["x::otlp/a.b::c=[1, {d: e}]"], files: files)
                == "{x: {timeout: \"1s\", otlp/a.b: {c: [1, {d: \"e\"}]}}}")
        #expect(load([], sets: ["a=1", "a=2", "b=${env:V}"], environment: ["V": "x=y"]) == "{a: 2, b: \"x=y\"}")
        #expect(load([], sets: ["a="]) == "{a: null}")
    }

    @Test(
        arguments: [
            ([], [], "no configuration is given; use --config with a path"),
            ([""], [], "--config is empty; give it a path"),
            (["file:"], [], "--config \"file:\" names no file"),
            (
                ["http://h/c"], [],
                "--config \"http://h/c\": configuration over http is not supported; download it and give its path"
            ),
            (
                ["https://h/c"], [],
                "--config \"https://h/c\": configuration over https is not supported; download it and give its path"
            ),
            (
                ["s3:x"], [],
                "--config \"s3:x\": the scheme \"s3\" is unknown; it can be \"env\", \"file\" or \"yaml\", or a path"
            ),
            (["nope"], [], "cannot read the configuration file \"nope\": No such file or directory"),
            (["env:NOPE"], [], "the environment variable \"NOPE\" is not set"),
            (
                ["env:a b"], [],
                "--config \"env:a b\": the name of an environment variable is letters, digits and \"_\", and does not "
                    + "start with a digit"
            ),
            (["yaml:[1]"], [], "--config#1:1:6: the configuration must be a mapping, not a sequence"),
            (["yaml:{}", "yaml:a: {\n"], [], "--config#2:2:1: is not usable YAML: "),
            ([], ["a"], "--set#1:1:1: --set needs key=value, such as a.b=c"),
            ([], ["a=1", "a..b=c"], "--set#2:1:1: the key \"a..b\" has an empty part"),
            ([], ["=c"], "--set#1:1:1: the key \"\" has an empty part"),
            ([], ["ab=$X"], "--set#1:1:4: \"$X\" is not expanded"),
        ] as [([String], [String], String)])
    func `arguments that are refused`(configs: [String], sets: [String], expected: String) {
        #expect(load(configs, sets: sets).hasPrefix(expected))
    }

    @Test func `every source that cannot be read is reported`() {
        #expect(load(["nope", "yaml:[", "http:x"], sets: ["b"]).split(separator: "\n").count == 4)
        let deep = [String](repeating: "k", count: 60).joined(separator: ".") + "=1"
        #expect(load([], sets: [deep]) == "--set#1:1:1: the key has more than 50 parts")
    }

    @Test func `files of this machine`() throws {
        let inputs = ConfigInputs.process
        #expect(throws: ConfigReadError.self) { try inputs.readFile("/nonexistent/x", 10) }
        #expect(throws: ConfigReadError.self) { try inputs.readFile("/", 10) }
        #expect(throws: ConfigReadError.self) { try inputs.readFile("/dev/zero", 10) }
        #expect(throws: ConfigReadError.self) { try inputs.readFile("a\0b", 10) }
        #expect(try inputs.readFile("/dev/null", 10) == [])
        #expect(inputs.environment("PATH") != nil)
        #expect(inputs.environment("MARTLET_NO_SUCH_VARIABLE") == nil)
        let error = #expect(throws: ConfigReadError.self) { try inputs.readFile("/nonexistent/x", 10) }
        #expect(error?.description == "No such file or directory")
    }

    @Test func `printing redacts and loads again`() throws {
        let text = """
            exporters:
              otlphttp:
                endpoint: https://user:pa@h@host/x
                headers: {authorization: Bearer abc, X-Other: $$1}
                auth_token: 1234
                password_file: /run/pw
                empty: {password: '', token: }
              list:
                headers: [{name: a, value: secret1}]
              quoted: ['1', 'true', "a: b", '::', " x", "line\\nline", é, $$x, '']
              "a::b": {<<: {k: 0x10}}
              none: {}
              nothing: []
            """
        let root = try tree(text)
        let printed = try root.yaml()
        #expect(
            printed == """
                exporters:
                  otlphttp:
                    endpoint: https://[REDACTED]@host/x
                    headers:
                      authorization: '[REDACTED]'
                      X-Other: '[REDACTED]'
                    auth_token: '[REDACTED]'
                    password_file: /run/pw
                    empty:
                      password: ""
                      token: null
                  list:
                    headers:
                    - name: a
                      value: '[REDACTED]'
                  quoted:
                  - "1"
                  - "true"
                  - 'a: b'
                  - '::'
                  - ' x'
                  - "line\\nline"
                  - é
                  - $$x
                  - ""
                  "a::b":
                    k: 0x10
                  none: {}
                  nothing: []

                """)
        #expect(shape(try tree(root.yaml(redacting: false))) == shape(root))
    }

    @Test func `a value that is only a comment to YAML is printed as it is`() throws {
        let files = ["a": "a: ${env:V}\npassword: ${env:V}\nb: ${env:SPACE}\nc: ${env:NULL}"]
        let inputs = inputs(environment: ["V": "#word", "SPACE": " ", "NULL": "~"], files: files)
        let root = try ConfigLoader(inputs: inputs).load(configs: ["a"]).root
        #expect(try root.yaml(redacting: false) == "a: '#word'\npassword: '#word'\nb: null\nc: null\n")
        #expect(try root.yaml() == "a: '#word'\npassword: '[REDACTED]'\nb: null\nc: null\n")
    }

    @Test(arguments: [
        ("password", true), ("bearer_token", true), ("X-Api-Key", true), ("clientSecret", true), ("key_pem", true),
        ("aws_secret_access_key", true), ("Authorization", true), ("api_key", true), ("token_url", false),
        ("cert_pem", false), ("key_file", false), ("max_tokens", false), ("key", false), ("secret_file", false),
    ])
    func `keys of secrets`(key: String, isSecret: Bool) {
        #expect(ConfigRedaction.isSecret(key: key) == isSecret)
    }
}
