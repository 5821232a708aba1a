extension GenAIMapping {
    /// What went wrong with a call: by `error.type` (or the number in it) and the text of the error, then by what an
    /// exception says, then by the status of the HTTP answer. `none` when none of them says.
    ///
    /// - Parameters:
    ///   - type: `error.type`; may be empty.
    ///   - message: what the span's status says; may be empty. Its first 4 KiB are looked at.
    ///   - exception: of an event of the span.
    package func errorCategory(
        type: UnsafeRawBufferPointer, message: UnsafeRawBufferPointer, status: Int64?, exception: ExceptionEvent? = nil
    ) -> ErrorCategory {
        var found = category(type, message)
        if let exception {
            let further = category(exception.type, exception.message)
            if further != .none, found == .none || further.isFiner(than: found) { found = further }
        }
        guard found == .none, let status, status >= 400 else { return found }
        return ErrorCategory(status: status)
    }

    private func category(_ type: UnsafeRawBufferPointer, _ message: UnsafeRawBufferPointer) -> ErrorCategory {
        let ofType = type.count > 0 ? category(ofType: type) : nil
        let ofMessage = message.count > 0 ? category(ofMessage: message) : nil
        if let ofType {
            guard let ofMessage, ofMessage.isFiner(than: ofType) else { return ofType }
            return ofMessage
        }
        if let ofMessage { return ofMessage }
        guard type.count > 0, let status = AttributeValue(text: type).count, status >= 400 else { return .none }
        return ErrorCategory(status: status)
    }

    private func category(ofType type: UnsafeRawBufferPointer) -> ErrorCategory? {
        if let category = lookUp(type) { return category }
        // Class names come with their module: `openai.RateLimitError`.
        guard type.count <= 256, let dot = type.lastIndex(of: UInt8(ascii: ".")) else { return nil }
        return lookUp(UnsafeRawBufferPointer(rebasing: type[(dot + 1)...]))
    }

    private func lookUp(_ type: UnsafeRawBufferPointer) -> ErrorCategory? {
        let index = errors.findFolded(type)
        if index >= 0 { return ErrorCategory(rawValue: UInt8(index)) }
        return errorPrefixes.first { $0.prefix.matches(type) }?.category
    }

    private func category(ofMessage message: UnsafeRawBufferPointer) -> ErrorCategory? {
        errorTexts.category(of: UnsafeRawBufferPointer(rebasing: message.prefix(4096)))
    }

    /// The kind of span that an operation's name stands for, in any case; nil for a name that is not known.
    package func kind(ofOperation name: UnsafeRawBufferPointer) -> CallKind? {
        let index = operations.findFolded(name)
        if index >= 0 { return operationEntries[index].kind }
        return operationPrefixes.first { $0.prefix.matches(name) }.map { operationEntries[$0.entry].kind }
    }
}

extension ErrorCategory {
    /// Whether two spans that say this and `other` may tell of the same failure.
    func mayBe(_ other: ErrorCategory) -> Bool { self == other || self == .other || other == .other }

    /// Whether this, from the text of an error, says more than `other`, from its type. Providers put different things
    /// under one type: what is wrong with a request, why they cannot serve it, and that a budget is spent.
    fileprivate func isFiner(than other: ErrorCategory) -> Bool {
        switch other {
        case .invalidRequest, .server, .other: true
        case .rateLimit, .authentication: self == .quota
        default: false
        }
    }
}
