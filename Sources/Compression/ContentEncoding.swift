/// A content coding of HTTP (RFC 9110 §8.4.1).
package enum ContentEncoding: UInt8, Sendable, CaseIterable {
    case identity
    /// RFC 1952.
    case gzip
    /// The zlib format of RFC 1950. Some senders put bare RFC 1951 blocks under this name: decoding takes both.
    case deflate
    /// RFC 8878, with the window bound of RFC 9659.
    case zstd

    /// Longest piece of a foreign name that is repeated in an error, in characters.
    package static let maxNameLength = 32

    /// Parses one token of `Content-Encoding`: case does not matter, spaces and tabs around it neither, and an empty
    /// one is `identity`. `zlib` is deflate, `x-gzip` is gzip (RFC 9110 §8.4.1.3).
    ///
    /// - Throws: `.unsupported` for any other name, a list of codings included.
    package init(token: some StringProtocol) throws(CompressionError) {
        var name = [UInt8](token.utf8.drop { Self.isBlank($0) })
        while let last = name.last, Self.isBlank(last) { name.removeLast() }
        for index in name.indices where name[index] >= 0x41 && name[index] <= 0x5A { name[index] |= 0x20 }
        switch String(decoding: name, as: UTF8.self) {
        case "", "identity": self = .identity
        case "gzip", "x-gzip": self = .gzip
        case "deflate", "zlib": self = .deflate
        case "zstd": self = .zstd
        default:
            let shown = name.prefix(Self.maxNameLength).map { $0 >= 0x20 && $0 < 0x7F ? $0 : 0x3F }
            throw .unsupported(String(decoding: shown, as: UTF8.self))
        }
    }

    /// The name to send in a header.
    package var token: String {
        switch self {
        case .identity: "identity"
        case .gzip: "gzip"
        case .deflate: "deflate"
        case .zstd: "zstd"
        }
    }

    /// Compression levels that an encoder takes, fastest first. zstd counts below zero towards speed.
    package var levels: ClosedRange<Int> {
        switch self {
        case .identity: 0...0
        case .gzip, .deflate: 1...12
        case .zstd: -7...19
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
}
