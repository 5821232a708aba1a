internal import Glibc
internal import Logging

/// How messages are told apart in a file.
enum RecordFraming: Sendable {
    /// Each ends with a line feed.
    case lines
    /// Each begins with its length: 4 bytes, most significant first.
    case lengthPrefixed

    /// Bytes of the length.
    static let prefixBytes = 4
}

/// An output file of whole messages. One owner; not thread-safe. Calls block.
///
/// A message is in the kernel when `append` returns. When it cannot be written whole, what is there of it is cut off
/// again, so that the file always ends with a whole message. A file that was moved or deleted by others is begun anew
/// under its name before the next message.
final class RecordFile {
    /// Mode of new files, before the umask.
    private static let permissions: mode_t = 0o644

    private let path: String
    /// Stands for `path` in errors and logs.
    private let shown: String
    private let framing: RecordFraming
    private let rotation: FileRotation?
    private let system: FileSystemCalls
    private let logger: Logger

    private var descriptor: Int32 = -1
    /// Device and inode of the open file.
    private var identity = (device: dev_t(), inode: ino_t())
    private var isRegular = true
    /// Bytes in the file.
    private var size = 0
    /// The file ends inside a line that is not ours to cut: a line feed goes before the next message.
    private var endsInsideLine = false
    /// Where the last whole message ends, while what follows could not be cut off yet.
    private var pendingCut: Int?
    /// Earliest time that the next rotated file may be named for.
    private var nextRename = (seconds: 0, nanoseconds: 0)

    /// Opens nothing yet.
    init(
        path: String, shown: String, framing: RecordFraming, rotation: FileRotation?, system: FileSystemCalls,
        logger: Logger
    ) {
        self.path = path
        self.shown = shown
        self.framing = framing
        self.rotation = rotation
        self.system = system
        self.logger = logger
    }

    deinit { close() }

    /// Closes the file. `append` opens it again.
    func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    // MARK: Opening

    /// Opens the file, and makes it when it is missing.
    ///
    /// What a crash left behind a last whole message is dealt with: an unfinished line gets its line feed; a file of
    /// length-prefixed messages, which nothing could be read from behind the tear, is renamed as in a rotation.
    ///
    /// - Parameters:
    ///   - emptying: cuts the file to nothing.
    ///   - checked: the file is known to end with a whole message.
    func open(emptying: Bool, checked: Bool = false) throws(FileError) {
        try openDescriptor(emptying ? O_TRUNC : 0)
        guard isRegular, size > 0, !checked else { return }
        switch framing {
        case .lines:
            var last: UInt8 = 0
            endsInsideLine = try read(into: &last, count: 1, at: size - 1) && last != UInt8(ascii: "\n")
        case .lengthPrefixed:
            if try endsWithWholeMessage() { return }
            logger.warning(
                "the file ends inside a message; it is renamed and a new one begun", metadata: ["path": "\(shown)"])
            try setAside()
        }
    }

    private func openDescriptor(_ flags: Int32) throws(FileError) {
        close()
        var status = stat()
        // A regular file is read as well, to find out how it ends.
        let isSpecial = stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
        // Not blocking, so that a pipe without a reader is an error instead of a wait; writes do block.
        let always = O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK
        let opened = Glibc.open(path, (isSpecial ? O_WRONLY : O_RDWR) | always | flags, Self.permissions)
        guard opened >= 0 else { throw FileError("open", shown, code: errno) }
        guard fstat(opened, &status) == 0 else {
            defer { Glibc.close(opened) }
            throw FileError("open", shown, code: errno)
        }
        _ = fcntl(opened, F_SETFL, fcntl(opened, F_GETFL) & ~O_NONBLOCK)
        descriptor = opened
        identity = (status.st_dev, status.st_ino)
        isRegular = status.st_mode & S_IFMT == S_IFREG
        size = isRegular ? Int(status.st_size) : 0
        endsInsideLine = false
        pendingCut = nil
        if !isRegular, rotation != nil {
            close()
            throw FileError(.name, "rotate", shown, reason: "it is not a regular file")
        }
    }

    /// Goes from length to length.
    private func endsWithWholeMessage() throws(FileError) -> Bool {
        var position = 0
        while position < size {
            var prefix: UInt32 = 0
            guard size - position >= RecordFraming.prefixBytes,
                try read(into: &prefix, count: RecordFraming.prefixBytes, at: position)
            else { return false }
            position += RecordFraming.prefixBytes + Int(UInt32(bigEndian: prefix))
        }
        return position == size
    }

    /// False when the file has become shorter.
    private func read<Value: FixedWidthInteger>(
        into value: inout Value, count: Int, at offset: Int
    ) throws(FileError) -> Bool {
        let result = withUnsafeMutableBytes(of: &value) { pread(descriptor, $0.baseAddress, count, off_t(offset)) }
        if result < 0 { throw FileError("read", shown, code: errno) }
        return result == count
    }

