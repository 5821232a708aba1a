// OTLP JSON from anywhere: the first byte chooses the request, the rest is the text. What is accepted must be readable
// again, and mean the same.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJSONIn(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    guard let data, size > 0 else { return 0 }
    let roots: [OTLPMessage] = [
        .traceRequest, .metricsRequest, .logsRequest, .traceResponse, .statusText, .anyValue, .span,
        .exponentialHistogramDataPoint,
    ]
    let root = roots[Int(data[0]) % roots.count]
    let text = UnsafeRawBufferPointer(start: data + 1, count: size - 1)
    var wire = WireWriter(limit: 1 << 20)
    guard (try? OTLPJSONDecoder.decode(text, as: root, into: &wire)) != nil else { return 0 }

    var first = WireWriter(limit: 16 << 20)
    var second = WireWriter(limit: 16 << 20)
    var again = WireWriter(limit: 16 << 20)
    guard (try? OTLPJSONEncoder.encode(wire.bytes, as: root, into: &first)) != nil,
        (try? OTLPJSONDecoder.decode(first.bytes, as: root, into: &again)) != nil,
        (try? OTLPJSONEncoder.encode(again.bytes, as: root, into: &second)) != nil
    else { fatalError("our own text is refused") }
    if !first.bytes.elementsEqual(second.bytes) { fatalError("the text changed") }
    return 0
}
