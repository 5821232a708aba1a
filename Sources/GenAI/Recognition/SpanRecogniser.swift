/// Reads spans and says which are AI spans, and what they say, by the rules of a mapping.
///
/// One span at a time, without allocation. One owner, one thread at a time; each thread has its own. Nothing of a span
/// is kept after the call.
package struct SpanRecogniser: ~Copyable {
    /// Attributes, and events, of one span that are looked at; the rest is passed over (`ModelCall.Marks.truncated`).
    package static let maximumAttributes = 4_096
    package static let maximumEvents = 256
    /// Bytes of structured text (JSON in attributes) that are read on one span.
    package static let maximumStructuredBytes = 256 << 10
    /// Longest structured text that is read whole for little: see `short` in the mapping's format.
    package static let maximumShortText = 512

    package let mapping: GenAIMapping
    private let scan: SpanScan
    /// Of the last spans, the newest lowest: 1 for an AI span. After four in a row the next one is read at once.
    private var history: UInt8 = 0
    private let idle: UnsafeMutablePointer<ModelCall>
    private var scopes = ScopeMemo()

    package init(mapping: GenAIMapping) {
        self.mapping = mapping
        idle = .allocate(capacity: 1)
        idle.initialize(to: ModelCall())
        scan = SpanScan(mapping, idle: idle)
    }

    deinit { idle.deallocate() }

    /// As `SpanScope(scopeSpans:mapping:)` of this mapping, faster for a scope that comes again.
    package mutating func scope(of scopeSpans: UnsafeRawBufferPointer) -> SpanScope {
        scopes.scope(of: scopeSpans, mapping)
    }

    /// Recognises one span.
    ///
    /// - Parameters:
    ///   - payload: the encoded Span message, or its first part.
    ///   - tail: fields that were appended to it; by protobuf concatenation they are part of the message. Of an
    ///     attribute that is there twice the last value counts.
    ///   - scope: of this mapping, and of the span's scope.
    ///   - call: filled in when the answer is true; unspecified otherwise.
    /// - Returns: false for a span that is no AI span.
    package mutating func recognise(
        _ payload: UnsafeRawBufferPointer, tail: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        scope: SpanScope, into call: inout ModelCall
    ) -> Bool {
        withUnsafeMutablePointer(to: &call) { recognise(payload, tail, scope, $0) }
    }

    /// The same for a call at an address.
    package mutating func recognise(
        _ payload: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer, _ scope: SpanScope,
        _ call: UnsafeMutablePointer<ModelCall>
    ) -> Bool {
        history = history &<< 1
        guard
            history & 0x1E == 0x1E || scope.hasNamedSpans || scan.mayBeAI(payload)
                || tail.count > 0 && scan.mayBeAI(tail)
        else {
            return false
        }
        scan.begin(call, scopeSource: scope.source)
        call.pointee.scope = scope.hash
        let found = scan.finish(
            WireCursor(from: scan.read(payload), to: payload),
            tail.count > 0 ? WireCursor(from: scan.read(tail: tail), to: tail) : nil, scope)
        scan.call = idle
        if found {
            history |= 1
            if scan.plans.hasNotes { scan.plans.useNotes() }
        }
        return found
    }
}

/// The walk over one span's fields. Holds pointers of the mapping beside each other, and what the span has shown so far.
/// An object, one for a recogniser: the compiler copies a struct of this size at every call.
final class SpanScan {
    typealias Address = UnsafePointer<UInt8>

    // The recogniser that owns this value keeps the mapping alive.
    unowned(unsafe) let mapping: GenAIMapping
    let providers: Unmanaged<ProviderTables>
    var providerMemo: ProviderMemo
    let keys: NameTable
    let filter: UnsafeMutablePointer<UInt8>
    let entries: UnsafeMutablePointer<KeyEntry>
    let actions: UnsafeMutablePointer<FieldAction>

