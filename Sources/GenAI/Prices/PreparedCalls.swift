internal import Glibc

/// Prepared calls by the names that a call gives: a table of sets of two, the older of which gives way. One owner.
///
/// 160 KB, whatever names come. Names longer than `maximumKey` bytes together are prepared every time.
struct PreparedCalls: ~Copyable {
    /// What identifies a prepared call. Slices are read during calls only.
    struct Key {
        var provider: UnsafeRawBufferPointer
        var response: UnsafeRawBufferPointer
        var request: UnsafeRawBufferPointer
        var tier: UnsafeRawBufferPointer
        var kind: CallKind

        var count: Int { provider.count &+ response.count &+ request.count &+ tier.count }

        /// Lengths of a key that fits, and the kind, in one word that is never 0.
        var shape: UInt64 {
            UInt64(provider.count) | UInt64(response.count) << 12 | UInt64(request.count) << 24
                | UInt64(tier.count) << 36 | (UInt64(kind.rawValue) + 1) << 48
        }
    }

    private struct Slot {
        var hash: UInt64
        var shape: UInt64
        var isOlder: Bool
        var call: PreparedCall
    }

    private static let count = 512
    static let maximumKey = 160

    private let slots: UnsafeMutablePointer<Slot>
    private let keys: UnsafeMutableRawPointer
    /// For keys that do not fit.
    private let spare: UnsafeMutablePointer<PreparedCall>

    init() {
        slots = .allocate(capacity: Self.count)
        slots.initialize(
            repeating: Slot(hash: 0, shape: 0, isOlder: true, call: PreparedCall(model: 0)), count: Self.count)
        // Pages of it that are never written cost no memory.
        keys = .allocate(byteCount: Self.count * Self.maximumKey, alignment: 8)
        spare = .allocate(capacity: 1)
        spare.initialize(to: PreparedCall(model: 0))
    }

    deinit {
        slots.deallocate()
        keys.deallocate()
        spare.deallocate()
    }

    func removeAll() {
        for index in 0..<Self.count { slots[index].shape = 0 }
    }

    /// The entry of a key, and whether it is there already. A new one is to be set up by the caller. Valid until the
    /// next call.
    @inline(__always)
    func entry(_ key: Key) -> (call: UnsafeMutablePointer<PreparedCall>, isKnown: Bool) {
        guard key.count <= Self.maximumKey else { return (spare, false) }
        let shape = key.shape
        var hash = NameHash.of(key.response, key.request, seed: shape)
        if key.tier.count > 0 { hash = NameHash.of(key.tier, .nothing, seed: hash) }
        if key.provider.count > 0 { hash = NameHash.of(key.provider, .nothing, seed: hash) }
        let first = Int(truncatingIfNeeded: hash) & (Self.count &- 2)
        for index in first...(first &+ 1)
        where slots[index].hash == hash && slots[index].shape == shape && isKey(key, at: index) {
            return (call(at: index), true)
        }
        let index = slots[first].isOlder ? first : first &+ 1
        slots[index].hash = hash
        slots[index].shape = shape
        slots[index].isOlder = false
        slots[index ^ 1].isOlder = true
        keep(key, at: index)
        return (call(at: index), false)
    }

    @inline(__always)
    private func call(at index: Int) -> UnsafeMutablePointer<PreparedCall> {
        // A stored property of a struct always has an offset.
        let offset = MemoryLayout<Slot>.offset(of: \.call) ?? 0
        return (UnsafeMutableRawPointer(slots + index) + offset).assumingMemoryBound(to: PreparedCall.self)
    }

    @inline(__always)
    private func isKey(_ key: Key, at index: Int) -> Bool {
        var at = UnsafeRawPointer(keys + index &* Self.maximumKey)
        return Self.match(key.response, &at) && Self.match(key.request, &at) && Self.match(key.provider, &at)
            && Self.match(key.tier, &at)
    }

