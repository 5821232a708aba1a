internal import Glibc

/// Who serves the model: by the value of an attribute, by the server's name, by the model's name.
final class ProviderTables {
    /// Value in `aliases` of a framework that is no provider.
    static let framework = 0xFFFF

    private let aliases: NameTable
    private let hosts: NameTable
    private let hostGlobs: UnsafeMutableBufferPointer<(glob: Glob, name: Int)>
    private let models: UnsafeMutableBufferPointer<(prefix: UnsafeRawBufferPointer, name: Int)>
    /// By the first byte of a prefix: where its lines begin in `models`, and how many there are.
    private let modelStarts: UnsafeMutableBufferPointer<(first: UInt16, count: UInt16)>

    init(_ finished: MappingBuilder.Finished) {
        aliases = NameTable(finished.providers)
        hosts = NameTable(finished.hosts)
        hostGlobs = .allocate(capacity: finished.hostGlobs.count)
        _ = hostGlobs.initialize(from: finished.hostGlobs)
        let sorted = finished.models.sorted { left, right in
            left.prefix[0] != right.prefix[0]
                ? left.prefix[0] < right.prefix[0] : left.prefix.count > right.prefix.count
        }
        models = .allocate(capacity: sorted.count)
        _ = models.initialize(from: sorted)
        modelStarts = .allocate(capacity: 256)
        modelStarts.initialize(repeating: (0, 0))
        for (index, model) in sorted.enumerated() {
            let byte = Int(model.prefix[0])
            if modelStarts[byte].count == 0 { modelStarts[byte].first = UInt16(index) }
            modelStarts[byte].count += 1
        }
    }

    deinit {
        aliases.deallocate()
        hosts.deallocate()
        hostGlobs.deallocate()
        models.deallocate()
        modelStarts.deallocate()
    }

    /// Index of the provider's name, `framework`, or -1. Takes the last part of a path (`langgenius/openai/openai`).
    @inline(__always)
    func provider(ofValue value: UnsafeRawBufferPointer) -> Int {
        let found = aliases.findFolded(value)
        return found >= 0 ? found : lastPart(of: value)
    }

    private func lastPart(of value: UnsafeRawBufferPointer) -> Int {
        guard value.count <= NameTable.longestFolded * 4, let slash = value.lastIndex(of: UInt8(ascii: "/")) else {
            return -1
        }
        return aliases.findFolded(UnsafeRawBufferPointer(rebasing: value[(slash + 1)...]))
    }

    /// `openai/gpt-4o`: the part before the first slash, when it is a provider.
    func provider(ofModelPath model: UnsafeRawBufferPointer) -> Int? {
        let head = UnsafeRawBufferPointer(rebasing: model.prefix(NameTable.longestFolded))
        guard let slash = position(of: UInt8(ascii: "/"), in: head) else { return nil }
        let found = aliases.findFolded(UnsafeRawBufferPointer(rebasing: head[..<slash]))
        return found >= 0 && found != Self.framework ? found : nil
    }

    /// By exact name or glob; a URL is reduced to its host first.
    func provider(ofHost address: UnsafeRawBufferPointer) -> Int? {
        let host = Self.host(of: address)
        guard host.count > 0, host.count <= 255 else { return nil }
        let found = hosts.findFolded(host)
        if found >= 0 { return found }
        for index in 0..<hostGlobs.count where hostGlobs[index].glob.matches(host) { return hostGlobs[index].name }
        return nil
    }

    private static func host(of address: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var rest = address
        guard var colon = position(of: UInt8(ascii: ":"), in: rest) else { return address }
        if colon + 2 < rest.count, rest[colon + 1] == UInt8(ascii: "/"), rest[colon + 2] == UInt8(ascii: "/") {
            rest = UnsafeRawBufferPointer(rebasing: rest[(colon + 3)...])
            colon = position(of: UInt8(ascii: ":"), in: rest) ?? rest.count
        }
        let slash = position(of: UInt8(ascii: "/"), in: rest) ?? rest.count
        return UnsafeRawBufferPointer(rebasing: rest[..<min(colon, slash)])
    }

