import Glibc

/// What the configuration reads from its surroundings; replaced in tests.
package struct ConfigInputs: Sendable {
    /// The value of an environment variable, or nil when it is not set.
    package var environment: @Sendable (_ name: String) -> String?
    /// The bytes of a file, at most `limit` of them; a longer file is an error. Blocks.
    package var readFile: @Sendable (_ path: String, _ limit: Int) throws(ConfigReadError) -> [UInt8]

    /// Makes inputs from functions, which may be called from any thread.
    package init(
        environment: @escaping @Sendable (String) -> String?,
        readFile: @escaping @Sendable (String, Int) throws(ConfigReadError) -> [UInt8]
    ) {
        self.environment = environment
        self.readFile = readFile
    }

    /// This process's environment and file system. Relative paths start at the working directory.
    package static let process = ConfigInputs(
        environment: { name in getenv(name).map { String(cString: $0) } },
        readFile: { path, limit throws(ConfigReadError) in try readProcessFile(path, limit: limit) })
}

/// Why a file could not be read; a sentence part, such as `No such file or directory`.
package struct ConfigReadError: Error, Sendable, CustomStringConvertible {
    /// The reason.
    package var description: String

    /// Makes an error from its reason.
    package init(_ description: String) { self.description = description }
}

private func readProcessFile(_ path: String, limit: Int) throws(ConfigReadError) -> [UInt8] {
    if path.utf8.contains(0) { throw ConfigReadError("the path contains a NUL character") }
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw ConfigReadError(systemMessage(errno)) }
    defer { close(file) }
    var result: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let count = chunk.withUnsafeMutableBytes { buffer in
            read(file, buffer.baseAddress, buffer.count)
        }
        if count == 0 { return result }
        if count < 0 {
            if errno == EINTR { continue }
            throw ConfigReadError(systemMessage(errno))
        }
        result += chunk[..<count]
        if result.count > limit { throw ConfigReadError("it is larger than \(limit) bytes") }
    }
}

private func systemMessage(_ code: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard strerror_r(code, &buffer, buffer.count) == 0 else { return "system error \(code)" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
