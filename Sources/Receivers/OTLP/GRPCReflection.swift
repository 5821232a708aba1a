internal import Compression
internal import OTLP
internal import Synchronization
internal import Transport

/// The standard reflection service, from the descriptors of `proto/`: what services there are, and what their messages
/// look like. Knows no extensions, since there are none.
enum GRPCReflection {
    /// Both versions have the same messages.
    static let services = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
    static let paths = services.map { "/\($0)/ServerReflectionInfo" }

    /// Fields of `ServerReflectionRequest`.
    private enum Question: UInt32 {
        case fileByName = 3
        case fileWithSymbol = 4
        case fileWithExtension = 5
        case extensionNumbers = 6
        case services = 7
    }

    /// Codes of `ErrorResponse`.
    private static let notFound = 5
    private static let invalidArgument = 3

    /// - Parameter services: full names, as they are listed.
    static func stream(_ writer: HTTPStreamWriter, services: [String]) -> GRPCStream {
        GRPCStream(writer, endsWithClient: true) { request in answer(request, services) }
    }

    /// `ServerReflectionResponse` to a `ServerReflectionRequest`.
    private static func answer(_ request: UnsafeRawBufferPointer, _ services: [String]) -> GRPCStream.Reply {
        var host: UnsafeRawBufferPointer?
        var question: Question?
        var text = ""
        var fields = WireFields(request)
        while let field = fields.next() {
            guard field.type == .lengthDelimited else { continue }
            if field.number == 1 { host = field.payload }
            if let known = Question(rawValue: field.number) {
                question = known
                text = String(decoding: field.payload, as: UTF8.self)
            }
        }
        guard !fields.isMalformed, let question else {
            return .failure(.invalidArgument, "malformed ServerReflectionRequest")
        }
        var response = WireWriter()
        if let host { response.append(field: 1, bytes: host) }
        response.append(field: 2, bytes: request)
        switch question {
        case .services: list(services, into: &response)
        case .fileByName: write(descriptors.files[text], text, into: &response)
        case .fileWithSymbol:
            write(descriptors.symbols[text].flatMap { descriptors.files[$0] }, text, into: &response)
        case .fileWithExtension: write(error: notFound, "there are no extensions", into: &response)
        case .extensionNumbers:
            guard descriptors.symbols[text] != nil else {
                write(error: notFound, "\(text) is not known", into: &response)
                break
            }
            let start = response.count
            append(text, field: 1, into: &response)
            response.wrap(since: start, field: 5)
        }
        return .message(Array(response.bytes))
    }

    private static func list(_ services: [String], into response: inout WireWriter) {
        let start = response.count
        for service in services {
            let entry = response.count
            append(service, field: 1, into: &response)
            response.wrap(since: entry, field: 1)
        }
        response.wrap(since: start, field: 6)
    }

    /// The file and those that it needs, itself first.
    private static func write(_ file: DescriptorSet.File?, _ name: String, into response: inout WireWriter) {
        guard let file else {
            write(error: notFound, "\(name) is not known", into: &response)
            return
        }
        let start = response.count
        var open = [file]
        var seen: Set<String> = [file.name]
        while let next = open.first {
            open.removeFirst()
            next.bytes.withUnsafeBytes { response.append(field: 1, bytes: $0) }
            for dependency in next.dependencies where seen.insert(dependency).inserted {
                if let file = descriptors.files[dependency] { open.append(file) }
            }
        }
        response.wrap(since: start, field: 4)
    }

    private static func write(error code: Int, _ message: String, into response: inout WireWriter) {
        let start = response.count
        response.append(tag: 1, .varint)
        response.append(varint: UInt64(code))
        append(message, field: 2, into: &response)
        response.wrap(since: start, field: 7)
    }

    private static func append(_ text: String, field: UInt32, into writer: inout WireWriter) {
        var text = text
        text.withUTF8 { writer.append(field: field, bytes: UnsafeRawBufferPointer($0)) }
    }

    /// Read when it is asked for first.
    private static let descriptors = DescriptorSet(compressed: PackageResources.descriptors_zst)
}

/// The files of a `google.protobuf.FileDescriptorSet`, by name, and which file declares what.
struct DescriptorSet: Sendable {
    struct File: Sendable {
        var name: String
        var dependencies: [String]
        var bytes: [UInt8]
    }

    private(set) var files: [String: File] = [:]
    /// Name of the file that declares a service, method, message, field or enumeration, by full name.
    private(set) var symbols: [String: String] = [:]

    /// Most bytes of the set.
    private static let limit = 1 << 20

    /// - Parameter compressed: with zstd. What cannot be read is left out.
    init(compressed: [UInt8]) {
        var decompressor = BodyDecompressor()
        let inflated = compressed.withUnsafeBytes { bytes in
            try? decompressor.decompress(bytes, encoding: .zstd, limit: Self.limit).release()
        }
        guard let inflated else { return }
        let set = WireBytes(adopting: inflated.base, count: inflated.count, accounting: nil)
        var fields = WireFields(set.buffer)
        while let field = fields.next() { if field.number == 1 { read(file: field.payload) } }
    }

    private mutating func read(file bytes: UnsafeRawBufferPointer) {
        var file = File(name: "", dependencies: [], bytes: Array(bytes))
        var package = ""
        var fields = WireFields(bytes)
        while let field = fields.next() {
            switch field.number {
            case 1: file.name = Self.text(field)
            case 2: package = Self.text(field)
            case 3: file.dependencies.append(Self.text(field))
            default: break
            }
        }
        let prefix = package.isEmpty ? "" : package + "."
        fields = WireFields(bytes)
        while let field = fields.next() {
            switch field.number {
            case 4: read(message: field.payload, prefix, file.name)
            case 5: read(members: field.payload, prefix, file.name, of: nil)
            // Methods are field 2 of a service.
            case 6: read(members: field.payload, prefix, file.name, of: 2)
            default: break
            }
        }
        files[file.name] = file
    }

    /// `DescriptorProto`: fields are 2, inner messages 3, enumerations 4.
    private mutating func read(message: UnsafeRawBufferPointer, _ prefix: String, _ file: String) {
        let name = read(members: message, prefix, file, of: 2)
        var fields = WireFields(message)
        while let field = fields.next() {
            if field.number == 3 { read(message: field.payload, name + ".", file) }
            if field.number == 4 { read(members: field.payload, name + ".", file, of: nil) }
        }
    }

    /// Anything with a name in field 1, and parts with names in field `number`.
    @discardableResult
    private mutating func read(
        members bytes: UnsafeRawBufferPointer, _ prefix: String, _ file: String, of number: UInt32?
    ) -> String {
        let name = prefix + Self.name(bytes)
        symbols[name] = file
        guard let number else { return name }
        var fields = WireFields(bytes)
        while let field = fields.next() {
            if field.number == number { symbols["\(name).\(Self.name(field.payload))"] = file }
        }
        return name
    }

    private static func name(_ bytes: UnsafeRawBufferPointer) -> String {
        var fields = WireFields(bytes)
        while let field = fields.next() { if field.number == 1 { return text(field) } }
        return ""
    }

    private static func text(_ field: WireField) -> String { String(decoding: field.payload, as: UTF8.self) }
}
