internal import NIOPosix
internal import Pipeline
internal import Synchronization

/// Checks passwords off the event loops, each only once: what was found out is remembered, by digests, for the
/// credentials used last; and requests with the same credentials wait for one check. Thread-safe.
final class PasswordChecks: Sendable {
    /// Gets whether the password is right; nil when nobody looked.
    typealias Completion = @Sendable (_ isRight: Bool?) -> Void

    private struct State {
        var users: Htpasswd
        /// Counts changes of `users`: what was found out about earlier ones does not hold.
        var generation = 0
        var right: Set<SecretDigest> = []
        var wrong: Set<SecretDigest> = []
        var waiting: [SecretDigest: [Completion]] = [:]
    }

    /// Most credentials that are remembered, of right ones and of wrong ones.
    private static let remembered = 1024
    /// Most different credentials that wait for their check.
    private static let mostWaiting = 64
    /// Most requests that wait for one check.
    private static let mostWaitingForOne = 256

    private let state: Mutex<State>
    private let threads: NIOThreadPool

    init(_ users: Htpasswd) {
        state = Mutex(State(users: users))
        threads = NIOThreadPool(numberOfThreads: 1)
    }

    func start() { if state.withLock({ $0.users.hasHashes }) { threads.start() } }

    /// Requests that still wait are refused.
    func stop() async {
        try? await threads.shutdownGracefully()
    }

    func replace(_ users: Htpasswd) {
        threads.start()
        state.withLock { state in
            state.users = users
            state.generation += 1
            state.right = []
            state.wrong = []
        }
    }

    /// What is known without work: nil when the password has to be checked with `check`.
    func known(_ user: String, _ password: [UInt8], _ digest: SecretDigest) -> Bool? {
        let users: Htpasswd? = state.withLock { state in
            state.right.contains(digest) || state.wrong.contains(digest) ? nil : state.users
        }
        guard let users else { return state.withLock { $0.right.contains(digest) } }
        return users.isSlow(user) ? nil : users.verify(user, password)
    }

    /// Checks on a thread of its own; the completion runs there.
    func check(_ user: String, _ password: [UInt8], _ digest: SecretDigest, _ completion: @escaping Completion) {
        enum Step {
            case run(Htpasswd, Int)
            case wait, refuse
        }
        let step: Step = state.withLock { state in
            if let others = state.waiting[digest] {
                guard others.count < Self.mostWaitingForOne else { return .refuse }
                state.waiting[digest]?.append(completion)
                return .wait
            }
            guard state.waiting.count < Self.mostWaiting else { return .refuse }
            state.waiting[digest] = [completion]
            return .run(state.users, state.generation)
        }
        switch step {
        case .wait: break
        case .refuse: completion(nil)
        case .run(let users, let generation):
            threads.submit { [self] work in
                let isRight = work == .active ? users.verify(user, password) : nil
                finish(digest, isRight, generation)
            }
        }
    }

    private func finish(_ digest: SecretDigest, _ isRight: Bool?, _ generation: Int) {
        let completions = state.withLock { state in
            if state.generation == generation, let isRight {
                if isRight {
                    Self.remember(digest, in: &state.right)
                } else {
                    Self.remember(digest, in: &state.wrong)
                }
            }
            return state.waiting.removeValue(forKey: digest) ?? []
        }
        for completion in completions { completion(isRight) }
    }

    private static func remember(_ digest: SecretDigest, in set: inout Set<SecretDigest>) {
        if set.count >= remembered, let some = set.first { set.remove(some) }
        set.insert(digest)
    }
}
