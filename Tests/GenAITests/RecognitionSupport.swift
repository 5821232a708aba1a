import Glibc
import OTLP

@testable import GenAI

/// A golden span: its request in OTLP JSON, and the row that is expected of it.
struct GoldenSpan: CustomStringConvertible, Sendable {
    let title: String
    let row: String
    let request: [UInt8]

    var description: String { title }

    static let families = [
        "frameworks", "openinference", "openlit", "openllmetry", "otel", "platforms", "providers", "pydantic", "traps",
        "vercel",
    ]

    /// All spans of Tests/Fixtures/genai, which cases.py there writes.
    static let all: [GoldenSpan] = families.flatMap { family -> [GoldenSpan] in
        let requests = read("\(family).jsonl").split(separator: UInt8(ascii: "\n"))
        let rows = read("\(family).rows").split(separator: UInt8(ascii: "\n"))
        return zip(requests, rows).map { request, row in
            let text = String(decoding: row, as: UTF8.self)
            let parts = text.split(separator: "|", maxSplits: 1).map { $0.drop { $0 == " " } }
            let title = String(parts[0]).reversed().drop { $0 == " " }.reversed()
            return GoldenSpan(
                title: "\(family): \(String(title))", row: parts.count > 1 ? String(parts[1]) : "",
                request: wire(Array(request)))
        }
    }

    private static func read(_ name: String, from here: String = #filePath) -> [UInt8] {
        let tests = here.split(separator: "/").dropLast(2).joined(separator: "/")
        guard let file = fopen("/\(tests)/Fixtures/genai/\(name)", "rb") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
        return bytes
    }

    private static func wire(_ text: [UInt8]) -> [UInt8] {
        var writer = WireWriter()
        text.withUnsafeBytes { try? OTLPJSONDecoder.decode($0, as: .traceRequest, into: &writer) }
        return Array(writer.bytes)
    }
}

/// The first span of a request, apart: its bytes, and those of its scope and resource.
struct SpanBytes {
    var span: [UInt8] = []
    var scopeSpans: [UInt8] = []
    var resourceSpans: [UInt8] = []

    init(_ request: [UInt8]) {
        resourceSpans = Self.field(1, of: request)
        scopeSpans = Self.field(2, of: resourceSpans)
        span = Self.field(2, of: scopeSpans)
    }

    /// The first length-delimited field of that number.
    private static func field(_ number: UInt64, of message: [UInt8]) -> [UInt8] {
        message.withUnsafeBytes { bytes in
            guard var cursor = WireCursor(bytes) else { return [] }
            while let tag = cursor.varint() {
                if tag == number << 3 | 2, let payload = cursor.payload() { return Array(payload.rest) }
                cursor.skipField(tag)
            }
            return []
        }
    }
}

/// What a mapping makes of a span, as text. `tail` is appended to the span's bytes.
func row(_ bytes: SpanBytes, tail: [UInt8] = [], _ mapping: GenAIMapping) -> String {
    recognise(bytes, tail: tail, mapping) { call in
        call.map { text(of: $0, mapping) } ?? "none"
    }
}

/// Recognises a span in memory of exactly its size, so that a sanitizer sees a read beyond it.
func recognise<Result>(
    _ bytes: SpanBytes, tail: [UInt8] = [], _ mapping: GenAIMapping, _ body: (ModelCall?) -> Result
) -> Result {
    let payload = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.span.count, alignment: 1)
    defer { payload.deallocate() }
    payload.copyBytes(from: bytes.span)
    return bytes.scopeSpans.withUnsafeBytes { scopeSpans in
        tail.withUnsafeBytes { tail in
            let scope = SpanScope(scopeSpans: scopeSpans, mapping: mapping)
            var recogniser = SpanRecogniser(mapping: mapping)
            var call = ModelCall()
            let found = recogniser.recognise(UnsafeRawBufferPointer(payload), tail: tail, scope: scope, into: &call)
            return body(found ? call : nil)
        }
    }
}

/// The attributes that normalising appends.
func appended(_ bytes: SpanBytes, tail: [UInt8] = [], _ mapping: GenAIMapping) -> [UInt8] {
    recognise(bytes, tail: tail, mapping) { call in
        guard let call else { return [] }
        var writer = WireWriter()
        withUnsafePointer(to: call) { mapping.append(mapping.fieldsToWrite($0), of: $0, to: &writer) }
        return Array(writer.bytes)
    }
}

