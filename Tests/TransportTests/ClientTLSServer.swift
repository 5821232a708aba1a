import Glibc

/// `openssl s_server` on loopback, with certificates made for it.
final class ClientTLSServer: Sendable {
    let port: UInt16
    private let process: pid_t

    var url: String { "https://127.0.0.1:\(port)/" }

    /// Nil when the openssl command does not start or does not say its port.
    init?(_ files: TLSFixture, _ extra: [String] = []) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let arguments =
            ["s_server", "-accept", "127.0.0.1:0", "-cert", files.path("server.crt"), "-key", files.path("server.key")]
            + ["-www", "-naccept", "100"] + extra
        guard let process = spawn(["openssl"] + arguments, output: ends[1]) else { return nil }
        close(ends[1])
        defer { close(ends[0]) }
        var line: [UInt8] = []
        var byte: UInt8 = 0
        // ACCEPT 127.0.0.1:41234
        while line.last != 0x0A || !line.starts(with: Array("ACCEPT".utf8)) {
            if line.last == 0x0A { line.removeAll() }
            guard read(ends[0], &byte, 1) == 1 else {
                kill(process, SIGKILL)
                waitpid(process, nil, 0)
                return nil
            }
            line.append(byte)
        }
        let text = String(decoding: line.dropLast(), as: UTF8.self)
        port = text.split(separator: ":").last.flatMap { UInt16($0) } ?? 0
        self.process = process
    }

    func stop() {
        kill(process, SIGKILL)
        waitpid(process, nil, 0)
    }
}

/// A folder with a CA, a server certificate for `collector.test` and 127.0.0.1, and a client certificate.
final class TLSFixture: Sendable {
    private let directory: String

    init?() {
        var template = Array("/tmp/martlet-tls-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { return nil }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        let commands = [
            ["req", "-x509", "-subj", "/CN=test-ca", "-keyout", path("ca.key"), "-out", path("ca.crt")] + key,
            [
                "req", "-x509", "-subj", "/CN=collector.test", "-addext",
                "subjectAltName=DNS:collector.test,IP:127.0.0.1",
            ]
                + ["-addext", "basicConstraints=critical,CA:FALSE"]
                + ["-CA", path("ca.crt"), "-CAkey", path("ca.key")]
                + ["-keyout", path("server.key"), "-out", path("server.crt")] + key,
            ["req", "-x509", "-subj", "/CN=client", "-CA", path("ca.crt"), "-CAkey", path("ca.key")]
                + ["-keyout", path("client.key"), "-out", path("client.crt")] + key,
        ]
        for command in commands {
            guard let process = spawn(["openssl"] + command, output: nil) else { return nil }
            var status: Int32 = 0
            waitpid(process, &status, 0)
            guard status == 0 else { return nil }
        }
    }

    deinit {
        for name in ["ca", "server", "client"] {
            unlink(path(name + ".key"))
            unlink(path(name + ".crt"))
        }
        rmdir(directory)
    }

    func path(_ name: String) -> String { directory + "/" + name }

    func text(_ name: String) -> String {
        guard let file = fopen(path(name), "r") else { return "" }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}

/// Starts a command without input, its output to `output` or nowhere. Nil when it cannot be started.
private func spawn(_ command: [String], output: Int32?) -> pid_t? {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    if let output {
        posix_spawn_file_actions_adddup2(&actions, output, 1)
    } else {
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    }
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var process: pid_t = 0
    guard posix_spawnp(&process, command[0], &actions, nil, &arguments, environ) == 0 else { return nil }
    return process
}
