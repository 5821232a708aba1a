import Glibc

/// The files of this repository, read without Foundation. Paths are relative to the root and use `/`.
struct SourceTree {
    /// A folder or file that should be there and cannot be read.
    struct Unreadable: Error, CustomStringConvertible {
        let path: String
        let code: Int32
        var description: String { "\(path): cannot be read (errno \(code))" }
    }

    /// Absolute path of the repository's root, without a closing slash.
    let root: String

    /// The checkout that this test file was compiled from.
    static let checkout: SourceTree = {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return SourceTree(root: parts.dropLast(3).joined(separator: "/"))
    }()

    /// Names in a folder, sorted, without hidden ones.
    func names(in folder: String) throws(Unreadable) -> [String] {
        guard let directory = opendir("\(root)/\(folder)") else { throw Unreadable(path: folder, code: errno) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") && name != "__pycache__" { names.append(name) }
        }
        return names.sorted()
    }

    /// Whether the path is a folder; false also when it is not there.
    func isFolder(_ path: String) -> Bool {
        var information = stat()
        return stat("\(root)/\(path)", &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
    }

    /// Whether a file or folder is there.
    func exists(_ path: String) -> Bool { access("\(root)/\(path)", F_OK) == 0 }

    /// The names of the folders directly inside `folder`; none when it is not there.
    func folders(in folder: String) throws(Unreadable) -> [String] {
        guard isFolder(folder) else { return [] }
        return try names(in: folder).filter { isFolder("\(folder)/\($0)") }
    }

    /// Every file below `folder` whose name ends in `suffix`, sorted by path.
    func files(below folder: String, suffix: String) throws(Unreadable) -> [String] {
        var found: [String] = []
        for name in try names(in: folder) {
            let path = "\(folder)/\(name)"
            if isFolder(path) {
                found += try files(below: path, suffix: suffix)
            } else if name.hasSuffix(suffix) {
                found.append(path)
            }
        }
        return found
    }

    /// The content of a file.
    func bytes(of path: String) throws(Unreadable) -> [UInt8] {
        let descriptor = open("\(root)/\(path)", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Unreadable(path: path, code: errno) }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            guard count >= 0 else { throw Unreadable(path: path, code: errno) }
            if count == 0 { return content }
            content += chunk[..<count]
        }
    }

    /// Every Swift file below `folder`, split into code and comments.
    func swiftSources(below folder: String) throws(Unreadable) -> [SwiftSource] {
        var sources: [SwiftSource] = []
        for path in try files(below: folder, suffix: ".swift") {
            sources.append(SwiftSource(path: path, bytes: try bytes(of: path)))
        }
        return sources
    }
}
