import Synchronization
import TestSupport
import Testing

@testable import Extensions

@Suite struct BasicAuthTests {
    /// SHA-512 of `builder`, with few rounds.
    private static let hash =
        "$6$rounds=1000$abcdefgh$"

    private func users(_ text: String) throws -> Htpasswd { try Htpasswd([Array(text.utf8)]) }

    @Test func plainPasswords() throws {
        let users = try users("# comment\n alice:one:two \n\nbob:three\nalice:other\n")
        #expect(!users.hasHashes && !users.isSlow("alice") && !users.isSlow("nobody"))
        #expect(users.verify("alice", Array("one:two".utf8)) && users.verify("bob", Array("three".utf8)))
        #expect(!users.verify("alice", Array("other".utf8)) && !users.verify("nobody", Array("three".utf8)))
        #expect(!users.verify("bob", Array("three\0".utf8)) && !users.verify("bob", []))
    }

    @Test(arguments: [
        "alice", ":password", "alice:", "alice:$apr1$a$b", "alice:{SHA}abc", "alice:{SSHA}abc", "alice:$9$a$b",
        "alice:$2y$31$abc", "alice:$2y$", "", "# nobody",
    ])
    func refused(_ text: String) {
        #expect(throws: WatchedFile.Unusable.self) { try users(text) }
    }

    @Test func unknownUsersTakeAsLong() throws {
        let users = try users("alice:plain\nbob:\(Self.hash)x\n")
        #expect(users.isSlow("bob") && users.isSlow("nobody") && !users.isSlow("alice"))
    }

    @Test func aCheckIsDoneOnceForManyRequests() async throws {
        let checks = PasswordChecks(try users("bob:\(Self.hash)x\n"))
        checks.start()
        let digest = SecretDigest(Array("bob:wrong".utf8))
        #expect(checks.known("bob", Array("wrong".utf8), digest) == nil)
        let answers = Mutex<[Bool?]>([])
        await withCheckedContinuation { done in
            for _ in 0..<20 {
                checks.check("bob", Array("wrong".utf8), digest) { isRight in
                    let count = answers.withLock { answers in
                        answers.append(isRight)
                        return answers.count
                    }
                    if count == 20 { done.resume() }
                }
            }
        }
        #expect(answers.withLock { $0 } == Array(repeating: false, count: 20))
        // It is remembered, until the users change.
        #expect(checks.known("bob", Array("wrong".utf8), digest) == false)
        checks.replace(try users("bob:wrong"))
        #expect(checks.known("bob", Array("wrong".utf8), digest) == true)
        await checks.stop()
        await checks.stop()
    }

    @Test func whoWaitsAtTheEndIsRefused() async throws {
        let checks = PasswordChecks(try users("bob:\(Self.hash)x\n"))
        let answers = Mutex<[Bool?]>([])
        await checks.stop()
        checks.check("bob", [1], SecretDigest([1])) { isRight in answers.withLock { $0.append(isRight) } }
        #expect(answers.withLock { $0 } == [nil])
    }
}