    /// The caller's, while a span is read; a spare one of the recogniser's in between.
    var call: UnsafeMutablePointer<ModelCall>
    /// Slots of `call`, addressed directly: going through the call's arrays copies them whole.
    var texts: UnsafeMutablePointer<UnsafeRawBufferPointer>
    var numbers: UnsafeMutablePointer<UInt64>
    var ranks: UnsafeMutablePointer<UInt8>
    /// By the position of a known key, counted from 1: the known key that came after it last, as a guess for the next
    /// span. Spans of one emitter have the same keys in the same order, and a guess is checked faster than a hash.
    private let successors: UnsafeMutablePointer<UInt16>
    private var lastKey = 0
    /// Position of the last event's name; -1 at the start.
    var lastEvent = -1
    let offsets: (texts: Int, numbers: Int, ranks: Int, ranksInPlan: Int)
    let plans: SpanPlans
    let memos: UnsafeMutablePointer<OperationMemo>
    var eventMemo: EventMemo
    var scopeSource: UInt8?
    var statusMessage = UnsafeRawBufferPointer.nothing

    /// Best rule so far, counted from 1; `noRule` without one.
    var rule = SpanScan.noRule
    var tentativeRule = SpanScan.noRule
    var hasEvidence = false
    var isAggregated = false
    var mark: UInt8 = 0
    var attributeCount = 0
    /// Flags of the lines that gave input and output.
    var inputFlags: FieldAction.Flags = []
    var outputFlags: FieldAction.Flags = []
    var hasZeroCost = false
    /// Fields for which something was given that is no count.
    var invalidCounts = CallFields()
    var structuredBytesLeft = SpanRecogniser.maximumStructuredBytes
    /// Values that wait for the kind or the start, and texts that wait for the rest.
    static let maximumWaiting = 8
    var waiting = InlineArray<8, (action: UInt16, addedRank: UInt8, value: AttributeValue)>(
        repeating: (0, 0, AttributeValue()))
    var waitingCount = 0
    var blobs = InlineArray<8, (root: UInt16, value: AttributeValue)>(repeating: (0, AttributeValue()))
    var blobCount = 0
    var operationKind = CallKind.other

    static let noRule = UInt8.max

    init(_ mapping: GenAIMapping, idle: UnsafeMutablePointer<ModelCall>) {
        self.mapping = mapping
        providers = Unmanaged.passUnretained(mapping.providers)
        keys = mapping.keys
        filter = mapping.filter
        entries = mapping.entries
        actions = mapping.actions
        call = idle
        successors = .allocate(capacity: mapping.keys.count + 1)
        successors.initialize(repeating: 0, count: mapping.keys.count + 1)
        providerMemo = ProviderMemo()
        // Stored properties of a struct always have an offset.
        offsets = (
            MemoryLayout<ModelCall>.offset(of: \.texts) ?? 0, MemoryLayout<ModelCall>.offset(of: \.numbers) ?? 0,
            MemoryLayout<ModelCall>.offset(of: \.ranks) ?? 0, MemoryLayout<SpanPlan>.offset(of: \.ranks) ?? 0
        )
        plans = SpanPlans(mapping)
        memos = .allocate(capacity: Self.operationMemos)
        memos.initialize(repeating: OperationMemo(), count: Self.operationMemos)
        eventMemo = EventMemo()
        let base = UnsafeMutableRawPointer(idle)
        texts = (base + offsets.texts).assumingMemoryBound(to: UnsafeRawBufferPointer.self)
        numbers = (base + offsets.numbers).assumingMemoryBound(to: UInt64.self)
        ranks = (base + offsets.ranks).assumingMemoryBound(to: UInt8.self)
    }

    deinit {
        successors.deallocate()
        memos.deallocate()
    }

    func begin(_ call: UnsafeMutablePointer<ModelCall>, scopeSource: UInt8?) {
        self.call = call
        let base = UnsafeMutableRawPointer(call)
        texts = (base + offsets.texts).assumingMemoryBound(to: UnsafeRawBufferPointer.self)
        numbers = (base + offsets.numbers).assumingMemoryBound(to: UInt64.self)
        ranks = (base + offsets.ranks).assumingMemoryBound(to: UInt8.self)
        call.pointee.reset()
        ranks.update(repeating: ModelCall.unranked, count: CallField.allCount)
        self.scopeSource = scopeSource
        statusMessage = .nothing
        lastKey = 0
        plans.dropNotes()
        resetFindings()
    }

