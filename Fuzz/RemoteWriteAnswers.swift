// What a remote-write receiver answers, from anywhere: status, headers, body. Every answer has a meaning, no count is
// negative or beyond what was sent, no delay beyond a day, and what is passed on of the text is short and printable.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRemoteWriteAnswers(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    guard let data, size >= 6 else { return 0 }
    let bytes = UnsafeBufferPointer(start: data, count: size)
    let status = [200, 204, 400, 413, 415, 429, 500, 503, Int(bytes[1]) * 4 + 100][Int(bytes[0]) % 9]
    let flags = bytes[2]
    var counts = RemoteWriteCounts()
    counts.samples = Int(bytes[3])
    counts.histograms = Int(bytes[4])
    // The rest is lines: Retry-After, three headers, then the body.
    var lines = bytes[5...].split(separator: 0x0A, maxSplits: 4, omittingEmptySubsequences: false).map { Array($0) }
    let body = lines.count > 4 ? lines.removeLast() : []
    func text(_ index: Int) -> String? { index < lines.count ? String(decoding: lines[index], as: UTF8.self) : nil }
    var headers: [(name: String, value: String)] = []
    for (index, name) in RemoteWriteAnswer.writtenHeaders.enumerated() {
        if flags & (1 << UInt8(index)) != 0, let value = text(index + 1) { headers.append((name, value)) }
    }
    let response = HTTPClientResponse(status: status, retryAfter: text(0), headers: headers, body: body)
    let version = flags & 8 == 0 ? RemoteWriteVersion.v1 : .v2
    let answer = RemoteWriteAnswer(
        .success(response), to: RemoteWriteBody(version: version, counts: counts), isProven: flags & 16 != 0)
    switch answer {
    case .written(let missing):
        guard (200..<300).contains(status), (0...counts.samples + counts.histograms).contains(missing) else {
            fatalError("a wrong count")
        }
    case .retry(let reason, let after):
        guard status == 429 || status >= 500, after.map({ $0 >= .zero && $0 <= RetryAfter.maxDelay }) ?? true else {
            fatalError("a wrong retry")
        }
        check(reason)
    case .drop(let reason), .tooLarge(let reason), .unsupported(let reason): check(reason)
    }
    // Dates, with a clock anywhere.
    for now in [0, 1_700_000_000, 4_102_444_800] as [Int64] {
        guard let delay = RetryAfter.delay(text(0) ?? "", now: now) else { continue }
        if delay < .zero || delay > RetryAfter.maxDelay { fatalError("a delay out of bounds") }
    }
    return 0
}

private func check(_ reason: String) {
    guard !reason.isEmpty, reason.unicodeScalars.count < 400,
        reason.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
    else { fatalError("a reason that does not belong into a log") }
}

// What the answer is made from, in the form that its own file sees.

struct HTTPClientResponse {
    var status: Int
    var retryAfter: String?
    var headers: [(name: String, value: String)]
    var body: [UInt8]
}

struct HTTPClientError: Error {
    enum Code { case responseTooLarge, other }
    var code = Code.other
    var status = 0
    var isRetryable = true
    var description = "failed"
}

enum RemoteWriteVersion { case v1, v2 }

struct RemoteWriteCounts {
    var samples = 0
    var histograms = 0
    var isEmpty: Bool { samples == 0 && histograms == 0 }
}

struct RemoteWriteBody {
    var version: RemoteWriteVersion
    var counts: RemoteWriteCounts
}
