import Testing

@testable import Transport

/// The client's side of one HTTP/2 connection, without a socket.
final class HTTP2ClientHarness {
    let session: HTTP2ClientSession
    private let settings = HTTPClientSettings()
    /// Calls take URLs apart with libcurl, which clients load.
    private static let loaded = Result { try HTTPClient() }
    private var isBegun = false

    /// - Parameter peer: what the server's SETTINGS say; nil for none yet.
    init(outputBytes: Int = 1 << 20, peer: [(UInt16, UInt32)]? = []) throws {
        _ = try Self.loaded.get()
        session = HTTP2ClientSession(outputBytes: outputBytes)
        if let peer { try receive(HTTP2Client.settings(peer)) }
    }

    /// Begins a call with as many bytes of body.
    @discardableResult
    func begin(
        body: Int = 0, wanted: [String] = [], maxResponseBytes: Int = 1 << 20, deadline: UInt64 = .max
    ) throws -> HTTP2ClientCall {
        let bytes = (0..<body).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        var request = HTTPClientRequest(
            url: "http://host:4317/service/Export?a=b", headers: [("TE", "trailers"), ("Authorization", "hush")],
            body: body > 0 ? try HTTPRequestBody(bytes) : nil, timeout: .seconds(1), maxResponseBytes: maxResponseBytes)
        request.wantedHeaders = wanted
        let call = try HTTP2ClientCall(
            HTTPSubmission(request: request, completion: { _ in }, deadline: deadline), settings)
        session.begin(call)
        return call
    }

    func receive(_ bytes: [UInt8]) throws(HTTP2ConnectionError) {
        var problem: HTTP2ConnectionError?
        bytes.withUnsafeBytes {
            do throws(HTTP2ConnectionError) { try session.receive($0) } catch { problem = error }
        }
        if let problem { throw problem }
    }

    /// All bytes that can be sent now.
    func written() -> [UInt8] {
        var output = HTTP2Output(blockSize: 64)
        var bytes: [UInt8] = []
        repeat {
            session.fill(&output)
            while output.write({ pieces in
                for piece in pieces { bytes += piece }
                return pieces.reduce(0) { $0 + $1.count }
            }) {}
        } while session.hasOutput
        return bytes
    }

    /// Frames that can be sent now, those of the connection's beginning left out.
    func frames() throws -> [HTTP2TestFrame] {
        var bytes = written()
        if !isBegun {
            isBegun = true
            #expect(bytes.starts(with: HTTP2Client.preface))
            bytes.removeFirst(HTTP2Client.preface.count)
            return HTTP2TestFrame.all(in: bytes).filter { $0.type != 4 }
        }
        return HTTP2TestFrame.all(in: bytes)
    }

    /// What became of calls since the last time, in words.
    func outcomes() -> [String] {
        session.takeOutcomes().map { outcome in
            switch outcome {
            case .answered(_, let response):
                let headers = response.headers.map { "\($0.name)=\($0.value)" }.joined(separator: ",")
                return "\(response.status) \(headers) \(String(decoding: response.body, as: UTF8.self))"
            case .failed(_, let error, let mayResend):
                return "\(error.code)\(mayResend ? " again" : "")\(error.maybeReceived ? "" : " untouched")"
            }
        }
    }

    static let head: [(String, String)] = [(":status", "200"), ("content-type", "application/grpc")]

    /// A whole answer of gRPC.
    static func answer(_ stream: UInt32) -> [UInt8] {
        HTTP2Client.head(stream, head) + HTTP2Client.data(stream, Array("body".utf8))
            + HTTP2Client.head(stream, [("grpc-status", "0"), ("grpc-message", "fine")], ends: true)
    }

    static func goAway(_ last: UInt32) -> [UInt8] {
        HTTP2TestFrame(type: 7, payload: HTTP2Client.be(last) + HTTP2Client.be(0)).bytes
    }

    static func reset(_ stream: UInt32, _ code: UInt32) -> [UInt8] {
        HTTP2TestFrame(type: 3, stream: stream, payload: HTTP2Client.be(code)).bytes
    }
}
