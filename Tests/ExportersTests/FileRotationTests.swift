import Glibc
import Pipeline
import Synchronization
import Testing

@testable import Exporters

@Suite struct FileRotationTests {
    private let directory: TemporaryDirectory
    private let log = LogRecorder()
    private var path: String { directory.path + "/out.json" }
    private var names: [String] { TemporaryDirectory.names(in: directory.path) }

    init() throws { directory = try TemporaryDirectory() }

    /// 2026-11-21 06:53:57.250 UTC.
    private static let someTime = (seconds: 1_795_244_037, nanoseconds: 250_000_000)

    private func exporter(
        path: String? = nil, at time: (seconds: Int, nanoseconds: Int) = someTime,
        _ change: (inout FileRotation) -> Void
    ) throws -> FileExporter {
        var settings = FileExporterSettings(path: path ?? self.path)
        var rotation = FileRotation()
        change(&rotation)
        settings.rotation = rotation
        var calls = FileSystemCalls()
        calls.now = { time }
        let exporter = try FileExporter(settings, logger: log.logger, system: calls)
        try exporter.start()
        return exporter
    }

    @Test func aFullFileIsRenamed() throws {
        let exporter = try exporter { $0.maximumBytes = 2 * line("a").utf8.count }
        for name in ["a", "b", "c", "d", "e"] { #expect(exporter.export(try simple(name)) == .delivered) }
        #expect(
            names == ["out-2026-11-21T06-53-57.250.json", "out-2026-11-21T06-53-57.251.json", "out.json"])
        #expect(text(directory.path + "/" + names[0]) == line("a") + line("b"))
        #expect(text(directory.path + "/" + names[1]) == line("c") + line("d"))
        #expect(text(path) == line("e"))
    }

    @Test func aLargeMessageHasItsOwnFile() throws {
        let exporter = try exporter { $0.maximumBytes = 10 }
        for name in ["a", "b"] { #expect(exporter.export(try simple(name)) == .delivered) }
        #expect(names.count == 2)
        #expect(text(path) == line("b"))
    }

    @Test func whatIsThereCounts() throws {
        write(Array(line("a").utf8), to: path)
        let exporter = try exporter { $0.maximumBytes = line("a").utf8.count }
        #expect(exporter.export(try simple("b")) == .delivered)
        #expect(names == ["out-2026-11-21T06-53-57.250.json", "out.json"])
        #expect(text(path) == line("b"))
    }

    @Test func onlyTheNewestAreKept() throws {
        let others = ["out-2026.json", "out-2026-11-21T06-53-57.250.log", "xout-2020-11-21T06-53-57.250.json"]
        for name in others { write([], to: "\(directory.path)/\(name)") }
        let exporter = try exporter {
            $0.maximumBytes = 1
            $0.maximumBackups = 2
        }
        for name in ["a", "b", "c", "d", "e"] { #expect(exporter.export(try simple(name)) == .delivered) }
        #expect(
            names
                == (others + ["out-2026-11-21T06-53-57.252.json", "out-2026-11-21T06-53-57.253.json", "out.json"])
                .sorted())
    }

    @Test func oldOnesAreDeletedAtStart() throws {
        let old = "out-2026-11-14T06-53-57.249.json"
        let young = "out-2026-11-14T06-53-57.250.json"
        for name in [old, young] { write([], to: "\(directory.path)/\(name)") }
        try exporter { $0.maximumDays = 7 }.shutdown()
        #expect(names == [young, "out.json"])
    }

    @Test func zeroKeepsAll() throws {
        let exporter = try exporter {
            $0.maximumBytes = 1
            $0.maximumBackups = 0
        }
        for number in 0..<150 { #expect(exporter.export(try simple("\(number)")) == .delivered) }
        #expect(names.count == 150)
    }

    @Test func namesWithoutExtensionAndWithSeveralDots() throws {
        for name in ["plain", "two.dots.json", ".hidden"] {
            let exporter = try exporter(path: "\(directory.path)/\(name)") { $0.maximumBytes = 1 }
            for name in ["a", "b"] { #expect(exporter.export(try simple(name)) == .delivered) }
        }
        #expect(
            names
                == [
                    "-2026-11-21T06-53-57.250.hidden", ".hidden", "plain", "plain-2026-11-21T06-53-57.250",
                    "two.dots.json",
                    "two.dots-2026-11-21T06-53-57.250.json",
                ].sorted())
    }

    @Test func aRenameThatFailsIsReported() throws {
        let inner = directory.path + "/inner"
        mkdir(inner, 0o755)
        let exporter = try exporter(path: inner + "/out.json") { $0.maximumBytes = 1 }
        #expect(exporter.export(try simple("a")) == .delivered)
        // The directory's name is gone and the file with it: neither is there to rename or to make.
        rename(inner, inner + ".moved")
        guard case .retryable(let reason, nil)? = exporter.export(try simple("b")) else {
            Issue.record("not retryable")
            return
        }
        #expect(reason == "cannot open \(inner)/out.json: No such file or directory")
        rename(inner + ".moved", inner)
        #expect(exporter.export(try simple("b")) == .delivered)
        #expect(text(inner + "/out.json") == line("b"))
    }
}