    /// Opens the file anew when another one, or none, has its name now.
    private func reopenIfMoved() throws(FileError) {
        var status = stat()
        if stat(path, &status) == 0 {
            if status.st_dev == identity.device, status.st_ino == identity.inode { return }
        } else if errno != ENOENT {
            // The file that is open stays usable.
            return
        }
        try open(emptying: false)
    }

    // MARK: Writing

    /// Appends one message; `payload` ends with its line feed or begins with its length, as the framing wants, or
    /// follows `prefix`, which does.
    ///
    /// - Throws: `FileError`; the file then holds nothing of the message.
    func append(_ prefix: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer) throws(FileError) {
        try begin(size: prefix.count + payload.count)
        var message = 0
        try write(prefix, payload, &message)
    }

    /// Whether `append(pieces:)` may be used: rotation has to know a message's size before its first byte.
    var takesPieces: Bool { rotation == nil }

    /// Appends one message piece by piece: `produce` makes the pieces and hands each to its argument.
    ///
    /// - Throws: `FileError`, its own or that of `produce`; the file then holds nothing of the message.
    func append(
        pieces produce: ((UnsafeRawBufferPointer) throws(FileError) -> Void) throws(FileError) -> Void
    ) throws(FileError) {
        try begin(size: 0)
        var message = 0
        var hasFailed = false
        do throws(FileError) {
            try produce { (piece: UnsafeRawBufferPointer) throws(FileError) in
                hasFailed = true
                try write(piece, .empty, &message)
                hasFailed = false
            }
        } catch {
            // A failed write has cut the message back itself.
            if !hasFailed, message > 0 { undo(message) }
            throw error
        }
    }

    /// Makes the file ready for a message of `size` bytes.
    private func begin(size messageSize: Int) throws(FileError) {
        if descriptor < 0 {
            try open(emptying: false)
        } else if isRegular {
            try reopenIfMoved()
        }
        if let end = pendingCut { try cut(to: end) }
        if let rotation, size > 0, size + messageSize > rotation.maximumBytes { try rotate(rotation) }
        if endsInsideLine {
            let lineEnd: StaticString = "\n"
            var message = 0
            try write(UnsafeRawBufferPointer(start: lineEnd.utf8Start, count: 1), .empty, &message)
            endsInsideLine = false
        }
    }

    /// Writes two pieces of a message of which `message` bytes are written already, and counts them in.
    private func write(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, _ message: inout Int
    ) throws(FileError) {
        let total = first.count + second.count
        var written = 0
        while written < total {
            let fromFirst = min(written, first.count)
            let count = system.write(
                descriptor, UnsafeRawBufferPointer(rebasing: first[fromFirst...]),
                UnsafeRawBufferPointer(rebasing: second[(written - fromFirst)...]))
            if count > 0 {
                written += count
            } else if count == 0 || errno != EINTR {
                let failure = FileError("write to", shown, code: count == 0 ? ENOSPC : errno)
                if message + written > 0 { undo(message + written) }
                throw failure
            }
        }
        size += total
        message += total
    }

    /// Takes back the first bytes of a message whose rest could not be written.
    private func undo(_ written: Int) {
        // With O_APPEND the position is behind our bytes, wherever they went.
        let position = Int(lseek(descriptor, 0, SEEK_CUR))
        var status = stat()
        // When somebody else has written behind us, a cut would take theirs too.
        guard isRegular, position >= written, fstat(descriptor, &status) == 0, Int(status.st_size) == position else {
            endsInsideLine = framing == .lines
            return
        }
        pendingCut = position - written
        do {
            try cut(to: position - written)
        } catch {
            logger.warning("an unfinished message stays in the file for now", metadata: ["error": "\(error)"])
        }
    }

    private func cut(to end: Int) throws(FileError) {
        if ftruncate(descriptor, off_t(end)) != 0 { throw FileError("cut", shown, code: errno) }
        pendingCut = nil
        size = end
    }

    // MARK: Rotation

    private func rotate(_ rotation: FileRotation) throws(FileError) {
        try setAside()
        removeOldFiles()
    }

    /// Renames the file and begins a new one.
    private func setAside() throws(FileError) {
        let names = RotatedFiles(path: path)
        var time = system.now()
        // The order of the names is the order of the files, also when the clock is set back.
        if time < nextRename { time = nextRename }
        let target = names.unusedName(at: &time, usesLocalTime: rotation?.usesLocalTime ?? false)
        guard rename(path, target) == 0 else { throw FileError("rename", shown, code: errno) }
        nextRename = RotatedFiles.later(time)
        try openDescriptor(0)
    }

    /// Deletes the rotated files that the bounds do not keep. What cannot be deleted is logged.
    func removeOldFiles() {
        guard let rotation else { return }
        let names = RotatedFiles(path: path)
        for name in names.expired(rotation, at: system.now()) where unlink(name) != 0 && errno != ENOENT {
            logger.warning(
                "cannot delete a rotated file",
                metadata: ["path": "\(name)", "error": "\(systemMessage(errno))"])
        }
    }
}

extension UnsafeRawBufferPointer {
    /// No bytes.
    static var empty: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
}
