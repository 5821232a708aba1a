internal import OTLP
internal import Transport

/// The standard health service, `grpc.health.v1.Health`.
struct GRPCHealth: Sendable {
    static let service = "grpc.health.v1.Health"
    static let check = "/\(service)/Check"
    static let watch = "/\(service)/Watch"
    /// Most bytes of a call of `Check`.
    static let messageLimit = 4 << 10

    /// Values of `ServingStatus`.
    private enum Status: UInt8 {
        case serving = 1
        case notServing = 2
        case unknownService = 3
    }

    /// Names that may be asked about, beside the empty one for the server as a whole.
    let services: Set<String>
    let isReady: @Sendable () -> Bool

    /// `HealthCheckResponse` to a `HealthCheckRequest`.
    func answer(_ request: UnsafeRawBufferPointer) -> HTTPAnswer {
        guard let name = Self.name(request) else {
            return GRPCFormat.failure(.invalidArgument, "malformed HealthCheckRequest")
        }
        guard let status = status(name) else { return GRPCFormat.failure(.notFound, "unknown service \(name)") }
        return GRPCFormat.success([0x08, status.rawValue])
    }

    /// Says the status at once, and each change.
    func watch(_ writer: HTTPStreamWriter) -> GRPCStream {
        let watcher = Watcher(health: self)
        return GRPCStream(
            writer, endsWithClient: false, update: { watcher.update() }, reply: { watcher.begin($0) })
    }

    private static func name(_ request: UnsafeRawBufferPointer) -> String? {
        var name = ""
        var fields = WireFields(request)
        while let field = fields.next() {
            if field.number == 1, field.type == .lengthDelimited {
                name = String(decoding: field.payload, as: UTF8.self)
            }
        }
        return fields.isMalformed ? nil : name
    }

    /// Nil for a service that there is not.
    private func status(_ name: String) -> Status? {
        guard name.isEmpty || services.contains(name) else { return nil }
        return isReady() ? .serving : .notServing
    }

    /// One call of `Watch`.
    private final class Watcher {
        private let health: GRPCHealth
        private var name: String?
        private var said: Status?

        init(health: GRPCHealth) { self.health = health }

        func begin(_ request: UnsafeRawBufferPointer) -> GRPCStream.Reply {
            guard name == nil, let asked = GRPCHealth.name(request) else {
                return .failure(.invalidArgument, "one HealthCheckRequest is expected")
            }
            name = asked
            return update()
        }

        func update() -> GRPCStream.Reply {
            guard let name else { return .nothing }
            let status = health.status(name) ?? .unknownService
            if status == said { return .nothing }
            said = status
            return .message([0x08, status.rawValue])
        }
    }
}
