/// Why bytes could not be compressed or decompressed. Texts never hold any of the bytes.
package enum CompressionError: Error, Equatable, Sendable {
    /// The input is not a whole, valid stream of the named encoding: bad header, bad block, wrong checksum,
    /// truncated, or bytes after its end.
    case corrupt(ContentEncoding)
    /// The output passes `limit` bytes.
    case tooLarge(limit: Int)
    /// An encoding, or a feature of one, that is not implemented. The name is cut to
    /// `ContentEncoding.maxNameLength` printable ASCII characters.
    case unsupported(String)
    /// A compression level outside the range of its encoding.
    case levelOutOfRange(Int, encoding: ContentEncoding)
    /// The allocator refused.
    case outOfMemory
}

extension CompressionError: CustomStringConvertible {
    /// What is wrong, and what to use instead where there is a choice.
    package var description: String {
        switch self {
        case .corrupt(let encoding): "body is not valid \(encoding.token)"
        case .tooLarge(let limit): "body is larger than the limit of \(limit) bytes"
        case .unsupported(let name): "unsupported content encoding \"\(name)\": use identity, gzip, deflate or zstd"
        case .levelOutOfRange(let level, let encoding):
            "\(encoding.token) compression level \(level) is out of range: use "
                + "\(encoding.levels.lowerBound) to \(encoding.levels.upperBound)"
        case .outOfMemory: "out of memory while compressing or decompressing a body"
        }
    }
}
