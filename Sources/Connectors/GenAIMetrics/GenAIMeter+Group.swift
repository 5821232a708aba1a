internal import Aggregation
internal import GenAI
internal import OTLP

/// Most spans have nothing out of the ordinary: they are measured in groups, which wait for memory together.
extension GenAIMeter {
    /// Puts a span off that is measured in a group. False for one with something out of the ordinary.
    @inline(__always)
    func putOff(
        _ payload: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer, _ walk: inout Walk
    ) -> Bool {
        guard let resource = walk.resource, dimensions.isEmpty, settings.alias == nil,
            walk.call.slots.present & Self.rareSlots == 0, walk.call.chunks < 2, !walk.call.isError
        else { return false }
        let isCounted = walk.call.mark == .counted
        if !isCounted, !isOperation(&walk) { return true }
        guard writeKey(walk, to: walk.group.nextKey) else { return false }
        let call = walk.group.next
        call.pointee.duration = walk.call.duration
        call.pointee.isCounted = isCounted
        if isCounted {
            let cost = walk.call.slots.double(CallSlot.cost).flatMap { Money(reported: $0) }
            call.pointee.cost = cost?.zeptodollars ?? -1
            call.pointee.input = walk.call.slots.count(CallSlot.input)
            call.pointee.output = walk.call.slots.count(CallSlot.output)
        }
        call.pointee.payload = payload
        call.pointee.tail = tail
        walk.group.add(resource, tag: 0, keyCount: Self.usualKey)
        return true
    }

    /// Writes the key that `makeKey` makes of values of the usual sizes, to where there is room for `CallGroup.keyRoom`
    /// bytes. What it does depends on no length: branches that do go wrong for one span after the other. False, and
    /// something is written, when the sizes are not usual.
    @inline(__always)
    private func writeKey(_ walk: borrowing Walk, to start: UnsafeMutableRawPointer) -> Bool {
        let present = ownSlots & walk.call.slots.present
        var at = start
        for slot in 0..<CallSlot.ownCount {
            guard present & 1 &<< UInt64(slot) != 0 else {
                at.storeBytes(of: 0, as: UInt8.self)
                at += 1
                continue
            }
            let value = walk.call.slots.value(slot)
            guard value.count <= CallGroup.valueRoom, let from = value.baseAddress,
                walk.call.room(from: from) >= CallGroup.valueRoom
            else { return false }
            at.storeBytes(of: UInt8(truncatingIfNeeded: value.count), as: UInt8.self)
            at += 1
            // More than there is to copy; what comes next is written over it.
            for offset in stride(from: 0, to: CallGroup.valueRoom, by: 16) {
                copyWord(from, at, offset, SIMD2<UInt64>.self)
            }
            at += value.count
        }
        guard at - start <= Self.usualKey else { return false }
        for offset in stride(from: 0, to: Self.usualKey, by: 16) {
            at.storeBytes(of: .zero, toByteOffset: offset, as: SIMD2<UInt64>.self)
        }
        return true
    }

    /// Slots of which a span has none that is measured in a group.
    private static var rareSlots: UInt64 {
        1 << UInt64(CallSlot.cacheRead) | 1 << UInt64(CallSlot.cacheWrite) | 1 << UInt64(CallSlot.reasoning)
            | 1 << UInt64(CallSlot.savings) | 1 << UInt64(CallSlot.firstChunk) | 1 << UInt64(CallSlot.errorType)
            | 1 << UInt64(CallSlot.resent)
    }

    /// Measures what was put off.
    @inline(never)
    func measureGroup(_ recorder: MetricRecorder, _ walk: inout Walk) {
        recorder.prepare(Family.calls, walk.group.lookups)
        for place in 0..<walk.group.count {
            let call = walk.group.calls[place]
            guard let series = recorder.series(Family.calls, walk.group.lookups[place]) else {
                // To make the series, everything is needed that the span says.
                if walk.call.read(call.payload, call.tail) { measure(recorder, &walk) }
                continue
            }
            series.record(call.duration, in: Call.duration)
            guard call.isCounted else { continue }
            series.add(1, to: Call.calls)
            series.add(fixedPoint: call.cost, to: Call.cost)
            record(tokens: call.input, call.output, series)
        }
        walk.group.removeAll()
    }
}