    /// Forgets what attributes have shown.
    @inline(__always)
    func resetFindings() {
        rule = Self.noRule
        tentativeRule = Self.noRule
        hasEvidence = false
        isAggregated = false
        mark = 0
        attributeCount = 0
        inputFlags = []
        outputFlags = []
        hasZeroCost = false
        invalidCounts = []
        structuredBytesLeft = SpanRecogniser.maximumStructuredBytes
        waitingCount = 0
        blobCount = 0
        operationKind = .other
    }

    // MARK: The quick test

    /// Whether some attribute of the span may make it an AI span. Mostly decided by the first four bytes of each key.
    @inline(__always)
    func mayBeAI(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard var cursor = WireCursor(bytes) else { return false }
        while cursor.at < cursor.end {
            let tag = cursor.at.pointee
            if tag == 0x4A {
                cursor.at += 1
                guard let message = cursor.payload() else { return false }
                // A key of 4 to 127 bytes; a longer one is no trigger, a field in another order is looked at closely.
                guard message.end - message.at >= 6 else { continue }
                if message.at[0] == 0x0A {
                    guard message.at[1] >= 4 else { continue }
                    let bits = filter[KeyFilter.slot(message.at + 2)]
                    if bits & (KeyFilter.trigger | KeyFilter.conditional) == 0 { continue }
                    // A key that begins like an unconditional trigger is hardly ever another one: the walk will tell.
                    if bits & KeyFilter.trigger != 0 || isTrigger(message) { return true }
                } else if isTrigger(message) {
                    return true
                }
            } else if tag & 0x87 == 2 {
                // A length-delimited field with a one-byte key: ids, name, events, links, status.
                cursor.at += 1
                guard cursor.payload() != nil else { return false }
            } else if tag & 0x87 == 1 {
                guard cursor.end - cursor.at >= 9 else { return false }
                cursor.at += 9
            } else {
                guard let key = cursor.varint() else { return false }
                cursor.skipField(key)
            }
        }
        return false
    }

    @inline(never)
    private func isTrigger(_ message: WireCursor) -> Bool {
        guard let attribute = WireAttribute(message), attribute.keyCount >= 4 else { return false }
        let index = entryIndex(attribute.key, attribute.keyCount)
        guard index >= 0, entries[index].rule != 0 else { return false }
        return holds(entries[index].rule, attribute.value)
    }

    /// The entry of a key of four bytes or more; -1 without one.
    @inline(__always)
    func entryIndex(_ key: Address, _ count: Int) -> Int {
        let bits = filter[KeyFilter.slot(key)]
        guard bits & KeyFilter.known != 0 else { return -1 }
        let index = keys.find(UnsafeRawPointer(key), count)
        if index >= 0 || bits & KeyFilter.pattern == 0 { return index }
        return patternIndex(key, count)
    }

    @inline(never)
    private func patternIndex(_ key: Address, _ count: Int) -> Int {
        for index in 0..<mapping.patternCount where mapping.patterns[index].matches(key, count) {
            return Int(mapping.patterns[index].entry)
        }
        return -1
    }

    /// Whether the condition of a rule holds for a value.
    @inline(__always)
    func holds(_ number: UInt8, _ value: WireCursor) -> Bool {
        let rule = mapping.rules[Int(number) &- 1]
        if rule.condition == .none { return true }
        let value = AttributeValue(value)
        guard value.form == .text else { return false }
        if rule.condition == .isVectorSystem { return mapping.vectors.findFolded(value.content) >= 0 }
        return value.content.count >= rule.start.count
            && sameBytes(UnsafeRawBufferPointer(rebasing: value.content[..<rule.start.count]), rule.start)
    }

    // MARK: The walk

    /// Reads every field of a span but for events: the answer is where the first of them begins.
    func read(_ bytes: UnsafeRawBufferPointer) -> Address? {
        guard var cursor = WireCursor(bytes) else { return nil }
        cursor.at = readHead(cursor)
        if cursor.at < cursor.end, cursor.at.pointee == 0x4A { cursor.at = readByPlan(cursor.at, cursor.end) }
        return readFields(cursor)
    }

