/// How a body says where its messages end.
package enum HTTPBodyFraming: Sendable {
    /// It does not: the body is one message.
    case none
    /// gRPC's: one byte, which says whether the message is compressed, then its length in four bytes, most significant
    /// first, then the message.
    case lengthPrefixed

    /// Bytes before a message.
    package static let prefixBytes = 5

    /// Bytes of prefix and message, once the prefix has come.
    static func announcedBytes(_ body: UnsafeRawBufferPointer) -> Int? {
        guard body.count >= prefixBytes else { return nil }
        var length = 0
        for byte in body[1..<prefixBytes] { length = length << 8 | Int(byte) }
        return prefixBytes + length
    }
}
