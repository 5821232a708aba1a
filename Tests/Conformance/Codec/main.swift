// The JSON codec as a filter, for roundtrip.py. Reads frames from standard input until it ends:
//   1 byte command (0 encode to JSON, 1 decode from JSON), 1 byte length of the message name, the name,
//   4 bytes length, the input.
// Answers each with 1 byte status (0 done, 1 refused), 4 bytes length, the output or the error's description.
// Integers are little-endian.
import Glibc
import OTLP

/// Most bytes of one input or output.
let frameLimit = 256 << 20

func readBytes(_ count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
        let got = bytes.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { read(STDIN_FILENO, $0 + filled, count - filled) } ?? 0
        }
        guard got > 0 else { return nil }
        filled += got
    }
    return bytes
}

func writeBytes(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let base = bytes.baseAddress else { return true }
    var sent = 0
    while sent < bytes.count {
        let put = write(STDOUT_FILENO, base + sent, bytes.count - sent)
        guard put > 0 else { return false }
        sent += put
    }
    return true
}

func answer(_ command: UInt8, _ message: OTLPMessage, _ input: [UInt8], into writer: inout WireWriter) -> UInt8 {
    do {
        try input.withUnsafeBytes { bytes in
            if command == 0 {
                try OTLPJSONEncoder.encode(bytes, as: message, into: &writer)
            } else {
                try OTLPJSONDecoder.decode(bytes, as: message, into: &writer)
            }
        }
        return 0
    } catch {
        writer.removeAll()
        Array("\(error)".utf8).withUnsafeBytes { writer.append($0) }
        return 1
    }
}

while let head = readBytes(2) {
    guard let name = readBytes(Int(head[1])).map({ String(decoding: $0, as: UTF8.self) }),
        let message = OTLPMessage.allCases.first(where: { "\($0)" == name }),
        let size = readBytes(4)?.withUnsafeBytes({ Int(UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self))) }),
        size <= frameLimit, let input = readBytes(size)
    else { exit(2) }
    var writer = WireWriter(limit: frameLimit)
    let status = answer(head[0], message, input, into: &writer)
    let length = UInt32(writer.count).littleEndian
    let header = [status] + withUnsafeBytes(of: length) { Array($0) }
    guard header.withUnsafeBytes(writeBytes), writeBytes(writer.bytes) else { exit(1) }
}
