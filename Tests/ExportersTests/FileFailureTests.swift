import Glibc
import OTLP
import Pipeline
import Synchronization
import Testing

@testable import Exporters

/// A disk that takes a number of bytes and then fails.
private final class FullDisk: Sendable {
    private let state: Mutex<(room: Int, code: Int32)>

    init(room: Int, code: Int32 = ENOSPC) { state = Mutex((room, code)) }

    func setRoom(_ room: Int) { state.withLock { $0.room = room } }

    var calls: FileSystemCalls {
        var calls = FileSystemCalls()
        let real = calls.write
        calls.write = { [self] descriptor, first, second in
            state.withLock { state in
                if state.room <= 0 {
                    errno = state.code
                    return -1
                }
                let head = UnsafeRawBufferPointer(rebasing: first.prefix(state.room))
                let tail = UnsafeRawBufferPointer(rebasing: second.prefix(state.room - head.count))
                let count = real(descriptor, head, tail)
                state.room -= count
                return count
            }
        }
        return calls
    }
}

@Suite struct FileFailureTests {
    private let directory: TemporaryDirectory
    private let log = LogRecorder()
    private var path: String { directory.path + "/out.json" }

    init() throws { directory = try TemporaryDirectory() }

    private func exporter(
        _ calls: FileSystemCalls = FileSystemCalls(), _ change: (inout FileExporterSettings) -> Void = { _ in }
    ) throws -> FileExporter {
        var settings = FileExporterSettings(path: path)
        change(&settings)
        return try FileExporter(settings, logger: log.logger, system: calls)
    }

