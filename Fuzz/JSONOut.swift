// Wire bytes from anywhere to OTLP JSON: the first byte chooses the message. What is written must be JSON that we read.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJSONOut(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    guard let data, size > 0 else { return 0 }
    let root = OTLPMessage.allCases[Int(data[0]) % OTLPMessage.allCases.count]
    let wire = UnsafeRawBufferPointer(start: data + 1, count: size - 1)
    var text = WireWriter(limit: 1 << 20)
    guard (try? OTLPJSONEncoder.encode(wire, as: root, into: &text)) != nil else { return 0 }
    var back = WireWriter(limit: 16 << 20)
    guard (try? OTLPJSONDecoder.decode(text.bytes, as: root, into: &back)) != nil else {
        fatalError("our own text is refused")
    }
    return 0
}
