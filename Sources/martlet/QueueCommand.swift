import Glibc
import OTLP
import Pipeline
import Storage

/// `martlet queue`: looks into queues on a disk, and rescues what is in them.
enum QueueCommand {
    static let command = Command(
        name: "queue", abstract: "Shows, exports and empties queues that are kept on a disk.",
        subcommands: [
            QueueListCommand.command, QueueInspectCommand.command, QueueExportCommand.command,
            QueueDrainCommand.command,
        ])

    /// Bytes that are read from a queue in one go: 16 MiB.
    static let readBytes = 16 << 20

    /// The log in a directory; not opened.
    static func log(_ directory: String) -> SegmentedLog {
        SegmentedLog(directory: directory, files: PosixFileSystem(), options: LogOptions())
    }

    /// Opens a queue that nobody uses, calls `body` with each record, and releases those for which it returns true.
    static func forEachRecord(
        of directory: String, _ body: (StoredRecord, Signal) throws -> Bool
    ) throws {
        // Opening makes what is missing; a wrong word should not.
        _ = try inspect(directory)
        let log = log(directory)
        do throws(StorageError) {
            _ = try log.open()
        } catch {
            writeError("error: \(error)")
            throw ExitCode.failure
        }
        defer { log.close() }
        var next: UInt64 = 0
        var damaged = 0
        while next < log.nextSequence {
            let read = try log.read(from: next, maximumBytes: readBytes)
            damaged += read.lost.count
            for record in read.records {
                guard let signal = Signal(recordKind: record.kind) else {
                    writeError("record \(record.sequence) is of kind \(record.kind), which is no signal; left as it is")
                    continue
                }
                if try body(record, signal) { log.release(record.sequence) }
            }
            guard read.next > next else { break }
            next = read.next
        }
        if damaged > 0 { writeError("\(damaged) damaged records are kept aside in \(directory)/*.corrupt") }
    }

    /// - Throws: `ExitCode` when the directory holds no log; it has been said.
    static func inspect(
        _ directory: String, _ body: (LogInspection.Record) -> Void = { _ in }
    ) throws -> LogInspection {
        do throws(StorageError) {
            let names = try PosixFileSystem().list(directory)
            guard names.contains("log") || names.contains(where: { $0.hasSuffix(".seg") }) else {
                writeError("error: \(directory) holds no queue; martlet queue ls finds them")
                throw StorageError(.missing, "")
            }
            return try log(directory).inspect(body)
        } catch {
            if !error.description.isEmpty { writeError("error: \(error)") }
            throw ExitCode.failure
        }
    }

    /// The body of a record, without its context.
    static func payload(of record: StoredRecord) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: record.bytes.buffer[record.contextLength...])
    }

    /// Rows as text, in columns.
    static func table(_ rows: [[String]]) -> String {
        guard let head = rows.first else { return "" }
        let widths = head.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            row.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - row[column].count)
                return column == 0 ? row[column] + padding : padding + row[column]
            }.joined(separator: "  ")
        }
        return lines.joined(separator: "\n")
    }
}

/// `martlet queue ls`: the queues of a storage directory.
enum QueueListCommand {
    static let command = Command(
        name: "ls", abstract: "Lists the queues in a file_storage directory. A running collector does not mind.",
        arguments: [CommandArgument(name: "directory", help: "The extension's directory.")],
        run: { try list($0.argument("directory")) })

    private static func list(_ directory: String) throws {
        let files = PosixFileSystem()
        var rows = [["queue", "requests", "items", "bytes", "segments", "on disk", "damaged", "in use"]]
        do throws(StorageError) {
            for name in try files.list(directory).sorted() {
                let path = directory + "/" + name
                guard let names = try? files.list(path), names.contains("log") else { continue }
                let found = try QueueCommand.log(path).inspect()
                rows.append([
                    name, "\(found.live.records)", "\(found.live.items)", "\(found.live.bytes)",
                    "\(found.segments.count)", "\(found.bytes)", "\(found.damaged + found.keptAside.files)",
                    files.isLocked(path) ? "yes" : "no",
                ])
            }
        } catch {
            writeError("error: \(error)")
            throw ExitCode.failure
        }
        print(QueueCommand.table(rows))
    }
}

