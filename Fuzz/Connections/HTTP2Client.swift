internal import Compression

@testable internal import Transport

// The bytes of a server of HTTP/2 from anywhere, to a client with some calls under way: each call ends once, and what
// comes of it does not depend on how the bytes are cut. The first byte says how they are cut and whether calls begin and
// end meanwhile, the second how many there are.

func fuzzHTTP2Client(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    guard let data, size > 1 else { return 0 }
    let calls = Int(data[1] & 3) + 1
    let bytes = UnsafeBufferPointer(start: data + 2, count: size - 2)
    let pieces = Int(data[0] & 31) + 1
    if data[0] & 32 != 0 {
        mingle(bytes, pieces: pieces, calls: calls * 3, choice: Int(data[1] >> 2))
    } else if take(bytes, pieces: max(1, bytes.count), calls: calls) != take(bytes, pieces: pieces, calls: calls) {
        fatalError("answers depend on how they are cut")
    }
    return 0
}

/// Calls of all sizes; libcurl, which takes their URLs apart, is loaded by a client.
private nonisolated(unsafe) let prepared: [HTTP2ClientCall] = {
    // One thread uses them.
    do {
        _ = try HTTPClient()
        return try [0, 10, 3000, 70_000].map { count in
            var request = HTTPClientRequest(
                url: "http://host:4317/service/Export?a=b", headers: [("TE", "trailers"), ("Authorization", "hush")],
                body: count > 0 ? HTTPRequestBody(try OwnedBytes(copying: [UInt8](repeating: 7, count: count))) : nil,
                timeout: .seconds(1),
                maxResponseBytes: 200)
            request.wantedHeaders = ["grpc-status", "grpc-message"]
            return try HTTP2ClientCall(
                HTTPSubmission(request: request, completion: { _ in }, deadline: .max), HTTPClientSettings())
        }
    } catch {
        fatalError("\(error)")
    }
}()

private struct Outcome: Equatable {
    var ends: [String] = []
    var problem: String?
    var written: [UInt8] = []
}

/// A session whose server's SETTINGS have come.
private func begun() -> HTTP2ClientSession {
    let session = HTTP2ClientSession(outputBytes: 100_000)
    if let problem = session.take([0, 0, 0, 4, 0, 0, 0, 0, 0]) { fatalError("no session: \(problem.reason)") }
    return session
}

/// All calls first, then all bytes, then what is written.
private func take(_ bytes: UnsafeBufferPointer<UInt8>, pieces: Int, calls: Int) -> Outcome {
    let session = begun()
    for call in prepared.prefix(calls) { session.begin(call) }
    var outcome = Outcome()
    bytes.forEachPiece(pieces) { piece in
        guard outcome.problem == nil, let problem = session.take(piece) else { return }
        outcome.problem = "\(problem.code) \(problem.reason)"
        session.sayGoodbye(problem.code)
    }
    outcome.ends = session.ends() + ["then"]
    session.close { call, status in HTTPClientError(.reset, origin: call.origin, status: status) }
    outcome.ends += session.ends()
    guard outcome.ends.count == calls + 1, session.calls == 0 else { fatalError("a call does not end once") }
    outcome.written = session.written()
    return outcome
}

/// Calls begin and are given up, and what is written goes out, as bytes come.
private func mingle(_ bytes: UnsafeBufferPointer<UInt8>, pieces: Int, calls: Int, choice: Int) {
    let session = begun()
    var begun = 0
    var ended = 0
    var turn = 0
    var isOver = false
    bytes.forEachPiece(pieces) { piece in
        guard !isOver else { return }
        turn += 1
        if session.room > 0, begun < calls, (turn + choice) % 3 != 0 {
            session.begin(prepared[begun % prepared.count])
            begun += 1
        }
        isOver = session.take(piece) != nil
        if (turn ^ choice) & 3 == 0 { _ = session.written() }
        if (turn ^ choice) & 15 == 7 { ended += session.cancel { $0 === prepared[turn & 3] }.count }
        ended += session.ends().count
    }
    session.close { call, status in HTTPClientError(.reset, origin: call.origin, status: status) }
    ended += session.ends().count
    guard begun == ended, session.calls == 0 else { fatalError("a call does not end once") }
    _ = session.written()
}

extension HTTP2ClientSession {
    fileprivate func take(_ bytes: [UInt8]) -> HTTP2ConnectionError? {
        bytes.withUnsafeBytes { bytes in
            do throws(HTTP2ConnectionError) { try receive(bytes) } catch { return error }
            return nil
        }
    }

    /// What became of calls, in words; those that end together in any order.
    fileprivate func ends() -> [String] {
        takeOutcomes().map { outcome in
            switch outcome {
            case .answered(let call, let answer):
                guard (200...999).contains(answer.status),
                    answer.body.count <= call.submission.request.maxResponseBytes
                else { fatalError("no answer") }
                return "\(prepared.firstIndex { $0 === call } ?? -1) \(answer)"
            case .failed(let call, let error, let mayResend):
                return "\(prepared.firstIndex { $0 === call } ?? -1) \(error) \(error.maybeReceived) \(mayResend)"
            }
        }.sorted()
    }

    /// All that can be written, which must be frames as the server allows them.
    fileprivate func written() -> [UInt8] {
        var output = HTTP2Output(blockSize: 64)
        var bytes: [UInt8] = []
        repeat {
            fill(&output)
            while output.write({ pieces in
                for piece in pieces { bytes += piece }
                return pieces.reduce(0) { $0 + $1.count }
            }) {}
        } while hasOutput
        return bytes
    }
}