    /// The same for what was appended to a span.
    func read(tail bytes: UnsafeRawBufferPointer) -> Address? { WireCursor(bytes).flatMap { readFields($0) } }

    /// The same from some field on.
    @inline(__always)
    private func readFields(_ fields: WireCursor) -> Address? {
        var cursor = fields
        var firstEvent: Address?
        while cursor.at < cursor.end {
            // In runs, as they are written.
            while cursor.at < cursor.end, cursor.at.pointee == 0x4A {
                cursor.at += 1
                guard let payload = cursor.payload() else { return firstEvent }
                read(attribute: payload)
            }
            if plans.isNoting { plans.stopNoting(cut: false) }
            let start = cursor.at
            guard let tag = cursor.varint() else { return firstEvent }
            if tag & 7 == 2 {
                guard let payload = cursor.payload() else { return firstEvent }
                if tag == 0x4A {
                    read(attribute: payload)
                } else if tag == 0x5A {
                    if firstEvent == nil { firstEvent = start }
                } else {
                    read(tag, payload)
                }
            } else if tag == 0x39 || tag == 0x41 {
                guard let time = cursor.fixed64() else { return firstEvent }
                if tag == 0x39 { call.pointee.startTime = time } else { call.pointee.endTime = time }
            } else {
                cursor.skipField(tag)
            }
        }
        return firstEvent
    }

    /// Reads what stands before the attributes, as far as it stands there in the order of the fields' numbers, which is
    /// how everybody writes it: a walk without surprises. The answer is where the general walk goes on.
    @inline(__always)
    private func readHead(_ cursor: WireCursor) -> Address {
        var at = cursor.at
        let end = cursor.end
        guard end - at >= 28, at[0] == 0x0A, at[1] == 16, at[18] == 0x12, at[19] == 8 else { return at }
        call.pointee.traceID = (Self.word(at + 2), Self.word(at + 10))
        call.pointee.spanID = Self.word(at + 20)
        at += 28
        if end - at >= 10, at[0] == 0x22, at[1] == 8 {
            call.pointee.parentSpanID = Self.word(at + 2)
            at += 10
        }
        if end - at >= 2, at[0] == 0x2A, at[1] < 0x80, end - at >= 2 &+ Int(at[1]) {
            let size = Int(at[1])
            call.pointee.name = UnsafeRawBufferPointer(start: at + 2, count: size)
            at += 2 &+ size
        }
        if end - at >= 2, at[0] == 0x30, at[1] < 0x80 { at += 2 }
        if end - at >= 18, at[0] == 0x39, at[9] == 0x41 {
            call.pointee.startTime = UInt64(littleEndian: UnsafeRawPointer(at + 1).loadUnaligned(as: UInt64.self))
            call.pointee.endTime = UInt64(littleEndian: UnsafeRawPointer(at + 10).loadUnaligned(as: UInt64.self))
            at += 18
        }
        return at
    }

    /// The other length-delimited fields.
    @inline(__always)
    private func read(_ tag: UInt64, _ payload: WireCursor) {
        let size = payload.end - payload.at
        if tag == 0x0A {
            if size == 16 { call.pointee.traceID = (Self.word(payload.at), Self.word(payload.at + 8)) }
        } else if tag == 0x12 {
            if size == 8 { call.pointee.spanID = Self.word(payload.at) }
        } else if tag == 0x22 {
            if size == 8 { call.pointee.parentSpanID = Self.word(payload.at) }
        } else if tag == 0x2A {
            call.pointee.name = payload.rest
        } else if tag == 0x7A {
            readStatus(payload)
        }
    }

    /// An id's bytes as a number, in the order they are written.
    @inline(__always)
    static func word(_ bytes: Address) -> UInt64 {
        UInt64(bigEndian: UnsafeRawPointer(bytes).loadUnaligned(as: UInt64.self))
    }

    private func readStatus(_ message: WireCursor) {
        var cursor = message
        while let tag = cursor.varint() {
            if tag == 0x18, let code = cursor.varint() {
                call.pointee.isError = code == 2
            } else if tag == 0x12, let text = cursor.payload() {
                statusMessage = text.rest
            } else {
                cursor.skipField(tag)
            }
        }
    }

