internal import Glibc

/// An output that cannot be opened or written: `cannot write to stdout: Broken pipe`.
struct DebugOutputError: Error, CustomStringConvertible {
    let action: String
    let name: String
    let code: Int32

    var description: String { "cannot \(action) \(name): \(systemMessage(code))" }
}

/// The outputs that text goes to. One owner; not thread-safe. Calls block.
struct DebugOutput: ~Copyable {
    private struct Target {
        let name: String
        let descriptor: Int32
        /// Closed in the end.
        let isOwned: Bool
    }

    /// Mode of new files, before the umask.
    private static let permissions: mode_t = 0o644

    private var targets: [Target] = []

    /// - Parameter names: `stdout`, `stderr` or paths of files, which are appended to.
    init(_ names: [String]) throws(DebugOutputError) {
        for name in names {
            switch name {
            case "stdout": targets.append(Target(name: name, descriptor: STDOUT_FILENO, isOwned: false))
            case "stderr": targets.append(Target(name: name, descriptor: STDERR_FILENO, isOwned: false))
            default:
                let descriptor = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, Self.permissions)
                if descriptor < 0 {
                    let error = DebugOutputError(action: "open", name: name, code: errno)
                    closeAll()
                    throw error
                }
                targets.append(Target(name: name, descriptor: descriptor, isOwned: true))
            }
        }
    }

    deinit { for target in targets where target.isOwned { close(target.descriptor) } }

    private mutating func closeAll() {
        for target in targets where target.isOwned { close(target.descriptor) }
        targets = []
    }

    /// Writes to all outputs; one that fails does not keep the others from it.
    ///
    /// - Throws: the first failure.
    func write(_ bytes: UnsafeRawBufferPointer) throws(DebugOutputError) {
        var failure: DebugOutputError?
        for target in targets {
            var rest = bytes
            while !rest.isEmpty {
                let count = Glibc.write(target.descriptor, rest.baseAddress, rest.count)
                if count > 0 {
                    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                } else if count == 0 || errno != EINTR {
                    failure = failure ?? DebugOutputError(action: "write to", name: target.name, code: errno)
                    break
                }
            }
        }
        if let failure { throw failure }
    }
}
