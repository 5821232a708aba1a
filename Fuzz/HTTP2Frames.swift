// The bytes of an HTTP/2 connection from anywhere, at once and cut into pieces: both must be read as the same frames, or
// refused for the same reason. The first byte says how the rest is cut, and whether the preface goes before it.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHTTP2Frames(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    guard let data, size > 0 else { return 0 }
    var bytes = Array(UnsafeBufferPointer(start: data + 1, count: size - 1))
    if data[0] & 1 == 0 { bytes = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + bytes }
    let whole = read(bytes, pieces: bytes.count + 1)
    let cut = read(bytes, pieces: Int(data[0] >> 1) % 40 + 1)
    if whole != cut { fatalError("frames depend on how they are cut") }
    return 0
}

private struct Frame: Equatable {
    var type: UInt8
    var flags: UInt8
    var stream: UInt32
    var content: [UInt8]
    var isWhole: Bool
}

private struct Outcome: Equatable {
    var frames: [Frame] = []
    var problem: String?
}

private func read(_ bytes: [UInt8], pieces: Int) -> Outcome {
    var reader = HTTP2FrameReader(frameSize: 300, headSize: 200)
    var outcome = Outcome()
    var start = 0
    while start < bytes.count, outcome.problem == nil {
        // A copy of its own, so that the sanitizer sees what is read beyond it.
        let piece = Array(bytes[start..<min(start + pieces, bytes.count)])
        start += piece.count
        piece.withUnsafeBytes { piece in
            var offset = 0
            do throws(HTTP2ConnectionError) {
                while let event = try reader.next(piece, &offset) { outcome.add(event) }
                if offset != piece.count { fatalError("bytes are left") }
            } catch {
                outcome.problem = "\(error.code) \(error.reason)"
            }
        }
    }
    return outcome
}

extension Outcome {
    mutating func add(_ event: HTTP2FrameReader.Event) {
        switch event {
        case .data(let head):
            frames.append(Frame(type: head.type, flags: head.flags, stream: head.stream, content: [], isWhole: false))
        case .content(let content):
            guard let last = frames.indices.last, !frames[last].isWhole else { fatalError("content of no frame") }
            frames[last].content += content
        case .dataEnd: frames[frames.count - 1].isWhole = true
        case .frame(let head, let payload):
            guard payload.count == head.length else { fatalError("a payload of a wrong length") }
            frames.append(
                Frame(
                    type: head.type, flags: head.flags, stream: head.stream, content: Array(payload), isWhole: true))
        }
    }
}
