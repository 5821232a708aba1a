internal import Glibc

/// Why a log could not do what it was asked: what was tried, on which file, and what the system said. Holds no content.
package struct StorageError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What kind of trouble it is; the raw value serves as a metric's `error_type`.
    package enum Kind: String, Sendable, CaseIterable {
        /// Another process, or another log of this one, has the directory.
        case locked
        /// The disk, or the user's share of it, is full, or the file may not grow.
        case noSpace = "no_space"
        /// The file system is mounted read-only.
        case readOnly = "read_only"
        /// The user may not do that.
        case permission
        /// The file or directory is not there.
        case missing
        /// The disk failed, or anything else that the system reports.
        case io
        /// The files are of a version that this build does not know.
        case version
        /// The log has reached its own bound.
        case full
        /// A record is larger than the log takes.
        case tooLarge = "too_large"
        /// The log is not open, or is being closed.
        case closed
    }

    package let kind: Kind
    /// What was tried, which file, and why not.
    package let description: String

    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    /// A failed system call.
    package init(_ operation: String, _ path: String, errno number: Int32) {
        let text = strerror(number).map { String(cString: $0) } ?? "error \(number)"
        let (kind, advice) = Self.meaning(of: number)
        self.init(kind, "cannot \(operation) \(path): \(text)\(advice)")
    }

    private static func meaning(of number: Int32) -> (Kind, String) {
        switch number {
        case ENOSPC, EDQUOT: (.noSpace, "; free some space or lower max_size")
        case EFBIG: (.noSpace, "; the limit of file sizes is below segment_size")
        case EROFS: (.readOnly, "; mount the file system writable or choose another directory")
        case EACCES, EPERM: (.permission, "; make it writable for the user that Martlet runs as")
        case ENOENT, ENOTDIR: (.missing, "; create the directory, or set create_directory")
        default: (.io, "")
        }
    }
}
