import GenAI
import Testing

@Suite struct PricesPatternTests {
    @Test(arguments: [
        ("^gpt-4o$", "gpt-4o", true), ("^gpt-4o$", "gpt-4o-mini", false), ("^GPT-4o$", "gpt-4o", true),
        ("gpt", "my-gpt-x", true), ("gpt$", "my-gpt", true), ("gpt$", "gpt-4", false), ("a|b", "xbx", true),
        (#"^a\.b$"#, "a.b", true), (#"^a\.b$"#, "axb", false), ("^a.b$", "axb", true),
        (#"^x(?:[-@]\d{8}|-\d{4}-\d{2}-\d{2}|@latest|-latest)?$"#, "x-20240101", true),
        (#"^x(?:[-@]\d{8}|-\d{4}-\d{2}-\d{2}|@latest|-latest)?$"#, "x-2024-01-01", true),
        (#"^x(?:[-@]\d{8}|-\d{4}-\d{2}-\d{2}|@latest|-latest)?$"#, "x", true),
        (#"^x(?:[-@]\d{8}|-\d{4}-\d{2}-\d{2}|@latest|-latest)?$"#, "x-2024010", false),
        (#"^(?:us\.|eu\.)?m(?:-v\d+(?::\d+)?(?::\d+k)?)?$"#, "eu.m-v1:0:200k", true),
        (#"^(?:us\.|eu\.)?m(?:-v\d+(?::\d+)?(?::\d+k)?)?$"#, "jp.m-v1:0", false),
        ("^a*b+c{2,3}$", "bbccc", true), ("^a*b+c{2,3}$", "bc", false), ("^(a?)*$", "aaaa", true),
        ("^[^a-c]+$", "xyz", true), ("^[^a-c]+$", "xbz", false), ("^[]a]+$", "]a", true), ("^[a-]+$", "a-", true),
        ("^[A-Z]$", "q", true), ("^[^A-Z]$", "q", false), ("^\\D\\W\\S$", "a-a", true), ("(?i)^ABC$", "abc", true),
        ("", "anything", true), ("^$", "", true), ("^$", "a", false), ("^a{0}b$", "b", true), ("^a{2,}$", "aaaa", true),
    ])
    func searches(pattern: String, name: String, expected: Bool) throws {
        #expect(try NamePattern(pattern).matches(name) == expected)
    }

    @Test(arguments: [
        "(", ")", "a)", "[", "[a", "a{", "a{1", "a{2,1}", "a{999}", "*a", "a**", "(?=a)", "(?<n>a)", "(?!a)", "\\1",
        "\\b",
        "a\\", "[z-a]", "((((a{200}){200}){200}){200})", String(repeating: "(", count: 100),
        String(repeating: "a", count: 5000), "[a-\\d]",
    ])
    func refuses(pattern: String) {
        #expect(throws: NamePattern.Malformed.self) { try NamePattern(pattern) }
    }

    @Test func hostilePatternsTakeLinearTime() throws {
        let pattern = try NamePattern("^(?:a|a|aa|a*)*(?:a?){200}b$")
        #expect(!pattern.matches(String(repeating: "a", count: 500)))
    }

    @Test func anyTextCompilesOrIsRefused() {
        var dice = SeededDice(state: 99)
        let alphabet = Array(#"^$|()[]{}?*+\.-:,0123abdDwWsSzZ"#)
        var compiled = 0
        for _ in 0..<20_000 {
            let text = String(
                (0..<Int.random(in: 0...14, using: &dice)).map { _ in alphabet.randomElement(using: &dice) ?? "a" })
            guard let pattern = try? NamePattern(text) else { continue }
            compiled += 1
            _ = pattern.matches("ab-1:0.dz")
        }
        #expect(compiled > 500)
    }
}