    @inline(__always)
    private func read(attribute message: WireCursor) {
        attributeCount &+= 1
        guard attributeCount <= SpanRecogniser.maximumAttributes else {
            call.pointee.marks.insert(.truncated)
            return
        }
        guard let attribute = WireAttribute(message) else {
            if plans.isNoting { plans.stopNoting(cut: true) }
            return
        }
        let index = attribute.keyCount >= 4 ? guessedEntryIndex(attribute.key, attribute.keyCount) : -1
        if plans.isNoting { plans.note(attribute.key, attribute.keyCount, entry: index) }
        if index >= 0 { apply(entries[index], attribute.value, addedRank: 0) }
    }

    /// As `entryIndex`, in the walk over a span.
    @inline(__always)
    private func guessedEntryIndex(_ key: Address, _ count: Int) -> Int {
        let guess = Int(successors[lastKey])
        if guess != 0, keys.isName(UnsafeRawPointer(key), count, at: guess &- 1) {
            lastKey = guess
            return keys.value(at: guess &- 1)
        }
        let bits = filter[KeyFilter.slot(key)]
        guard bits & KeyFilter.known != 0 else { return -1 }
        let position = keys.position(of: UnsafeRawPointer(key), count)
        if position >= 0 {
            successors[lastKey] = UInt16(truncatingIfNeeded: position &+ 1)
            lastKey = position &+ 1
            return keys.value(at: position)
        }
        return bits & KeyFilter.pattern == 0 ? -1 : patternIndex(key, count)
    }

    /// Does what a key stands for. `addedRank` puts values of events behind those of the span.
    func apply(_ entry: KeyEntry, _ value: WireCursor, addedRank: UInt8) {
        if entry.rule != 0, addedRank == 0 { note(rule: entry.rule, value) }
        if entry.mark > mark { mark = entry.mark }
        if entry.isEvidence { hasEvidence = true }
        if entry.isAggregated { isAggregated = true }
        if entry.added != 0, addedRank == 0 { note(added: entry.added, value) }
        guard entry.actionCount > 0 || entry.root != 0 else { return }
        if entry.actionCount == 1, entry.root == 0, addedRank == 0,
            takePlainly(value, actions[Int(entry.firstAction)])
        {
            return
        }
        let value = AttributeValue(value)
        for index in Int(entry.firstAction)..<Int(entry.firstAction) &+ Int(entry.actionCount) {
            take(value, index, addedRank: addedRank)
        }
        if entry.root != 0, blobCount < 8 {
            blobs[blobCount] = (entry.root, value)
            blobCount &+= 1
        }
    }

    /// An attribute that Martlet adds is there already.
    @inline(never)
    private func note(added: UInt8, _ value: WireCursor) {
        call.pointee.presentCosts.note(CostAttribute(rawValue: Int(added) &- 1), AttributeValue(value))
    }

    // MARK: Slots

    @inline(__always)
    func text(_ field: CallField) -> UnsafeRawBufferPointer? {
        call.pointee.present.contains(field) ? texts[Int(field.rawValue)] : nil
    }

    @inline(__always)
    func count(_ field: CallField) -> Int64? {
        guard call.pointee.present.contains(field) else { return nil }
        return Int64(bitPattern: numbers[Int(field.rawValue) &- CallField.textSlots])
    }

    @inline(__always)
    func set(_ field: CallField, bits: UInt64) {
        numbers[Int(field.rawValue) &- CallField.textSlots] = bits
        call.pointee.present.insert(CallFields(field))
    }

    @inline(__always)
    func set(_ field: CallField, text: UnsafeRawBufferPointer) {
        texts[Int(field.rawValue)] = text
        call.pointee.present.insert(CallFields(field))
    }

    @inline(__always)
    private func note(rule number: UInt8, _ value: WireCursor) {
        guard number < rule || mapping.rules[Int(number) &- 1].isTentative, holds(number, value) else { return }
        if mapping.rules[Int(number) &- 1].isTentative {
            tentativeRule = min(tentativeRule, number)
        } else {
            rule = number
        }
    }
}