/// A row, in the order that cases.py describes.
func text(of call: ModelCall, _ mapping: GenAIMapping) -> String {
    var words: [String] = []
    func add(_ name: String, _ value: String?) {
        if let value { words.append("\(name)=\(value)") }
    }
    func add(_ name: String, _ value: UnsafeRawBufferPointer?) {
        add(name, value.map { String(decoding: $0, as: UTF8.self) })
    }
    func add(_ name: String, _ value: Int64?) { add(name, value.map(String.init)) }
    func add(_ name: String, _ value: Double?) { add(name, value.map { "\($0)" }) }

    add("kind", "\(call.kind)")
    add("provider", call.provider)
    if call.providerOrigin != .unknown, call.providerOrigin != .attribute { add("by", "\(call.providerOrigin)") }
    let texts: [(String, CallField)] = [
        ("op", .operation), ("request", .requestModel), ("response", .responseModel), ("id", .responseID),
        ("session", .session), ("user", .user), ("tenant", .tenant), ("feature", .feature), ("agent", .agent),
        ("workflow", .workflow), ("tool", .tool), ("prompt", .prompt), ("tier", .tier),
    ]
    for (name, field) in texts { add(name, call.text(field)) }
    add("in", call.usage.input)
    add("out", call.usage.output)
    add("read", call.usage.cacheRead)
    add("w5m", call.usage.cacheWrite5m)
    add("w1h", call.usage.cacheWrite1h)
    add("reasoning", call.usage.reasoning)
    add("ain", call.usage.audioInput)
    add("aout", call.usage.audioOutput)
    add("iout", call.count(.imageOutput))
    add("cost", call.reportedCost)
    add("currency", call.costCurrency)
    var reasons: [String] = []
    call.forEachFinishReason { reasons.append(String(decoding: $0, as: UTF8.self)) }
    add("finish", reasons.isEmpty ? nil : reasons.joined(separator: ","))
    add("stream", call.isStreaming.map(String.init))
    add("ttft", call.timeToFirstChunk)
    add("topk", call.count(.topK))
    add("size", call.count(.embeddingSize))
    add("score", call.double(.score))
    add("vector", call.text(.vectorSystem))
    if let name = call.text(.evaluation) {
        let label = call.text(.evaluationLabel).map { String(decoding: $0, as: UTF8.self) } ?? ""
        add("eval", "\(String(decoding: name, as: UTF8.self)):\(call.double(.evaluationScore) ?? -1):\(label)")
    }
    if call.errorCategory != .none { add("error", "\(call.errorCategory.name)") }
    if call.aggregate != .none { add("aggregate", "\(call.aggregate)") }
    if call.usageRule != .none { add("usage", "\(call.usageRule)") }
    add("marks", marks(call.marks))
    add("source", mapping.sourceName(call.source))
    if call.rule != 0 { add("rule", mapping.ruleName(call.rule)) }
    return words.joined(separator: " ")
}

private func marks(_ marks: ModelCall.Marks) -> String? {
    let names: [(ModelCall.Marks, String)] = [
        (.truncated, "truncated"), (.unreadableText, "unreadableText"), (.textTooLong, "textTooLong"),
        (.invalidCount, "invalidCount"), (.zeroCostIgnored, "zeroCostIgnored"), (.reasoningAdded, "reasoningAdded"),
        (.inputRaised, "inputRaised"), (.extraAdded, "extraAdded"),
    ]
    let set = names.filter { marks.contains($0.0) }.map(\.1)
    return set.isEmpty ? nil : set.joined(separator: ",")
}

/// A seeded generator for test inputs (SplitMix64).
struct RecognitionRandom: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// A span with ids and the given attributes, in a scope of that name.
func spanBytes(
    scope: String = "app", name: String = "span", parent: UInt64 = 0, id: UInt64 = 1,
    _ attributes: (inout WireWriter) -> Void
) -> SpanBytes {
    var span = WireWriter()
    func word(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) } }
    (word(7) + word(9)).withUnsafeBytes { span.append(field: 1, bytes: $0) }
    word(id).withUnsafeBytes { span.append(field: 2, bytes: $0) }
    if parent != 0 { word(parent).withUnsafeBytes { span.append(field: 4, bytes: $0) } }
    Array(name.utf8).withUnsafeBytes { span.append(field: 5, bytes: $0) }
    attributes(&span)
    var bytes = SpanBytes([])
    bytes.span = Array(span.bytes)
    var scopeName = WireWriter()
    Array(scope.utf8).withUnsafeBytes { scopeName.append(field: 1, bytes: $0) }
    var scopeSpans = WireWriter()
    scopeSpans.append(field: 1, bytes: scopeName.bytes)
    bytes.scopeSpans = Array(scopeSpans.bytes)
    return bytes
}

extension WireWriter {
    mutating func attribute(_ key: String, _ value: String) {
        Array(key.utf8).withUnsafeBytes { key in
            Array(value.utf8).withUnsafeBytes { append(field: WireWriter.spanAttributes, key: key, .text($0)) }
        }
    }

    mutating func attribute(_ key: String, _ value: Int64) {
        Array(key.utf8).withUnsafeBytes { append(field: WireWriter.spanAttributes, key: $0, .int(value)) }
    }
}
