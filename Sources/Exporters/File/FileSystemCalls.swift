internal import Glibc

/// What the exporter asks of the system and tests replace.
package struct FileSystemCalls: Sendable {
    /// Writes the two buffers, one behind the other, to a descriptor: the bytes written, or -1 with `errno` set.
    package var write: @Sendable (Int32, UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Int
    /// Seconds since 1970 and nanoseconds of that second.
    package var now: @Sendable () -> (seconds: Int, nanoseconds: Int)

    /// The system's own.
    package init() {
        write = { descriptor, first, second in
            // writev(2) only reads what the vectors point to.
            var vectors = (
                iovec(iov_base: UnsafeMutableRawPointer(mutating: first.baseAddress), iov_len: first.count),
                iovec(iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress), iov_len: second.count)
            )
            return withUnsafePointer(to: &vectors) {
                $0.withMemoryRebound(to: iovec.self, capacity: 2) { writev(descriptor, $0, 2) }
            }
        }
        now = {
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            return (now.tv_sec, now.tv_nsec)
        }
    }
}

/// Why something could not be written: `cannot write to /data/traces.json: No space left on device`.
package struct FileError: Error, Equatable, CustomStringConvertible {
    /// What follows from the error.
    package enum Kind: Sendable {
        /// It may work later.
        case transient
        /// The file's name is at fault: the same data can never be written under it.
        case name
        /// The message is larger than a file can take.
        case tooLarge
        /// The data cannot be encoded.
        case content
    }

    package var kind: Kind
    /// What was tried: `write to`.
    package var action: String
    /// The file; with groups the configured pattern, since the full name holds telemetry.
    package var path: String
    package var reason: String

    /// A failed system call; `code` is its `errno`.
    init(_ action: String, _ path: String, code: Int32) {
        let aboutNames = [ENOTDIR, EISDIR, ENAMETOOLONG, ELOOP, EILSEQ, EINVAL]
        self.init(aboutNames.contains(code) ? .name : .transient, action, path, reason: systemMessage(code))
    }

    init(_ kind: Kind, _ action: String, _ path: String, reason: String) {
        self.kind = kind
        self.action = action
        self.path = path
        self.reason = reason
    }

    package var description: String { "cannot \(action) \(path): \(reason)" }
}

/// The system's text for an `errno`.
func systemMessage(_ code: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard strerror_r(code, &buffer, buffer.count) == 0 else { return "system error \(code)" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Makes `directory` and those around it as far as they are missing.
///
/// - Throws: `FileError`; `shown` stands in it for the directory.
func makeDirectories(_ directory: String, mode: UInt32, shown: String) throws(FileError) {
    if isDirectory(directory) { return }
    var partial = directory.hasPrefix("/") ? "/" : ""
    for component in directory.split(separator: "/") {
        partial += component
        if mkdir(partial, mode) != 0, errno != EEXIST, errno != EISDIR {
            throw FileError("make the directory of", shown, code: errno)
        }
        partial += "/"
    }
    if !isDirectory(directory) { throw FileError("make the directory of", shown, code: ENOTDIR) }
}

/// Whether there is such a directory, links followed.
func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}

/// The part of a path before its last component: `/data` of `/data/a.json`, `.` of `a.json`.
func directory(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// The last component of a path.
func fileName(of path: String) -> Substring {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path[...] }
    return path[path.index(after: slash)...]
}
