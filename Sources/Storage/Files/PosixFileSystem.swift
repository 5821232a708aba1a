internal import Glibc

/// The system's files. Thread-safe; a file is one thread's at a time.
package struct PosixFileSystem: LogFileSystem {
    package init() {}

    /// See `LogFileSystem`.
    package func list(_ directory: String) throws(StorageError) -> [String] {
        guard let handle = opendir(directory) else { throw StorageError("read", directory, errno: errno) }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// See `LogFileSystem`.
    package func makeDirectory(_ path: String, permissions: UInt32) throws(StorageError) {
        guard mkdir(path, permissions) != 0, errno != EEXIST else { return }
        throw StorageError("create", path, errno: errno)
    }

    /// See `LogFileSystem`. New files can be read by their owner only: they hold telemetry.
    package func open(_ path: String, _ mode: LogFileMode) throws(StorageError) -> any LogFile {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .write: O_RDWR
            case .create: O_RDWR | O_CREAT | O_EXCL
            case .createOrWrite: O_RDWR | O_CREAT
            }
        let descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StorageError("open", path, errno: errno) }
        return PosixFile(path, descriptor)
    }

    /// See `LogFileSystem`.
    package func remove(_ path: String) throws(StorageError) {
        guard unlink(path) != 0, errno != ENOENT else { return }
        throw StorageError("remove", path, errno: errno)
    }

    /// See `LogFileSystem`.
    package func syncDirectory(_ path: String) throws(StorageError) {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StorageError("open", path, errno: errno) }
        defer { Glibc.close(descriptor) }
        guard fsync(descriptor) == 0 else { throw StorageError("synchronise", path, errno: errno) }
    }

    /// See `LogFileSystem`. The lock is advisory (`flock`) and ends with the process, however that ends.
    package func lock(_ path: String) throws(StorageError) -> any LogFile {
        let file = try open(path, .createOrWrite)
        guard let file = file as? PosixFile, flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let number = errno
            file.close()
            guard number == EWOULDBLOCK else { throw StorageError("lock", path, errno: number) }
            throw StorageError(.locked, "cannot lock \(path): another process has this directory; give each its own")
        }
        return file
    }

    /// Whether a process has locked the log in a directory. False when that cannot be told.
    package func isLocked(_ directory: String) -> Bool {
        let descriptor = Glibc.open(directory + "/" + FileNames.lock, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { Glibc.close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }

    /// See `LogFileSystem`.
    package func random() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}

final class PosixFile: LogFile {
    private let path: String
    private(set) var descriptor: Int32
    /// Most slices in one call of the system's (IOV_MAX on Linux).
    private static let maximumSlices = 1024

    init(_ path: String, _ descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { close() }

    func size() throws(StorageError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw StorageError("read", path, errno: errno) }
        return Int(status.st_size)
    }

    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(StorageError) -> Int {
        var done = 0
        while done < buffer.count {
            let count = pread(descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, offset + done)
            if count > 0 {
                done += count
            } else if count == 0 {
                return done
            } else if errno != EINTR {
                throw StorageError("read", path, errno: errno)
            }
        }
        return done
    }

    func write(at offset: Int, _ slices: [UnsafeRawBufferPointer]) throws(StorageError) {
        var vectors: ArraySlice<iovec> = []
        vectors.reserveCapacity(slices.count)
        for slice in slices where slice.count > 0 {
            // The call does not write through the pointer; its type only lacks the `const`.
            vectors.append(iovec(iov_base: UnsafeMutableRawPointer(mutating: slice.baseAddress), iov_len: slice.count))
        }
        var position = offset
        while !vectors.isEmpty {
            let written = vectors.withUnsafeBufferPointer {
                pwritev(descriptor, $0.baseAddress, Int32(min($0.count, Self.maximumSlices)), position)
            }
            guard written > 0 else {
                if written < 0, errno == EINTR { continue }
                throw StorageError("write", path, errno: written == 0 ? ENOSPC : errno)
            }
            position += written
            Self.drop(written, from: &vectors)
        }
    }

    /// Removes the first `count` bytes.
    private static func drop(_ count: Int, from vectors: inout ArraySlice<iovec>) {
        var left = count
        while left > 0, let first = vectors.first {
            guard first.iov_len > left else {
                left -= first.iov_len
                vectors.removeFirst()
                continue
            }
            vectors[vectors.startIndex].iov_base = first.iov_base.map { $0 + left }
            vectors[vectors.startIndex].iov_len = first.iov_len - left
            left = 0
        }
    }

    func sync() throws(StorageError) {
        guard fdatasync(descriptor) == 0 else { throw StorageError("synchronise", path, errno: errno) }
    }

    func truncate(to size: Int) throws(StorageError) {
        guard ftruncate(descriptor, size) == 0 else { throw StorageError("cut", path, errno: errno) }
    }

    func close() {
        guard descriptor >= 0 else { return }
        Glibc.close(descriptor)
        descriptor = -1
    }
}
