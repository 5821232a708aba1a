import Generator
import Glibc
import OTLP
import Testing

@Suite struct TraceFileTests {
    @Test func linesHoldWhatWasGenerated() throws {
        let path = "/tmp/martlet-generator-\(getpid()).jsonl"
        defer { unlink(path) }
        var plan = GeneratorPlan(seed: 5)
        plan.traces = 50
        plan.batch = 64
        var producer = TraceProducer(plan, start: 0)
        var file = try TraceFile(path: path)
        try file.run(&producer, control: RunControl())
        let text = try contents(path)
        #expect(text.count == file.bytes && text.last == 10)
        let lines = text.split(separator: 10)
        #expect(lines.count == file.lines)
        var spans: [ReadSpan] = []
        for line in lines {
            var wire = WireWriter()
            try Array(line).withUnsafeBytes {
                try OTLPJSONDecoder.decode($0, as: .request(of: .traces), into: &wire)
            }
            spans += try readSpans(Array(wire.bytes))
        }
        #expect(spans.count == producer.totals.spans)
        #expect(Set(spans.map(\.id)) == Set(try produce(plan).0.flatMap(readSpans).map(\.id)))
    }

    @Test func aFileThatCannotBeIsNamed() {
        #expect(throws: TraceFileError.self) { _ = try TraceFile(path: "/nonexistent/x.jsonl") }
        #expect(
            TraceFileError.system(path: "/nonexistent/x", code: ENOENT).description
                == "cannot write \"/nonexistent/x\": No such file or directory")
    }

    private func contents(_ path: String) throws -> [UInt8] {
        let file = open(path, O_RDONLY)
        try #require(file >= 0)
        defer { close(file) }
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = read(file, &piece, piece.count), count > 0 { all += piece[..<count] }
        return all
    }
}
