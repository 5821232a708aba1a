/// Which keys hold secrets, by their names.
package enum ConfigRedaction {
    /// What stands in a secret's place.
    package static let mask = "[REDACTED]"

    /// Last words of keys whose values are secret.
    private static let secretWords: Set<String> = [
        "password", "passwd", "passphrase", "secret", "token", "authorization", "apikey", "credential",
        "credentials", "cookie", "dsn",
    ]
    /// Last two words of keys whose values are secret.
    private static let secretPairs: Set<String> = ["api key", "access key", "private key", "secret key", "account key"]

    /// Whether the value of `key` is a secret: `password`, `auth_token`, `x-api-key`, `clientSecret` …, but not
    /// `token_url`, `password_file`, `cert_pem`.
    package static func isSecret(key: String) -> Bool {
        let words = words(key)
        guard let last = words.last else { return false }
        if last == "pem" { return words.dropLast().last == "key" }
        if secretWords.contains(last) { return true }
        return words.count >= 2 && secretPairs.contains(words.suffix(2).joined(separator: " "))
    }

    /// Whether everything under `key` is secret: the values of headers.
    package static func holdsSecrets(key: String) -> Bool {
        words(key).last.map { $0 == "headers" || $0 == "metadata" } ?? false
    }

    /// `text` with the user and password of each URL in it replaced by the mask.
    static func withoutUserInfo(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "@")), let parts = ConfigPath.split(text, by: "://") else { return text }
        var result = parts[0]
        for part in parts.dropFirst() {
            let authority = part.utf8.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: " ") }
            result += "://"
            if let at = authority.lastIndex(of: UInt8(ascii: "@")) {
                result += mask + part[at...]
            } else {
                result += part
            }
        }
        return result
    }

    private static func words(_ key: String) -> [String] {
        guard key.utf8.count <= 256 else { return [] }
        var words: [String] = []
        var word = ""
        var wasLower = false
        for character in key {
            let isSeparator = !(character.isLetter || character.isNumber)
            if isSeparator || (character.isUppercase && wasLower) {
                if !word.isEmpty { words.append(word) }
                word = ""
            }
            if !isSeparator { word += character.lowercased() }
            wasLower = character.isLowercase
        }
        if !word.isEmpty { words.append(word) }
        return words
    }
}
