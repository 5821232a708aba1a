import Glibc

@testable import OTLP

/// Input and result of one golden case.
struct JSONFixture: CustomStringConvertible {
    let name: String
    let message: OTLPMessage
    let wire: [UInt8]
    let text: [UInt8]

    var description: String { name }

    /// All cases in Tests/Fixtures/otlp, which Tests/Conformance/fixtures.py writes.
    static let all: [JSONFixture] = OTLPMessage.allCases.flatMap { message in
        (0..<6).compactMap { number in
            let name = "\(message).\(number)"
            guard let wire = read("\(name).pb"), let text = read("\(name).json") else { return nil }
            return JSONFixture(name: name, message: message, wire: wire, text: text)
        }
    }

    private static func read(_ name: String, from here: String = #filePath) -> [UInt8]? {
        let tests = here.split(separator: "/").dropLast(2).joined(separator: "/")
        guard let file = fopen("/\(tests)/Fixtures/otlp/\(name)", "rb") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
        return bytes
    }
}

/// The JSON text of wire bytes.
func json(
    _ wire: [UInt8], _ message: OTLPMessage, limit: Int = 1 << 24, depth: Int = OTLPJSONEncoder.defaultDepth
) throws -> String {
    var writer = WireWriter(limit: limit)
    // Exactly as many bytes as there are, on the heap, so that a sanitizer sees a read past the end.
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: wire.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: wire)
    try OTLPJSONEncoder.encode(UnsafeRawBufferPointer(copy), as: message, into: &writer, maximumDepth: depth)
    return String(decoding: writer.bytes, as: UTF8.self)
}

/// The wire bytes of a JSON text.
func wire(
    _ text: [UInt8], _ message: OTLPMessage, limit: Int = 1 << 24, depth: Int = OTLPJSONDecoder.defaultDepth
) throws(OTLPJSONError) -> [UInt8] {
    var writer = WireWriter(limit: limit)
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: text.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: text)
    try OTLPJSONDecoder.decode(UnsafeRawBufferPointer(copy), as: message, into: &writer, maximumDepth: depth)
    return Array(writer.bytes)
}

func wire(_ text: String, _ message: OTLPMessage) throws(OTLPJSONError) -> [UInt8] {
    try wire(Array(text.utf8), message)
}

/// A field with a length: number and payload. Numbers below 16, payloads below 128 bytes.
func field(_ number: UInt8, _ payload: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(payload.count)] + payload }

func field(_ number: UInt8, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }

/// A KeyValue with a string.
func attribute(_ key: String, _ value: String) -> [UInt8] { field(1, key) + field(2, field(1, value)) }

/// A seeded generator for test inputs (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