    /// By the longest prefix of the model's name.
    func provider(ofModel model: UnsafeRawBufferPointer) -> Int? {
        guard let byte = model.first else { return nil }
        let range = modelStarts[Int(foldASCII(byte))]
        for index in Int(range.first)..<Int(range.first) + Int(range.count) {
            let (prefix, name) = models[index]
            guard model.count >= prefix.count else { continue }
            var position = 1
            while position < prefix.count, foldASCII(model[position]) == prefix[position] { position += 1 }
            if position == prefix.count { return name }
        }
        return nil
    }
}

/// The last guesses of a provider, by what they were made from: a few models and servers make up most of a stream.
final class ProviderMemo {
    private struct Entry {
        var modelCount = 0
        var responseCount = 0
        /// -1 in an entry that was never used.
        var addressCount = -1
        var name = -1
        var origin = ProviderOrigin.unknown
    }

    /// Guesses that are kept; a power of two.
    private static var size: Int { 64 }
    /// Bytes of the longest text of which a guess is kept.
    private static var longest: Int { 64 }

    private let entries: UnsafeMutablePointer<Entry>
    /// Three texts an entry.
    private let bytes: UnsafeMutableRawPointer

    init() {
        entries = .allocate(capacity: Self.size)
        entries.initialize(repeating: Entry(), count: Self.size)
        bytes = .allocate(byteCount: Self.size * 3 * Self.longest, alignment: 8)
        memset(bytes, 0, Self.size * 3 * Self.longest)
    }

    deinit {
        entries.deallocate()
        bytes.deallocate()
    }

    @inline(__always)
    private static func slot(_ model: UnsafeRawBufferPointer, _ address: UnsafeRawBufferPointer) -> Int {
        var mixed = model.count &* 31 &+ address.count &* 7
        if model.count > 7, let base = model.baseAddress {
            mixed ^= Int(
                truncatingIfNeeded: base.loadUnaligned(fromByteOffset: model.count &- 8, as: UInt64.self)
                    &* 0x9E37_79B9_7F4A_7C15 &>> 40)
        }
        if address.count > 7, let base = address.baseAddress {
            mixed ^= Int(
                truncatingIfNeeded: base.loadUnaligned(fromByteOffset: 4, as: UInt32.self) &* 0x9E37_79B1 &>> 9)
        }
        return mixed & (size &- 1)
    }

    /// What was found for these texts; the name is -1 when nothing was.
    @inline(__always)
    func find(
        _ model: UnsafeRawBufferPointer, _ response: UnsafeRawBufferPointer, _ address: UnsafeRawBufferPointer
    ) -> (name: Int, origin: ProviderOrigin)? {
        let slot = Self.slot(model, address)
        let entry = entries[slot]
        guard entry.modelCount == model.count, entry.addressCount == address.count,
            entry.responseCount == response.count
        else { return nil }
        let base = UnsafeRawPointer(bytes) + slot &* 3 &* Self.longest
        guard Self.isSame(model, base), Self.isSame(address, base + Self.longest),
            Self.isSame(response, base + 2 &* Self.longest)
        else { return nil }
        return (entry.name, entry.origin)
    }

    @inline(__always)
    private static func isSame(_ text: UnsafeRawBufferPointer, _ kept: UnsafeRawPointer) -> Bool {
        guard text.count > 0, let base = text.baseAddress else { return true }
        return memcmp(base, kept, text.count) == 0
    }

    /// Keeps a guess, unless a text is too long.
    func keep(
        _ model: UnsafeRawBufferPointer, _ response: UnsafeRawBufferPointer, _ address: UnsafeRawBufferPointer,
        _ name: Int, _ origin: ProviderOrigin
    ) {
        guard max(model.count, response.count, address.count) <= Self.longest else { return }
        let slot = Self.slot(model, address)
        entries[slot] = Entry(
            modelCount: model.count, responseCount: response.count, addressCount: address.count, name: name,
            origin: origin)
        let base = bytes + slot * 3 * Self.longest
        for (index, text) in [model, address, response].enumerated() {
            if let from = text.baseAddress { memcpy(base + index * Self.longest, from, text.count) }
        }
    }
}