    /// A disk that is full at every position of the second message.
    @Test(arguments: FileExporterSettings.Format.allCases)
    func aFullDiskLeavesWholeMessages(format: FileExporterSettings.Format) throws {
        let disk = FullDisk(room: .max)
        let exporter = try exporter(disk.calls) { $0.format = format }
        try exporter.start()
        #expect(exporter.export(try simple("a")) == .delivered)
        let whole = contents(path)
        for room in 0..<whole.count {
            disk.setRoom(room)
            #expect(
                exporter.export(try simple("b"))
                    == .retryable("cannot write to \(path): No space left on device", after: nil))
            #expect(contents(path) == whole)
        }
        disk.setRoom(.max)
        #expect(exporter.export(try simple("a")) == .delivered)
        #expect(contents(path) == whole + whole)
    }

    @Test func interruptedWritesGoOn() throws {
        var calls = FileSystemCalls()
        let real = calls.write
        let box = FlagBox()
        calls.write = { descriptor, first, second in
            let again = box.flag.withLock { flag in
                flag.toggle()
                return flag
            }
            if again {
                errno = EINTR
                return -1
            }
            return real(descriptor, first, UnsafeRawBufferPointer(rebasing: second.prefix(7)))
        }
        let exporter = try exporter(calls) { $0.format = .json }
        try exporter.start()
        #expect(exporter.export(try simple("a")) == .delivered)
        #expect(text(path) == line("a"))
    }

    @Test func anUnfinishedLineGetsItsEnd() throws {
        write(Array((line("a") + #"{"resourceSp"#).utf8), to: path)
        let exporter = try exporter { $0.append = true }
        try exporter.start()
        #expect(exporter.export(try simple("b")) == .delivered)
        #expect(text(path) == line("a") + #"{"resourceSp"# + "\n" + line("b"))
    }

    /// Every way in which a crash can leave the second message.
    @Test func aTornFileOfMessagesIsSetAside() throws {
        let first = try exporter { $0.format = .proto }
        try first.start()
        #expect(first.export(try simple("a")) == .delivered)
        first.shutdown()
        let whole = contents(path)
        for length in 1..<whole.count {
            write(whole + whole.prefix(length), to: path)
            let exporter = try exporter {
                $0.format = .proto
                $0.append = true
            }
            try exporter.start()
            #expect(exporter.export(try simple("a")) == .delivered)
            exporter.shutdown()
            #expect(contents(path) == whole)
            let aside = try #require(TemporaryDirectory.names(in: directory.path).first { $0 != "out.json" })
            #expect(contents("\(directory.path)/\(aside)") == whole + whole.prefix(length))
            unlink("\(directory.path)/\(aside)")
        }
        #expect(log.messages.count == whole.count - 1)
        #expect(
            log.messages.first == "the file ends inside a message; it is renamed and a new one begun|path=\(path)")
    }

    @Test func aWholeFileOfMessagesIsContinued() throws {
        for _ in 0..<3 {
            let exporter = try exporter {
                $0.format = .proto
                $0.append = true
            }
            try exporter.start()
            #expect(exporter.export(try simple("a")) == .delivered)
            exporter.shutdown()
        }
        #expect(TemporaryDirectory.names(in: directory.path) == ["out.json"])
        let one = try simple("a").slices[0].batch.bytes.count + 4
        #expect(contents(path).count == 3 * one)
    }

    @Test func aMovedOrDeletedFileIsBegunAnew() throws {
        let exporter = try exporter()
        try exporter.start()
        #expect(exporter.export(try simple("a")) == .delivered)
        rename(path, path + ".1")
        #expect(exporter.export(try simple("b")) == .delivered)
        #expect(text(path + ".1") == line("a"))
        #expect(text(path) == line("b"))
        unlink(path)
        #expect(exporter.export(try simple("c")) == .delivered)
        #expect(text(path) == line("c"))
    }

    @Test func startNamesWhatIsWrong() throws {
        let missing = FileExporterSettings(path: directory.path + "/none/out.json")
        let exporter = try FileExporter(missing, logger: log.logger)
        #expect {
            try exporter.start()
        } throws: {
            "\($0)" == "cannot open \(directory.path)/none/out.json: there is no directory \(directory.path)/none; "
                + "set \"create_directory\""
        }
        let taken = try FileExporter(FileExporterSettings(path: directory.path), logger: log.logger)
        #expect { try taken.start() } throws: { "\($0)" == "cannot open \(directory.path): Is a directory" }
        var rotated = FileExporterSettings(path: "/dev/null")
        rotated.rotation = FileRotation()
        let device = try FileExporter(rotated, logger: log.logger)
        #expect { try device.start() } throws: { "\($0)" == "cannot rotate /dev/null: it is not a regular file" }
    }

    @Test func directoriesAreMadeWithTheirMode() throws {
        var settings = FileExporterSettings(path: directory.path + "/x/y/out.json")
        settings.createDirectory = true
        settings.directoryPermissions = 0o700
        let exporter = try FileExporter(settings, logger: log.logger)
        try exporter.start()
        #expect(exporter.export(try simple("a")) == .delivered)
        var status = stat()
        #expect(stat(directory.path + "/x/y", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o700)
        #expect(text(settings.path) == line("a"))
    }

    @Test func devicesAreWritten() throws {
        let exporter = try FileExporter(FileExporterSettings(path: "/dev/null"), logger: log.logger)
        try exporter.start()
        #expect(exporter.export(try simple("a")) == .delivered)
        let full = try FileExporter(FileExporterSettings(path: "/dev/full"), logger: log.logger)
        try full.start()
        #expect(
            full.export(try simple("a")) == .retryable("cannot write to /dev/full: No space left on device", after: nil)
        )
    }

    @Test func lifecycle() throws {
        let exporter = try exporter()
        exporter.shutdown()
        #expect(exporter.export(try simple("a")) == .retryable("the file exporter is not running", after: nil))
        try exporter.start()
        // Another signal.
        try exporter.start()
        exporter.shutdown()
        #expect(exporter.export(try simple("a")) == .delivered)
        exporter.shutdown()
        exporter.shutdown()
        #expect(exporter.export(try simple("a")) == .retryable("the file exporter is not running", after: nil))
        #expect(text(path) == line("a"))
    }
}

private final class FlagBox: Sendable {
    let flag = Mutex(false)
}
