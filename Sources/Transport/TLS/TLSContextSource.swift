internal import Glibc
internal import Logging
internal import NIOSSL
internal import Synchronization

/// The context that new connections of a server get. Looks at its files from time to time; connections that are open
/// keep the context that they began with. Thread-safe.
final class TLSContextSource: Sendable {
    /// What a look at the files came to.
    enum Change: Equatable {
        case none
        /// New connections get the new certificates.
        case replaced
        /// The new files cannot be used; the old context stays.
        case refused(String)
    }

    private struct State {
        var context: NIOSSLContext
        /// Of what was loaded last, or tried last.
        var fingerprint: Int
        var lastFault: String?
    }

    private let settings: TLSServerSettings
    private let protocols: [String]
    /// Kept when the file is not to be looked at again.
    private let clientCA: [UInt8]?
    private let state: Mutex<State>
    private let task = Mutex<Task<Void, Never>?>(nil)
    /// When the certificate that was loaded first ends, in seconds since 1970.
    let expiry: Int?

    /// Loads everything. Blocks on files.
    init(_ settings: TLSServerSettings, protocols: [String]) throws(TLSServerError) {
        self.settings = settings
        self.protocols = protocols
        let material = try TLSMaterial(settings)
        clientCA = settings.reloadsClientCA ? nil : material.clientCA
        expiry = material.expiry
        let context = try material.context(for: settings, protocols: protocols)
        state = Mutex(State(context: context, fingerprint: material.fingerprint))
    }

    /// For a new connection.
    var context: NIOSSLContext { state.withLock { $0.context } }

    /// Looks at the files once. Blocks on them: off the event loops only.
    func reload() -> Change {
        do throws(TLSServerError) {
            let material = try TLSMaterial(settings, clientCA: clientCA)
            let fingerprint = material.fingerprint
            guard state.withLock({ $0.fingerprint != fingerprint || $0.lastFault != nil }) else { return .none }
            let context = try material.context(for: settings, protocols: protocols)
            let isNew = state.withLock { state in
                defer {
                    state.context = context
                    state.fingerprint = fingerprint
                    state.lastFault = nil
                }
                return state.fingerprint != fingerprint
            }
            return isNew ? .replaced : .none
        } catch {
            let fault = "\(error.option) \(error.text)"
            // A fault that stays is said once.
            let isNew = state.withLock { state in
                defer { state.lastFault = fault }
                return state.lastFault != fault
            }
            return isNew ? .refused(fault) : .none
        }
    }

    /// Looks at the files every `reload_interval` from now on, until `stop`.
    func start(logger: Logger) {
        if let expiry, expiry < time(nil) {
            logger.warning("the TLS certificate has expired; clients will not trust it")
        }
        guard let interval = settings.checkInterval else { return }
        task.withLock { task in
            guard task == nil else { return }
            task = Task.detached { [weak self] in
                while !Task.isCancelled {
                    try? await Task.sleep(for: interval)
                    guard !Task.isCancelled, let self else { return }
                    switch self.reload() {
                    case .none: break
                    case .replaced: logger.info("TLS certificates were loaded again")
                    case .refused(let fault):
                        logger.error(
                            "TLS certificates have changed but cannot be used; the old ones stay",
                            metadata: ["error": "\(fault)"])
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
