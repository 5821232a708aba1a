/// The few things that a log does with files. The real one is `PosixFileSystem`; tests have one that fails and crashes.
package protocol LogFileSystem: Sendable {
    /// Names in a directory, in any order.
    func list(_ directory: String) throws(StorageError) -> [String]

    /// Makes a directory unless it is there. Its parent must be.
    func makeDirectory(_ path: String, permissions: UInt32) throws(StorageError)

    /// Opens a file.
    func open(_ path: String, _ mode: LogFileMode) throws(StorageError) -> any LogFile

    /// Removes a file. One that is not there is no error.
    func remove(_ path: String) throws(StorageError)

    /// Makes creations and removals in a directory durable.
    func syncDirectory(_ path: String) throws(StorageError)

    /// Locks a file, which is made unless it is there, until the returned file is closed.
    /// - Throws: `.locked` when somebody else has it.
    func lock(_ path: String) throws(StorageError) -> any LogFile

    /// A number that nobody can guess, for the salt.
    func random() -> UInt64
}

/// How a file is opened.
package enum LogFileMode: Sendable {
    case read
    /// Must be there.
    case write
    /// Must not be there.
    case create
    /// Made unless it is there.
    case createOrWrite
}

/// An open file. One thread at a time.
package protocol LogFile: AnyObject {
    func size() throws(StorageError) -> Int

    /// Reads up to the buffer's size. Fewer bytes only at the end of the file.
    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(StorageError) -> Int

    /// Writes all slices one after the other. On an error any part of them may have been written.
    func write(at offset: Int, _ slices: [UnsafeRawBufferPointer]) throws(StorageError)

    /// Makes what was written durable.
    func sync() throws(StorageError)

    func truncate(to size: Int) throws(StorageError)

    /// Closes the file; later calls fail. A second call does nothing.
    func close()
}