/// `martlet queue inspect`: the segments and records of one queue.
enum QueueInspectCommand {
    static let command = Command(
        name: "inspect", abstract: "Shows the segments of a queue. A running collector does not mind.",
        arguments: [CommandArgument(name: "queue", help: "The queue's directory.")],
        options: [CommandOption(name: "records", help: "Also each record that is not delivered.")],
        run: { try show($0.argument("queue"), records: $0.flag("records")) })

    private static func show(_ directory: String, records: Bool) throws {
        var rows = [["sequence", "signal", "items", "bytes"]]
        let found = try QueueCommand.inspect(directory) { record in
            guard records, !record.isReleased else { return }
            let header = record.header
            rows.append([
                "\(header.sequence)", Signal(recordKind: header.kind)?.rawValue ?? "kind \(header.kind)",
                "\(header.items)", "\(header.length - header.contextLength)",
            ])
        }
        var segments = [["segment", "records", "delivered", "items left", "bytes", "damaged", "state"]]
        for segment in found.segments {
            segments.append([
                "\(segment.sequences.lowerBound)", "\(segment.all.records)",
                "\(segment.all.records - segment.live.records)", "\(segment.live.items)", "\(segment.bytes)",
                "\(segment.damaged)", segment.isEnded ? "ended" : "open",
            ])
        }
        print(QueueCommand.table(segments))
        if records { print("\n" + QueueCommand.table(rows)) }
        if found.keptAside.files > 0 {
            print("\n\(found.keptAside.files) damaged places, \(found.keptAside.bytes) bytes, are kept in *.corrupt")
        }
    }
}

/// `martlet queue export`: the content of a queue as OTLP.
enum QueueExportCommand {
    static let command = Command(
        name: "export", abstract: "Writes what a queue holds. The collector that uses it must be stopped.",
        discussion: """
            json is one OTLP JSON object on each line, as the file exporter writes it; proto is each request behind its
            length in four bytes, big-endian.
            """,
        arguments: [CommandArgument(name: "queue", help: "The queue's directory.")],
        options: [
            CommandOption(name: "format", value: "name", help: "json or proto. Default: json"),
            CommandOption(
                name: "output", value: "path", help: "A file that is not there yet. Standard output otherwise."),
            CommandOption(name: "delete", help: "Removes from the queue what has been written and synchronised."),
        ], run: { try export($0) })

    private static func export(_ parsed: ParsedArguments) throws {
        let format = parsed.text("format") ?? "json"
        guard format == "json" || format == "proto" else {
            throw UsageError("--format must be json or proto, not \"\(format)\"")
        }
        let path = parsed.text("output")
        let deletes = parsed.flag("delete")
        guard path != nil || !deletes else { throw UsageError("--delete needs --output") }
        let file = path.map { open($0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600) } ?? STDOUT_FILENO
        guard file >= 0 else {
            writeError("error: cannot create \(path ?? ""): \(String(cString: strerror(errno)))")
            throw ExitCode.failure
        }
        var requests = 0
        try QueueCommand.forEachRecord(of: parsed.argument("queue")) { record, signal in
            var writer = WireWriter()
            if format == "json" {
                let limit = 256
                try OTLPJSONEncoder.encode(
                    QueueCommand.payload(of: record), as: .request(of: signal), into: &writer, maximumDepth: limit)
                writer.append(byte: UInt8(ascii: "\n"))
            } else {
                let payload = QueueCommand.payload(of: record)
                withUnsafeBytes(of: UInt32(clamping: payload.count).bigEndian) { writer.append($0) }
                writer.append(payload)
            }
            guard !writer.overflowed else { throw UsageError("no memory for request \(record.sequence)") }
            try write(writer.bytes, to: file)
            // What is removed must be safe elsewhere first.
            if deletes, fdatasync(file) != 0 { throw failed("synchronise") }
            requests += 1
            return deletes
        }
        writeError("\(requests) requests")
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, to file: Int32) throws {
        var done = 0
        while done < bytes.count {
            let count = Glibc.write(file, bytes.baseAddress.map { $0 + done }, bytes.count - done)
            if count > 0 {
                done += count
            } else if errno != EINTR {
                throw failed("write")
            }
        }
    }

    private static func failed(_ what: String) -> ExitCode {
        writeError("error: cannot \(what) the output: \(String(cString: strerror(errno)))")
        return .failure
    }
}
