import Glibc
import OTLP
import Pipeline
import Testing

@testable import Exporters

@Suite struct FileGroupTests {
    private let directory: TemporaryDirectory
    private let log = LogRecorder()

    init() throws { directory = try TemporaryDirectory() }

    private func exporter(
        _ pattern: String = "/data/*.json", _ change: (inout FileExporterSettings) -> Void = { _ in }
    ) throws -> FileExporter {
        var settings = FileExporterSettings(path: directory.path + pattern)
        settings.grouping = FileGrouping()
        settings.grouping?.attribute = "tenant"
        change(&settings)
        let exporter = try FileExporter(settings, logger: log.logger)
        try exporter.start()
        return exporter
    }

    private func tenant(_ value: String, _ names: String...) -> [UInt8] {
        resource(["tenant": value], items: names.map { span($0) })
    }

    private func spanNames(_ name: String) -> [String] {
        text("\(directory.path)/data/\(name)").split(separator: "\"name\":\"").dropFirst()
            .map { String($0.prefix { $0 != "\"" }) }.filter { $0 != "lib" }
    }

    // MARK: Paths

    @Test(arguments: [
        ("/data/*.json", "a", "/data/a.json"),
        ("/data/*.json", "../etc/passwd", "/data/etc/passwd.json"),
        ("/data/*.json", "/etc/passwd", "/data/etc/passwd.json"),
        ("/data/*.json", "a/../../../b", "/data/b.json"),
        ("/data/*.json", "a/./b//c/", "/data/a/b/c.json"),
        ("/data/*.json", "...", "/data/....json"),
        ("/data/*.json", "a\0b\n", "/data/a_b_.json"),
        ("/data/x*", "../y", "/data/xy"),
        ("/data/.*", "./x", "/data/.x"),
        ("/data/*/../x", "..", nil),
        ("/data/*.json", "", nil),
        ("/data/*.json", "..", nil),
        ("/data/*.json", "///", nil),
        ("/data/*.json", "a/..", nil),
    ])
    func valuesBecomePaths(pattern: String, value: String, expected: String?) throws {
        let pattern = try #require(GroupPath(pattern: pattern))
        var value = value
        #expect(value.withUTF8 { pattern.path(for: UnsafeRawBufferPointer($0)) } == expected)
    }

    @Test func patternsHaveOneStar() {
        for pattern in ["a", "*", "*/a", "/a/**", "/a/*/*"] { #expect(GroupPath(pattern: pattern) == nil) }
        #expect(GroupPath(pattern: "/a/b*")?.directory == "/a")
        #expect(GroupPath(pattern: "/a/b/*")?.directory == "/a/b/")
        #expect(GroupPath(pattern: "b*")?.directory == ".")
    }

    @Test func noValueLeavesThePrefix() throws {
        let parts = ["..", ".", "/", "a", "\\", "\u{0}", "é", "*", "~", " ", "...", "%2e"]
        var state: UInt64 = 42
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for prefix in ["/data/", "/data/.", "/data/..", "/data/x", "./"] {
            let pattern = try #require(GroupPath(pattern: prefix + "*.json"))
            for _ in 0..<4000 {
                var value = (0..<next(8)).map { _ in parts[next(parts.count)] }.joined()
                guard let path = value.withUTF8({ pattern.path(for: UnsafeRawBufferPointer($0)) }) else { continue }
                #expect(path.hasPrefix(prefix) && path.hasSuffix(".json"))
                #expect(path.utf8.allSatisfy { $0 >= 0x20 })
                let fixed = prefix.split(separator: "/").dropLast(prefix.hasSuffix("/") ? 0 : 1).count
                let added = path.split(separator: "/").dropFirst(fixed)
                #expect(!added.contains("..") && !added.contains("."), "\(path)")
            }
        }
        let pattern = try #require(GroupPath(pattern: "/data/*"))
        #expect([0xFF, 0x2F].withUnsafeBytes { pattern.path(for: $0) } == nil)
        #expect([UInt8](repeating: 0x61, count: 1024).withUnsafeBytes { pattern.path(for: $0) } != nil)
        #expect([UInt8](repeating: 0x61, count: 1025).withUnsafeBytes { pattern.path(for: $0) } == nil)
    }

    // MARK: Files

    @Test func resourcesGoToTheirFiles() throws {
        let exporter = try exporter()
        let first = try batch([tenant("a", "a1"), tenant("b/c", "b1"), tenant("a", "a2")])
        let second = try batch([tenant("../../b/c", "b2")])
        #expect(exporter.export(request(first, second)) == .delivered)
        #expect(spanNames("a.json") == ["a1", "a2"])
        #expect(spanNames("b/c.json") == ["b1", "b2"])
        #expect(text("\(directory.path)/data/a.json").split(separator: "\n").count == 1)
    }

    @Test func editedAndPartialBatchesAreGrouped() throws {
        let exporter = try exporter()
        let edited = try batch([tenant("a", "a1", "a2"), tenant("b", "b1", "b2")])
        edited.filterItems { $0 != 0 }
        let slice = BatchSlice(edited, items: 0..<2)
        #expect(
            exporter.export(ExportRequest(signal: .traces, slices: [slice], timeout: .seconds(1))) == .delivered)
        #expect(spanNames("a.json") == ["a2"])
        #expect(spanNames("b.json") == ["b1"])
    }

