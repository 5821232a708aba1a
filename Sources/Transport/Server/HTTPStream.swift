/// A call whose answer goes on for as long as it likes, beside its request: gRPC's streams. HTTP/2 only. Lives on the
/// connection's event loop, as every call does.
package protocol HTTPStream: AnyObject {
    /// Bytes of the body, as they come. `ended` is true with the last ones.
    func received(_ bytes: UnsafeRawBufferPointer, ended: Bool)

    /// Called about once a second.
    func tick()

    /// The server ends: the answer is to end too.
    func drain()
}

/// Writes the answer of an `HTTPStream`. On the connection's event loop. What is written after the end, or when the
/// client is gone, goes nowhere.
package final class HTTPStreamWriter {
    weak var target: HTTP2ServerStream?

    init(_ target: HTTP2ServerStream) { self.target = target }

    /// Sends bytes of the body; the head goes before the first ones.
    ///
    /// - Returns: false when the client takes so little that the call was ended.
    @discardableResult
    package func send(_ body: [UInt8]) -> Bool { target?.send(body) ?? false }

    /// Ends the answer.
    package func finish(_ trailers: [(name: String, value: String)]) { target?.finish(trailers) }
}
