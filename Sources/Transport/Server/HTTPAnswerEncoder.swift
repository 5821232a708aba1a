internal import NIOCore

/// Writes answers as HTTP/1.1 bytes.
enum HTTPAnswerEncoder {
    /// - Parameter omitsBody: the answer is to a HEAD request; the length is still that of the body.
    static func encode(
        _ answer: HTTPAnswer, extra: [(name: String, value: String)], closes: Bool, omitsBody: Bool = false,
        allocator: ByteBufferAllocator
    ) -> ByteBuffer {
        var buffer = allocator.buffer(capacity: 160 + answer.body.count)
        buffer.writeStaticString("HTTP/1.1 ")
        buffer.writeString(statusLine(answer.status))
        for (name, value) in answer.headers { write(name, value, to: &buffer) }
        for (name, value) in extra { write(name, value, to: &buffer) }
        if closes { buffer.writeStaticString("Connection: close\r\n") }
        // RFC 9110, 8.6: an answer 204 has neither body nor length.
        if answer.status != 204 {
            buffer.writeStaticString("Content-Length: ")
            buffer.writeString(String(answer.body.count))
            buffer.writeStaticString("\r\n")
        }
        buffer.writeStaticString("\r\n")
        if !omitsBody, answer.status != 204 { buffer.writeBytes(answer.body) }
        return buffer
    }

    /// A header field; line breaks in a value, which would forge another field, become spaces.
    private static func write(_ name: String, _ value: String, to buffer: inout ByteBuffer) {
        buffer.writeString(name)
        buffer.writeStaticString(": ")
        if value.utf8.contains(where: { $0 == 0x0D || $0 == 0x0A || $0 == 0 }) {
            buffer.writeBytes(value.utf8.map { $0 < 0x20 ? 0x20 : $0 })
        } else {
            buffer.writeString(value)
        }
        buffer.writeStaticString("\r\n")
    }

    private static func statusLine(_ status: Int) -> String {
        switch status {
        case 200: "200 OK\r\n"
        case 204: "204 No Content\r\n"
        case 400: "400 Bad Request\r\n"
        case 401: "401 Unauthorized\r\n"
        case 403: "403 Forbidden\r\n"
        case 404: "404 Not Found\r\n"
        case 405: "405 Method Not Allowed\r\n"
        case 408: "408 Request Timeout\r\n"
        case 413: "413 Content Too Large\r\n"
        case 415: "415 Unsupported Media Type\r\n"
        case 429: "429 Too Many Requests\r\n"
        case 431: "431 Request Header Fields Too Large\r\n"
        case 500: "500 Internal Server Error\r\n"
        case 503: "503 Service Unavailable\r\n"
        default: "\(status) Status\r\n"
        }
    }
}
