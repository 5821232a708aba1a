internal import COTLP
internal import Glibc

/// A bump allocator with a hard limit, for the messages that protobuf-c unpacks. One owner; not thread-safe.
///
/// Memory comes in chunks that never move and is given back all at once by `reset()`, which invalidates every pointer
/// and every view made since the last reset. At the limit an allocation is refused, upon which protobuf-c fails
/// cleanly; `isExhausted` tells that case from malformed input.
package final class WireArena {
    /// Most bytes that a chunk keeps over a reset, so that one large request does not pin its memory.
    package static let retainedBytes = 1 << 20
    /// Size of the first chunk, in bytes.
    package static let firstChunkBytes = 64 << 10

    private struct Chunk {
        var previous: UnsafeMutablePointer<Chunk>?
        /// Usable bytes after this header.
        var size: Int
    }

    private struct State {
        var cursor: UnsafeMutableRawPointer?
        /// Bytes left at `cursor`.
        var room = 0
        var newest: UnsafeMutablePointer<Chunk>?
        /// Usable bytes of all chunks.
        var reserved = 0
        var limit: Int
        var isExhausted = false
        var allocator = ProtobufCAllocator()
    }

    // On the heap for itself because protobuf-c keeps its address while it unpacks.
    private let state: UnsafeMutablePointer<State>

    /// - Parameter limit: most bytes to hand out between two resets, rounding and chunk ends included.
    package init(limit: Int) {
        state = .allocate(capacity: 1)
        state.initialize(to: State(limit: max(0, limit)))
        state.pointee.allocator = ProtobufCAllocator(
            alloc: { owner, size in
                guard let owner else { return nil }
                return WireArena.allocate(owner.assumingMemoryBound(to: State.self), size)
            },
            free: { _, _ in },
            allocator_data: UnsafeMutableRawPointer(state))
    }

    deinit {
        releaseChunks(keeping: nil)
        state.deinitialize(count: 1)
        state.deallocate()
    }

    /// Most bytes to hand out between two resets.
    package var limit: Int { state.pointee.limit }

    /// True once an allocation was refused since the last reset.
    package var isExhausted: Bool { state.pointee.isExhausted }

    /// Bytes of the chunks held now, used or not.
    package var reservedBytes: Int { state.pointee.reserved }

    /// Takes everything back. Every pointer and view from this arena is invalid afterwards.
    package func reset() {
        var kept = state.pointee.newest
        if let newest = kept, newest.pointee.size > Self.retainedBytes { kept = nil }
        releaseChunks(keeping: kept)
        state.pointee.isExhausted = false
        state.pointee.newest = kept
        state.pointee.reserved = kept?.pointee.size ?? 0
        state.pointee.room = kept?.pointee.size ?? 0
        state.pointee.cursor = kept.map { UnsafeMutableRawPointer($0 + 1) }
        kept?.pointee.previous = nil
    }

    /// `size` uninitialised bytes, aligned to 8 and valid until `reset()`; nil at the limit.
    package func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
        Self.allocate(state, size)
    }

    /// The address that protobuf-c's unpack functions take; valid as long as this object.
    var allocator: UnsafeMutablePointer<ProtobufCAllocator> {
        // Derived from the allocation itself, so the address outlives this access.
        let offset = MemoryLayout<State>.offset(of: \State.allocator) ?? 0
        return (UnsafeMutableRawPointer(state) + offset).assumingMemoryBound(to: ProtobufCAllocator.self)
    }

    @inline(__always)
    private static func allocate(_ state: UnsafeMutablePointer<State>, _ size: Int) -> UnsafeMutableRawPointer? {
        if size >= 0, size <= state.pointee.room, let start = state.pointee.cursor {
            // A chunk's size is a multiple of 8, so the rounded size fits as well.
            let rounded = (size &+ 7) & ~7
            state.pointee.cursor = start + rounded
            state.pointee.room &-= rounded
            return start
        }
        return allocateInNewChunk(state, size)
    }

    @inline(never)
    private static func allocateInNewChunk(
        _ state: UnsafeMutablePointer<State>, _ size: Int
    ) -> UnsafeMutableRawPointer? {
        let available = (state.pointee.limit - state.pointee.reserved) & ~7
        guard size >= 0, size <= available else {
            state.pointee.isExhausted = true
            return nil
        }
        let rounded = (size + 7) & ~7
        let wanted = max(rounded, max(firstChunkBytes, state.pointee.reserved))
        let usable = min(wanted, available)
        guard let memory = malloc(MemoryLayout<Chunk>.size + usable) else {
            state.pointee.isExhausted = true
            return nil
        }
        let chunk = memory.bindMemory(to: Chunk.self, capacity: 1)
        chunk.initialize(to: Chunk(previous: state.pointee.newest, size: usable))
        let start = UnsafeMutableRawPointer(chunk + 1)
        state.pointee.newest = chunk
        state.pointee.reserved += usable
        state.pointee.cursor = start + rounded
        state.pointee.room = usable - rounded
        return start
    }

    private func releaseChunks(keeping kept: UnsafeMutablePointer<Chunk>?) {
        var next = state.pointee.newest
        while let chunk = next {
            next = chunk.pointee.previous
            if chunk != kept { free(chunk) }
        }
    }
}
