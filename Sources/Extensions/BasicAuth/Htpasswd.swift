internal import CCrypt
internal import Glibc

/// The users of an htpasswd file: `name:password` lines, where the password is a hash or plain text.
struct Htpasswd: Sendable {
    /// What is known about one user.
    enum Password: Sendable {
        /// As written in the configuration.
        case plain([UInt8])
        /// A hash that libcrypt knows: bcrypt, SHA-512, SHA-256, MD5, yescrypt …
        case hash(String)
    }

    private let users: [String: Password]
    /// Any hash: what unknown users are checked against, so that the time does not tell who exists.
    private let decoy: String?

    /// Hashes that go on too long are refused: bcrypt with a cost of 16 takes seconds.
    private static let highestBcryptCost = 15
    /// Longest password, in bytes; libcrypt's own limit is 512.
    static let longestPassword = 256

    /// - Parameter texts: each with its lines; a user that comes twice keeps the first password.
    init(_ texts: [[UInt8]]) throws(WatchedFile.Unusable) {
        var users: [String: Password] = [:]
        var decoy: String?
        for text in texts {
            for (number, line) in WatchedFile.lines(text) {
                guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")), colon != line.startIndex else {
                    throw WatchedFile.Unusable(description: "line \(number) is not `name:password`")
                }
                let name = String(line[..<colon])
                let password = try Self.password(String(line[line.utf8.index(after: colon)...]), number)
                if case .hash(let text) = password, decoy == nil { decoy = text }
                if users[name] == nil { users[name] = password }
            }
        }
        if users.isEmpty { throw WatchedFile.Unusable(description: "holds no user") }
        self.users = users
        self.decoy = decoy
    }

    private static func password(_ text: String, _ number: Int) throws(WatchedFile.Unusable) -> Password {
        guard !text.isEmpty else {
            throw WatchedFile.Unusable(description: "line \(number) has no password")
        }
        for prefix in ["$apr1$", "{SHA}", "{SSHA}"] where text.hasPrefix(prefix) {
            throw WatchedFile.Unusable(
                description: "line \(number) has a hash of the form \(prefix), which is weak; make one with htpasswd -B"
            )
        }
        guard text.utf8.first == UInt8(ascii: "$") else { return .plain(Array(text.utf8)) }
        let parts = text.utf8.split(separator: UInt8(ascii: "$"))
        guard let kind = parts.first.map({ String(decoding: $0, as: UTF8.self) }), parts.count >= 3,
            ["2a", "2b", "2y", "5", "6", "1", "y", "7", "gy"].contains(kind)
        else {
            throw WatchedFile.Unusable(description: "line \(number) has a hash of a form that is not known")
        }
        if kind.hasPrefix("2") {
            let cost = Int(String(decoding: parts[1], as: UTF8.self)) ?? Int.max
            guard cost <= highestBcryptCost else {
                throw WatchedFile.Unusable(
                    description: "line \(number) has a bcrypt hash whose cost is above \(highestBcryptCost)")
            }
        }
        return .hash(text)
    }

    /// Whether checking any user takes long.
    var hasHashes: Bool { decoy != nil }

    /// Whether checking this user takes long: so that the time does not tell, unknown users take as long.
    func isSlow(_ user: String) -> Bool {
        switch users[user] {
        case .plain: false
        case .hash: true
        case nil: decoy != nil
        }
    }

    /// Whether the password is the user's. Takes as long as the hash wants: milliseconds to a second.
    func verify(_ user: String, _ password: [UInt8]) -> Bool {
        guard password.count <= Self.longestPassword, !password.contains(0) else { return false }
        switch users[user] {
        case .plain(let known): return SecretBytes.equal(known, password)
        case .hash(let hash): return Self.verify(password, hash)
        case nil:
            if let decoy { _ = Self.verify(password, decoy) }
            return false
        }
    }

    private static func verify(_ password: [UInt8], _ hash: String) -> Bool {
        (password + [0]).withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { text in
                text.baseAddress.map { martlet_crypt_verify($0, hash) } ?? false
            }
        }
    }
}
