extension SpanScan {
    /// Decides what the span is, from what the walk has gathered. False when it is no AI span.
    ///
    /// - Parameters:
    ///   - events: from the first event of the span on.
    ///   - moreEvents: from the first event of its tail on.
    func finish(_ events: WireCursor?, _ moreEvents: WireCursor?, _ scope: SpanScope) -> Bool {
        let named = scope.hasNamedSpans ? namedSpan(scope) : nil
        guard rule != Self.noRule || tentativeRule != Self.noRule || named != nil else { return false }
        if let events { readEvents(events) }
        if let moreEvents { readEvents(moreEvents) }
        if rule == Self.noRule, tentativeRule != Self.noRule, hasEvidence { rule = tentativeRule }
        guard rule != Self.noRule || named != nil else { return false }
        call.pointee.rule = rule == Self.noRule ? 0 : rule
        call.pointee.source = source
        if blobCount > 0 { readBlobs() }
        settleKind(named)
        if waitingCount > 0 { takeWaiting() }
        settleVectorSystem()
        if ranks[Int(CallField.provider.rawValue)] == ModelCall.unranked { guessProvider() }
        settleUsage(scope)
        settleCost()
        settleAggregate(named)
        if call.pointee.isError || call.pointee.present.contains(.errorType)
            || call.pointee.present.contains(.httpStatus)
        {
            settleError(events, moreEvents)
        }
        return true
    }

    private func namedSpan(_ scope: SpanScope) -> SpanNameEntry? {
        let index = mapping.spanNames.find(call.pointee.name)
        guard index >= 0, mapping.spanNameEntries[index].source == scope.source else { return nil }
        return mapping.spanNameEntries[index]
    }

    // MARK: Kind

    private func settleKind(_ named: SpanNameEntry?) {
        if ranks[Int(CallField.operation.rawValue)] != ModelCall.unranked {
            call.pointee.kind = operationKind
            return
        }
        if let named {
            call.pointee.kind = named.operation.kind
            writeOperation(named.operation.name)
            return
        }
        call.pointee.kind = kindByFields()
        switch call.pointee.kind {
        case .model: writeOperation("chat")
        case .retrieval: writeOperation("retrieval")
        case .tool: writeOperation("execute_tool")
        case .agent: writeOperation("invoke_agent")
        case .workflow: writeOperation("invoke_workflow")
        case .evaluation: writeOperation("evaluation")
        default: call.pointee.outdated.remove(CallFields(.operation))
        }
    }

    /// What no attribute names, the fields show.
    private func kindByFields() -> CallKind {
        if rule != Self.noRule, mapping.rules[Int(rule) - 1].condition == .isVectorSystem { return .retrieval }
        let present = call.pointee.present
        let ofModels: CallFields = [
            CallFields(.requestModel), CallFields(.responseModel), CallFields(.input), CallFields(.output),
        ]
        if !present.isDisjoint(with: ofModels) { return .model }
        if present.contains(.tool) { return .tool }
        if present.contains(.agent) { return .agent }
        if present.contains(.evaluation) { return .evaluation }
        if isAggregated { return .agent }
        if present.contains(.workflow) { return .workflow }
        return .other
    }

