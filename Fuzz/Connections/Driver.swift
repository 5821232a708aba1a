// One executable for all fuzzers that need NIO. The name under which it runs says which one it is.

private typealias Test = @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt

/// Set before the first input, by the only thread.
private nonisolated(unsafe) var chosen: Test = { _, _ in fatalError("nothing is chosen") }

@_cdecl("LLVMFuzzerTestOneInput")
func fuzzChosen(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt { chosen(data, size) }

@_cdecl("LLVMFuzzerInitialize")
func chooseTest(
    _ count: UnsafePointer<CInt>, _ arguments: UnsafePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>
) -> CInt {
    let path = arguments.pointee[0].map { String(cString: $0) } ?? ""
    switch path.split(separator: "/").last {
    case "HTTP1": chosen = { fuzzHTTP1($0, $1) }
    case "HTTP2Client": chosen = { fuzzHTTP2Client($0, $1) }
    default: fatalError("\(path) is no name of a fuzzer")
    }
    return 0
}

extension UnsafeBufferPointer<UInt8> {
    /// Runs `body` with pieces of `size` bytes; the last may be smaller. Each is a copy of its own, so that the sanitizer
    /// sees what is read beyond it.
    func forEachPiece(_ size: Int, _ body: ([UInt8]) -> Void) {
        var start = 0
        while start < count {
            body(Array(self[start..<Swift.min(start + size, count)]))
            start += size
        }
    }
}
