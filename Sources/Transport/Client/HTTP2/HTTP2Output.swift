internal import Glibc
internal import NIOCore

/// Bytes on their way to a peer: frames that were written here, and parts of bodies that stay where they are. Belongs to
/// the client's thread.
struct HTTP2Output: ~Copyable {
    /// Parts of bodies that are smaller than this are copied: a piece of its own costs more.
    private static let smallestPiece = 4 << 10
    /// Most pieces handed to one call of the system.
    private static let mostPieces = 64

    private var pieces: [UnsafeRawBufferPointer] = []
    /// Pieces that are written.
    private var written = 0
    /// Bytes of the first piece that is not.
    private var offset = 0
    /// Own bytes, in blocks that do not move. The first one stays.
    private var blocks: [UnsafeMutableRawBufferPointer]
    /// Bytes used of the last block.
    private var used = 0
    /// What the pieces point into.
    private var owners: [HTTPRequestBody] = []
    /// Bytes that wait.
    private(set) var count = 0

    /// - Parameter blockSize: bytes to hold for frames and small parts.
    init(blockSize: Int = 32 << 10) { blocks = [.allocate(byteCount: blockSize, alignment: 16)] }

    deinit { for block in blocks { block.deallocate() } }

    var isEmpty: Bool { count == 0 }

    /// Appends frames.
    mutating func append(_ frames: ByteBuffer) { frames.withUnsafeReadableBytes { append(copying: $0) } }

    /// Appends the head of a DATA frame.
    mutating func appendDataHead(_ stream: UInt32, length: Int, ends: Bool) {
        withUnsafeTemporaryAllocation(byteCount: HTTP2FrameHead.byteCount, alignment: 1) { head in
            head[0] = UInt8(truncatingIfNeeded: length >> 16)
            head[1] = UInt8(truncatingIfNeeded: length >> 8)
            head[2] = UInt8(truncatingIfNeeded: length)
            head[3] = HTTP2FrameType.data
            head[4] = ends ? HTTP2FrameFlags.endStream : 0
            for index in 0..<4 { head[5 + index] = UInt8(truncatingIfNeeded: stream >> (24 - 8 * UInt32(index))) }
            append(copying: UnsafeRawBufferPointer(head))
        }
    }

    /// Appends a part of a body, which is kept until it is written.
    mutating func append(_ part: UnsafeRawBufferPointer, of body: HTTPRequestBody) {
        guard part.count >= Self.smallestPiece else { return append(copying: part) }
        if owners.last !== body { owners.append(body) }
        pieces.append(part)
        count += part.count
    }

    private mutating func append(copying bytes: UnsafeRawBufferPointer) {
        guard let from = bytes.baseAddress, !bytes.isEmpty else { return }
        if blocks[blocks.count - 1].count - used < bytes.count {
            blocks.append(.allocate(byteCount: max(bytes.count, blocks[0].count), alignment: 16))
            used = 0
        }
        guard let base = blocks[blocks.count - 1].baseAddress else { return }
        memcpy(base + used, from, bytes.count)
        if let last = pieces.last, pieces.count > written, let start = last.baseAddress,
            start + last.count == base + used
        {
            pieces[pieces.count - 1] = UnsafeRawBufferPointer(start: start, count: last.count + bytes.count)
        } else {
            pieces.append(UnsafeRawBufferPointer(start: base + used, count: bytes.count))
        }
        used += bytes.count
        count += bytes.count
    }

    /// Hands pieces that wait to `send`, which says how many bytes it took; nil when it took none.
    ///
    /// - Returns: whether it took any.
    mutating func write(_ send: (_ pieces: UnsafeBufferPointer<UnsafeRawBufferPointer>) -> Int?) -> Bool {
        let last = min(pieces.count, written + Self.mostPieces)
        let taken = withUnsafeTemporaryAllocation(of: UnsafeRawBufferPointer.self, capacity: last - written) { room in
            for index in 0..<room.count { room.initializeElement(at: index, to: pieces[written + index]) }
            if room.count > 0 { room[0] = UnsafeRawBufferPointer(rebasing: room[0][offset...]) }
            return send(UnsafeBufferPointer(room))
        }
        guard let taken, taken > 0 else { return false }
        drop(min(taken, count))
        return true
    }

    private mutating func drop(_ bytes: Int) {
        count -= bytes
        offset += bytes
        while written < pieces.count, offset >= pieces[written].count {
            offset -= pieces[written].count
            written += 1
        }
        guard count == 0 else { return }
        pieces.removeAll(keepingCapacity: true)
        owners.removeAll(keepingCapacity: true)
        for block in blocks.dropFirst() { block.deallocate() }
        blocks.removeLast(blocks.count - 1)
        (written, offset, used) = (0, 0, 0)
    }
}