    /// An operation that a span names in words of its own is left alone.
    private func writeOperation(_ name: StaticString) {
        writeOperation(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    }

    private func writeOperation(_ name: UnsafeRawBufferPointer) {
        if call.pointee.outdated.contains(.operation) {
            call.pointee.outdated.remove(CallFields(.operation))
        } else if name.count > 0 {
            set(.operation, text: name)
        }
    }

    /// Values that count for one kind of span only, or from the span's start on.
    private func takeWaiting() {
        for index in 0..<waitingCount {
            let action = actions[Int(waiting[index].action)]
            if action.flags.contains(.onlyKind), action.argument != call.pointee.kind.rawValue { continue }
            take(waiting[index].value, action, addedRank: waiting[index].addedRank)
        }
    }

    /// A vector database by its current name; another database says nothing here.
    private func settleVectorSystem() {
        guard let value = text(.vectorSystem) else { return }
        let field = CallFields(.vectorSystem)
        let index = mapping.vectors.findFolded(value)
        guard index >= 0 else {
            call.pointee.present.remove(field)
            call.pointee.current.remove(field)
            call.pointee.outdated.remove(field)
            return
        }
        let name = mapping.names[index]
        set(.vectorSystem, text: name)
        if call.pointee.current.contains(.vectorSystem), !sameBytes(name, value) {
            call.pointee.current.remove(field)
            call.pointee.outdated.insert(field)
        }
    }

    // MARK: Provider

    /// From the model's path, the server's name, the model's name, in this order.
    private func guessProvider() {
        let none = UnsafeRawBufferPointer.nothing
        let request = text(.requestModel)
        let response = text(.responseModel) ?? none
        let address = text(.serverAddress) ?? none
        let model = request ?? response
        if model.count == 0, address.count == 0 { return }
        if let known = providerMemo.find(model, response, address) {
            if known.name >= 0 { set(provider: known.name, known.origin) }
            return
        }
        let (name, origin) = providers._withUnsafeGuaranteedRef { tables -> (Int, ProviderOrigin) in
            if let name = tables.provider(ofModelPath: model) { return (name, .modelPrefix) }
            if let name = tables.provider(ofHost: address) { return (name, .serverAddress) }
            if let name = tables.provider(ofModel: model) ?? tables.provider(ofModel: response) {
                return (name, .modelName)
            }
            return (-1, .unknown)
        }
        providerMemo.keep(model, response, address, name, origin)
        if name >= 0 { set(provider: name, origin) }
    }

    private func set(provider name: Int, _ origin: ProviderOrigin) {
        set(.provider, text: mapping.names[name])
        call.pointee.providerOrigin = origin
    }

    // MARK: The rest

    private func settleAggregate(_ named: SpanNameEntry?) {
        let kind = call.pointee.kind
        if kind.isAggregate {
            call.pointee.aggregate = .operation
        } else if kind == .fetch {
            call.pointee.aggregate = .fetch
        } else if named?.isWrapper ?? false {
            call.pointee.aggregate = .wrapper
        } else if isAggregated, !call.pointee.present.contains(.input), !call.pointee.present.contains(.output) {
            call.pointee.aggregate = .aggregatedNames
        }
    }

    private func settleCost() {
        guard hasZeroCost, !call.pointee.present.contains(.cost) else { return }
        let tokens = (call.pointee.usage.input ?? 0) + (call.pointee.usage.output ?? 0)
        if tokens > 0 {
            call.pointee.marks.insert(.zeroCostIgnored)
        } else {
            set(.cost, bits: Double.zero.bitPattern)
        }
    }

    private func settleError(_ events: WireCursor?, _ moreEvents: WireCursor?) {
        let failed = call.pointee.isError || call.pointee.present.contains(.errorType)
        // What went wrong within a call that did not fail is no error of it.
        let exception = failed ? lastException(moreEvents) ?? lastException(events) : nil
        let category = mapping.errorCategory(
            type: text(.errorType) ?? .nothing, message: statusMessage, status: count(.httpStatus),
            exception: exception)
        if category != .none {
            call.pointee.errorCategory = category
        } else if failed {
            call.pointee.errorCategory = .other
        }
    }

    /// The last one: of several, the one that ended the call.
    private func lastException(_ fields: WireCursor?) -> ExceptionEvent? {
        guard var cursor = fields else { return nil }
        var last: ExceptionEvent?
        var count = 0
        while let tag = cursor.varint(), count < SpanRecogniser.maximumEvents {
            guard tag == 0x5A, let event = cursor.payload() else {
                cursor.skipField(tag)
                continue
            }
            count += 1
            if let exception = ExceptionEvent(event.rest) { last = exception }
        }
        return last
    }
}