    @Test func itemsWithoutAFileAreRejected() throws {
        let exporter = try exporter()
        let number = message { $0.put(3, varint: 5) }
        let numbered = message { group in
            group.put(1, message { $0.put(1, keyValue("tenant", number)) })
            group.put(2, message { $0.put(2, span("x")) })
        }
        let mixed = try batch([
            tenant("a", "a1"), resource(["other": "a"], items: [span("x"), span("y")]), tenant("..", "z"), numbered,
        ])
        #expect(
            exporter.export(request(mixed))
                == .delivered(rejected: 4, message: "resources without a usable attribute \"tenant\" have no file"))
        #expect(TemporaryDirectory.names(in: directory.path + "/data") == ["a.json"])
    }

    @Test func rejectedMetricsCountTheirPoints() throws {
        let exporter = try exporter()
        let point = message { $0.put(3, fixed64: 1) }
        let gauge = message {
            $0.put(1, point)
            $0.put(1, point)
        }
        let metric = message {
            $0.put(1, "m")
            $0.put(5, gauge)
        }
        let outcome = exporter.export(request(try batch([resource([:], items: [metric])], .metrics)))
        guard case .delivered(rejected: 2, _)? = outcome else {
            Issue.record("\(String(describing: outcome))")
            return
        }
    }

    @Test func aNameThatCannotBeIsRejectedAndTheRestWritten() throws {
        let exporter = try exporter("/data/*")
        #expect(exporter.export(request(try batch([tenant("a", "a1")]))) == .delivered)
        // "a" is a file, so nothing can lie below it; a name of 300 bytes is too long for a file.
        let long = String(repeating: "n", count: 300)
        let outcome = exporter.export(request(try batch([tenant("a/b", "x"), tenant(long, "y"), tenant("c", "c1")])))
        guard case .delivered(rejected: 2, _)? = outcome else {
            Issue.record("\(String(describing: outcome))")
            return
        }
        #expect(spanNames("c") == ["c1"])
    }

    @Test(arguments: FileExporterSettings.Format.allCases)
    func fewFilesAreOpenAtOnce(format: FileExporterSettings.Format) throws {
        let exporter = try exporter {
            $0.format = format
            $0.grouping?.maximumOpenFiles = 3
        }
        let before = openDescriptors()
        for round in 0..<3 {
            for name in 0..<10 {
                #expect(exporter.export(request(try batch([tenant("t\(name)", "s\(round)")]))) == .delivered)
                #expect(openDescriptors() - before <= 3)
            }
        }
        exporter.shutdown()
        #expect(TemporaryDirectory.names(in: directory.path + "/data").count == 10)
        if format == .json { #expect(spanNames("t7.json") == ["s0", "s1", "s2"]) }
        let one = try batch([tenant("t7", "s0")]).bytes.count + 4
        if format == .proto { #expect(contents(directory.path + "/data/t7.json").count == 3 * one) }
    }

    @Test func manyAlternatingResourcesTakeLinearTime() throws {
        let exporter = try exporter()
        let resources = (0..<20_000).map { tenant($0 % 2 == 0 ? "a" : "b", "s") }
        let edited = try batch(resources)
        edited.filterItems { $0 != 5 }
        #expect(exporter.export(request(edited)) == .delivered)
        #expect(spanNames("a.json").count == 10_000)
        #expect(spanNames("b.json").count == 9_999)
    }

    /// Descriptors of this process that lead into the test's directory.
    private func openDescriptors() -> Int {
        TemporaryDirectory.names(in: "/proc/self/fd").count { name in
            var target = [CChar](repeating: 0, count: 4096)
            let length = readlink("/proc/self/fd/\(name)", &target, 4095)
            return length > 0
                && String(decoding: target.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
                    .hasPrefix(directory.path)
        }
    }
}
