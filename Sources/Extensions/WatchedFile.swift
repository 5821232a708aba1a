internal import Config
internal import Logging
internal import Synchronization

/// A small file of secrets that is read again when it has changed. Thread-safe.
final class WatchedFile: Sendable {
    /// Why a file cannot be used. Quotes nothing of it.
    struct Unusable: Error, CustomStringConvertible {
        let description: String
    }

    /// Most bytes of such a file: 4 MiB.
    private static let largestFile = 4 << 20
    /// How often it is looked at.
    static let interval = Duration.seconds(10)

    let path: String
    private let interval: Duration
    private let task = Mutex<Task<Void, Never>?>(nil)

    /// - Parameter interval: between two looks; nil for never.
    init(_ path: String, interval: Duration) {
        self.path = path
        self.interval = interval
    }

    /// Reads the file now. Blocks.
    static func read(_ path: String) throws(Unusable) -> [UInt8] {
        do throws(ConfigReadError) {
            return try ConfigInputs.process.readFile(path, largestFile)
        } catch {
            throw Unusable(description: "\"\(path)\" cannot be read: \(error)")
        }
    }

    /// The lines of a file that hold something, without spaces around them, and their numbers from 1.
    static func lines(_ bytes: [UInt8]) -> [(number: Int, text: String)] {
        var result: [(Int, String)] = []
        for (index, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            var text = line[...]
            while let last = text.last, last <= 0x20 { text = text.dropLast() }
            while let first = text.first, first <= 0x20 { text = text.dropFirst() }
            if text.isEmpty || text.first == UInt8(ascii: "#") { continue }
            result.append((index + 1, String(decoding: text, as: UTF8.self)))
        }
        return result
    }

    /// From now on `use` gets the content whenever it has changed, off the event loops. What it throws is logged, once
    /// for each change, and the caller keeps what it had.
    ///
    /// - Parameter known: the content that is in use.
    func watch(_ known: [UInt8], logger: Logger, use: @escaping @Sendable ([UInt8]) throws(Unusable) -> Void) {
        guard interval > .zero else { return }
        let (path, interval) = (path, interval)
        task.withLock { task in
            guard task == nil else { return }
            task = Task.detached {
                var seen = SecretDigest(known)
                var fault: String?
                while !Task.isCancelled {
                    try? await Task.sleep(for: interval)
                    guard !Task.isCancelled else { return }
                    do throws(Unusable) {
                        let bytes = try Self.read(path)
                        let digest = SecretDigest(bytes)
                        guard digest != seen else { continue }
                        seen = digest
                        fault = nil
                        try use(bytes)
                        logger.info("credentials were loaded again", metadata: ["file": "\(path)"])
                    } catch {
                        if fault != error.description {
                            logger.error(
                                "credentials have changed but cannot be used; the old ones stay",
                                metadata: ["error": "\(error)"])
                        }
                        fault = error.description
                    }
                }
            }
        }
    }

    func stop() {
        task.withLock { task in
            task?.cancel()
            task = nil
        }
    }
}
