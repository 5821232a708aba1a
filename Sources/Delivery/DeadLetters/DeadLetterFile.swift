internal import Glibc
internal import OTLP
internal import Pipeline
internal import Synchronization
internal import Telemetry

/// Why a request is not in the dead letters.
package enum DeadLetterError: Error, Equatable, CustomStringConvertible {
    /// The file cannot be opened. `errno` is the system's error number.
    case cannotOpen(path: String, errno: Int32)
    /// The file cannot be written; it is as before.
    case cannotWrite(path: String, errno: Int32)
    /// The file has reached `max_bytes`.
    case full(path: String, maximumBytes: Int)
    /// The request is too large to encode.
    case cannotEncode
    case notOpen

    package var description: String {
        switch self {
        case .cannotOpen(let path, let number):
            "dead_letter: cannot open \(path): \(Self.text(number)); create the directory and make it writable"
        case .cannotWrite(let path, let number): "dead_letter: cannot write \(path): \(Self.text(number))"
        case .full(let path, let maximum):
            "dead_letter: \(path) has reached max_bytes (\(maximum)); move it away or raise the limit"
        case .cannotEncode: "dead_letter: the request cannot be encoded in memory"
        case .notOpen: "dead_letter: the file is not open"
        }
    }

    private static func text(_ number: Int32) -> String {
        strerror(number).map { String(cString: $0) } ?? "error \(number)"
    }
}

/// An append-only file of requests that will never be delivered: one JSON object a line, the request in it as base64
/// of its OTLP protobuf. The file is only readable by its owner, since it holds telemetry.
///
/// `{"time":…,"exporter":…,"signal":…,"items":…,"cause":…,"reason":…,"request":…}`
///
/// Thread-safe; every method may block on the disk.
final class DeadLetterFile: Sendable {
    private struct File {
        var descriptor: Int32 = -1
        /// Length of the whole lines.
        var size: Int = 0
    }

    private let path: String
    private let maximumBytes: Int
    private let exporter: String
    private let signal: Signal
    private let file = Mutex(File())

    init(_ settings: DeadLetterSettings, exporter: String, signal: Signal) {
        let name = Self.fileName(exporter: exporter, signal: signal)
        path = settings.directory.hasSuffix("/") ? settings.directory + name : settings.directory + "/" + name
        maximumBytes = settings.maximumBytes
        self.exporter = exporter
        self.signal = signal
    }

    /// `otlphttp/eu` and traces: `otlphttp_eu_traces.jsonl`. Other than letters, digits, `-` and `.` become `_`.
    static func fileName(exporter: String, signal: Signal) -> String {
        let safe = exporter.unicodeScalars.map { scalar in
            let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
            return isPlain || scalar == "-" || scalar == "." ? Character(scalar) : "_"
        }
        return String(safe) + "_\(signal.rawValue).jsonl"
    }

    deinit { close() }

    /// Opens the file, keeping what is in it.
    func open() throws(DeadLetterError) {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .cannotOpen(path: path, errno: errno) }
        let size = lseek(descriptor, 0, SEEK_END)
        guard size >= 0 else {
            let number = errno
            Glibc.close(descriptor)
            throw .cannotOpen(path: path, errno: number)
        }
        let old = file.withLock { file in
            defer { file = File(descriptor: descriptor, size: size) }
            return file.descriptor
        }
        if old >= 0 { Glibc.close(old) }
    }

    /// Appends a request and returns when it is on the disk. On an error the file is as before.
    func append(_ request: ExportRequest, cause: DropCause, reason: String) throws(DeadLetterError) {
        var content = WireWriter(limit: maximumBytes)
        request.encode(into: &content)
        var line = WireWriter(limit: ItemRecord.maximumOffset)
        var head = "{\"time\":\"\(timestamp())\",\"exporter\":\(JSONText.quoted(exporter))"
        head += ",\"signal\":\"\(signal.rawValue)\",\"items\":\(request.itemCount),\"cause\":\"\(cause.rawValue)\""
        head += ",\"reason\":\(JSONText.quoted(reason)),\"request\":\""
        head.withUTF8 { line.append(UnsafeRawBufferPointer($0)) }
        Base64.encode(content.bytes, into: &line)
        line.append("\"}\n")
        if content.overflowed { throw .full(path: path, maximumBytes: maximumBytes) }
        if line.overflowed { throw .cannotEncode }
        let result = write(line.bytes)
        if case .failure(let error) = result { throw error }
    }

    private func write(_ line: UnsafeRawBufferPointer) -> Result<Void, DeadLetterError> {
        file.withLock { file in
            guard file.descriptor >= 0 else { return .failure(.notOpen) }
            guard file.size + line.count <= maximumBytes else {
                return .failure(.full(path: path, maximumBytes: maximumBytes))
            }
            var written = 0
            while written < line.count {
                let count = Glibc.write(file.descriptor, line.baseAddress.map { $0 + written }, line.count - written)
                if count > 0 {
                    written += count
                } else if count == 0 || errno != EINTR {
                    return undo(file, errno)
                }
            }
            guard fdatasync(file.descriptor) == 0 else { return undo(file, errno) }
            file.size += line.count
            return .success(())
        }
    }

    /// Cuts off a line that was not written whole.
    private func undo(_ file: File, _ number: Int32) -> Result<Void, DeadLetterError> {
        // If even this fails, the torn line is the file's last: a reader sees that it lacks its end.
        _ = ftruncate(file.descriptor, file.size)
        return .failure(.cannotWrite(path: path, errno: number))
    }

    /// Closes the file. Any number of times.
    func close() {
        let descriptor = file.withLock { file in
            defer { file = File() }
            return file.descriptor
        }
        if descriptor >= 0 { Glibc.close(descriptor) }
    }
}
