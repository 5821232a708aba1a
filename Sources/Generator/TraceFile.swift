internal import Glibc
internal import OTLP

/// Why traces could not be written to a file.
package enum TraceFileError: Error, CustomStringConvertible {
    /// The system refused to open or write the file.
    case system(path: String, code: Int32)
    case outOfMemory

    package var description: String {
        switch self {
        case .system(let path, let code):
            let reason = strerror(code).map { String(cString: $0) } ?? "errno \(code)"
            return "cannot write \"\(path)\": \(reason)"
        case .outOfMemory: return "out of memory while traces were written"
        }
    }
}

/// A file of OTLP JSON lines: one `ExportTraceServiceRequest` a line. One owner; closed with this value.
package struct TraceFile: ~Copyable {
    private let descriptor: Int32
    private let path: String
    /// Requests written.
    package private(set) var lines = 0
    /// Bytes written.
    package private(set) var bytes = 0

    /// Creates the file, or empties it.
    package init(path: String) throws(TraceFileError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .system(path: path, code: errno) }
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    /// Writes what the producer makes, until it is exhausted or `control` is stopped. Blocks.
    package mutating func run(_ producer: inout TraceProducer, control: RunControl) throws(TraceFileError) {
        var text = WireWriter()
        while true {
            switch producer.next(now: RunClock.now(), time: RunClock.time(), stopping: control.isStopped) {
            case .request(let request):
                text.removeAll()
                do throws(OTLPJSONEncodingError) {
                    try OTLPJSONEncoder.encode(
                        request.bytes.bytes, as: .request(of: .traces), into: &text)
                } catch {
                    // The message is this module's own, so only memory can be short.
                    throw .outOfMemory
                }
                text.append(byte: UInt8(ascii: "\n"))
                guard !text.overflowed else { throw .outOfMemory }
                try write(text.bytes)
                lines += 1
            case .wait(let until): control.wait(until: until)
            case .exhausted: return
            case .outOfMemory: throw .outOfMemory
            }
        }
    }

    private mutating func write(_ text: UnsafeRawBufferPointer) throws(TraceFileError) {
        var rest = text[...]
        while let base = UnsafeRawBufferPointer(rebasing: rest).baseAddress, !rest.isEmpty {
            let written = Glibc.write(descriptor, base, rest.count)
            if written < 0 {
                if errno == EINTR { continue }
                throw .system(path: path, code: errno)
            }
            rest = rest.dropFirst(written)
            bytes += written
        }
    }
}