    @inline(__always)
    private static func match(_ text: UnsafeRawBufferPointer, _ at: inout UnsafeRawPointer) -> Bool {
        guard text.count > 0, let base = text.baseAddress else { return true }
        defer { at += text.count }
        return memcmp(base, at, text.count) == 0
    }

    private func keep(_ key: Key, at index: Int) {
        var at = keys + index * Self.maximumKey
        for text in [key.response, key.request, key.provider, key.tier] {
            guard let base = text.baseAddress else { continue }
            memcpy(at, base, text.count)
            at += text.count
        }
    }
}

extension PriceReader {
    /// What calls like this one cost. `nil` texts are empty. Valid until the reader is used again.
    ///
    /// The price is that of the model that answered, else of the one that was asked, as of the call's start.
    @inline(__always)
    package func prepared(_ call: UnsafePointer<ModelCall>) -> UnsafeMutablePointer<PreparedCall> {
        if isOutdated { refresh() }
        let none = UnsafeRawBufferPointer.nothing
        let key = PreparedCalls.Key(
            provider: call.pointee.text(.provider) ?? none, response: call.pointee.text(.responseModel) ?? none,
            request: call.pointee.text(.requestModel) ?? none, tier: call.pointee.text(.tier) ?? none,
            kind: call.pointee.kind)
        let (entry, isKnown) = prepared.entry(key)
        if !isKnown { prepare(entry, key, at: call.pointee.startTime) }
        return entry
    }

    @inline(never)
    private func prepare(_ entry: UnsafeMutablePointer<PreparedCall>, _ key: PreparedCalls.Key, at time: UInt64) {
        let model = key.response.isEmpty ? key.request : key.response
        entry.pointee = PreparedCall(model: CallRecord.modelHash(model))
        guard !model.isEmpty else { return }
        var found = find(key.provider, model)
        if found.isEmpty, !key.response.isEmpty, !key.request.isEmpty { found = find(key.provider, key.request) }
        guard !found.isEmpty else {
            entry.pointee.isUnknownModel = true
            return
        }
        let tier = key.tier.isEmpty ? .standard : ServiceTier(key.tier)
        if time == 0 { return }
        entry.pointee.take(found, tier, key.kind.mode, day: PriceDay.of(time))
    }

    /// What a call saved by caches, given what it cost: the difference to the same call without them. Nil without one.
    package func cacheSavings(of call: UnsafePointer<ModelCall>, cost: Money) -> Money? {
        var usage = call.pointee.usage
        usage.cacheRead = nil
        usage.cacheWrite5m = nil
        usage.cacheWrite1h = nil
        usage.cachedAudioInput = nil
        return self.cost(of: usage, as: call).cost.map { $0 - cost }
    }

    /// What a call cost, whatever it used: of the model that answered, else of the one that was asked.
    package func cost(of call: UnsafePointer<ModelCall>) -> CostResult { cost(of: call.pointee.usage, as: call) }

    private func cost(of usage: TokenUsage, as call: UnsafePointer<ModelCall>) -> CostResult {
        let none = UnsafeRawBufferPointer.nothing
        let provider = call.pointee.text(.provider) ?? none
        let tier = call.pointee.text(.tier).map { ServiceTier($0) } ?? .standard
        let mode = call.pointee.kind.mode
        let time = call.pointee.startTime
        let requested = call.pointee.text(.requestModel)
        let answered = call.pointee.text(.responseModel)
        let result = cost(
            of: usage, provider: provider, model: answered ?? requested ?? none, serviceTier: tier, operation: mode,
            at: time)
        guard result.status == .unknownModel, let requested, answered != nil else { return result }
        return cost(
            of: usage, provider: provider, model: requested, serviceTier: tier, operation: mode, at: time)
    }
}

extension CallKind {
    /// What prices it is billed by, as far as the kind says.
    package var mode: CallMode {
        switch self {
        case .embeddings: .embedding
        case .rerank: .rerank
        case .image: .image
        default: .unknown
        }
    }
}
