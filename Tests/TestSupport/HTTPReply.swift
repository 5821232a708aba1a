/// One HTTP answer as a strict reader sees it.
package struct HTTPReply: Equatable, Sendable {
    package var status: Int
    /// Names in lower case.
    package var fields: [(name: String, value: String)]
    package var body: [UInt8]

    package var text: String { String(decoding: body, as: UTF8.self) }

    package subscript(name: String) -> String? { fields.first { $0.name == name }?.value }

    package static func == (left: HTTPReply, right: HTTPReply) -> Bool {
        left.status == right.status && left.body == right.body
            && left.fields.elementsEqual(right.fields) { $0.name == $1.name && $0.value == $1.value }
    }

    package struct Malformed: Error {
        package let reason: String
    }

    /// All answers in `bytes`, which must end with the last of them.
    ///
    /// - Parameter isBodiless: whether the n-th answer, not counting 100 Continue, belongs to a HEAD request.
    package static func all(in bytes: [UInt8], isBodiless: (Int) -> Bool = { _ in false }) throws -> [HTTPReply] {
        var replies: [HTTPReply] = []
        var rest = bytes[...]
        var finals = 0
        while !rest.isEmpty {
            guard let reply = try take(from: &rest, isBodiless: isBodiless(finals)) else {
                throw Malformed(reason: "the last answer is incomplete")
            }
            if reply.status != 100 { finals += 1 }
            replies.append(reply)
        }
        return replies
    }

    /// Takes the first answer off `bytes`; nil when it is not there whole.
    package static func take(from bytes: inout ArraySlice<UInt8>, isBodiless: Bool = false) throws -> HTTPReply? {
        guard let end = firstBlankLine(bytes) else { return nil }
        let head = String(decoding: bytes[..<end], as: UTF8.self)
        guard !head.unicodeScalars.contains(where: { $0 == "\0" }) else { throw Malformed(reason: "NUL in head") }
        var lines = head.unicodeScalars.split(separator: "\r", omittingEmptySubsequences: false).map { line in
            String(line.first == "\n" ? line.dropFirst() : line)
        }
        let statusLine = lines.removeFirst().split(separator: " ", maxSplits: 2)
        guard statusLine.count == 3, statusLine[0] == "HTTP/1.1", let status = Int(statusLine[1]) else {
            throw Malformed(reason: "status line")
        }
        var reply = HTTPReply(status: status, fields: [], body: [])
        for line in lines {
            guard let colon = line.firstIndex(of: ":"), !line.unicodeScalars.contains("\n") else {
                throw Malformed(reason: "field \(line)")
            }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            reply.fields.append((line[..<colon].lowercased(), String(value)))
        }
        let lengths = reply.fields.filter { $0.name == "content-length" }.compactMap { Int($0.value) }
        let hasNone = status < 200 || status == 204
        guard lengths.count == (hasNone ? 0 : 1) else { throw Malformed(reason: "Content-Length of \(status)") }
        let count = hasNone || isBodiless ? 0 : lengths[0]
        let start = end + 4
        guard bytes.endIndex - start >= count else { return nil }
        reply.body = Array(bytes[start..<start + count])
        bytes = bytes[(start + count)...]
        return reply
    }

    private static func firstBlankLine(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for index in bytes.startIndex...bytes.endIndex - 4
        where bytes[index] == 13 && bytes[index + 1] == 10 && bytes[index + 2] == 13 && bytes[index + 3] == 10 {
            return index
        }
        return nil
    }
}
