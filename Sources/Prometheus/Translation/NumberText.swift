internal import Glibc

/// Numbers as label values.
enum NumberText {
    /// Exponents outside of which `value` writes one.
    private static let plainExponents = -6..<21

    /// Decimal.
    static func integer(_ number: Int64, _ store: inout ByteStore) -> TextSlice {
        let end = store.take(20) + 20
        var at = end
        var rest = number.magnitude
        repeat {
            at -= 1
            at.pointee = UInt8(truncatingIfNeeded: 0x30 + rest % 10)
            rest /= 10
        } while rest > 0
        if number < 0 {
            at -= 1
            at.pointee = UInt8(ascii: "-")
        }
        return TextSlice(UnsafePointer(at), end - at)
    }

    /// An attribute's number: shortest digits that read back the same, with an exponent when it is very large or small.
    static func value(_ number: Double, _ store: inout ByteStore) -> TextSlice {
        if !number.isFinite { return special(number) }
        var text = Digits(number)
        if plainExponents.contains(text.exponent) || text.isZero { return kept(text.plain(), &store) }
        return kept(text.scientific(), &store)
    }

    /// A bound or quantile: the shortest digits, never an exponent.
    static func plain(_ number: Double, _ store: inout ByteStore) -> TextSlice {
        if !number.isFinite { return special(number) }
        return kept(Digits(number).plain(), &store)
    }

    private static func special(_ number: Double) -> TextSlice {
        if number.isNaN { return TextSlice("NaN") }
        return TextSlice(number < 0 ? "-Inf" : "+Inf")
    }

    private static func kept(_ text: [UInt8], _ store: inout ByteStore) -> TextSlice {
        TextSlice(text.withUnsafeBytes { store.copy($0) }, text.count)
    }

    /// Sign, shortest decimal digits, and the power of ten of the first digit.
    private struct Digits {
        var isNegative: Bool
        var digits: [UInt8] = []
        var exponent = 0
        var isZero: Bool { digits == [0x30] }

        init(_ number: Double) {
            isNegative = number.sign == .minus
            var point: Int?
            var power = 0
            var readsPower = false
            var powerIsNegative = false
            // The standard library gives the shortest digits, in one of several layouts.
            for byte in number.magnitude.description.utf8 {
                switch byte {
                case UInt8(ascii: "."): point = digits.count
                case UInt8(ascii: "e"): readsPower = true
                case UInt8(ascii: "-"): powerIsNegative = true
                case UInt8(ascii: "+"): break
                default:
                    if readsPower { power = power * 10 + Int(byte &- 0x30) } else { digits.append(byte) }
                }
            }
            exponent = (point ?? digits.count) - 1 + (powerIsNegative ? -power : power)
            while digits.count > 1, digits[0] == 0x30 {
                digits.removeFirst()
                exponent -= 1
            }
            while digits.count > 1, digits[digits.count - 1] == 0x30 { digits.removeLast() }
            if isZero { exponent = 0 }
        }

        func plain() -> [UInt8] {
            var text: [UInt8] = isNegative ? [UInt8(ascii: "-")] : []
            if exponent < 0 {
                text += [0x30, UInt8(ascii: ".")] + [UInt8](repeating: 0x30, count: -exponent - 1) + digits
            } else if digits.count <= exponent + 1 {
                text += digits + [UInt8](repeating: 0x30, count: exponent + 1 - digits.count)
            } else {
                text += digits[...exponent] + [UInt8(ascii: ".")] + digits[(exponent + 1)...]
            }
            return text
        }

        mutating func scientific() -> [UInt8] {
            var text: [UInt8] = isNegative ? [UInt8(ascii: "-")] : []
            text.append(digits.removeFirst())
            if !digits.isEmpty { text += [UInt8(ascii: ".")] + digits }
            let power = "e\(exponent < 0 ? "-" : "+")\(exponent.magnitude)"
            return text + Array(power.utf8)
        }
    }
}

/// Texts of bounds and quantiles, which are few and come again and again. Addresses are stable until `trim`.
struct BoundTexts: ~Copyable {
    private static let limit = 4096

    private var texts: [UInt64: TextSlice] = [:]
    private var slots: [(bits: UInt64, text: TextSlice)]
    private var store = ByteStore()

    private static let slotBits = 10

    init() {
        // NaN as a key is never looked up here before it was put in: its text is right from the start.
        slots = Array(repeating: (Double.nan.bitPattern, TextSlice("NaN")), count: 1 << Self.slotBits)
    }

    /// Forgets everything when there is much. Call between two points.
    mutating func trim() {
        guard texts.count > Self.limit else { return }
        texts = [:]
        for index in slots.indices { slots[index] = (Double.nan.bitPattern, TextSlice("NaN")) }
        store.removeAll()
    }

    @inline(__always)
    mutating func text(_ number: Double) -> TextSlice {
        let bits = number.bitPattern
        let slot = Int(truncatingIfNeeded: (bits &* 0x9E37_79B9_7F4A_7C15) &>> UInt64(64 - Self.slotBits))
        if slots[slot].bits == bits { return slots[slot].text }
        return find(number, slot)
    }

    @inline(never)
    private mutating func find(_ number: Double, _ slot: Int) -> TextSlice {
        let text: TextSlice
        if let known = texts[number.bitPattern] {
            text = known
        } else {
            text = NumberText.plain(number, &store)
            texts[number.bitPattern] = text
        }
        slots[slot] = (number.bitPattern, text)
        return text
    }
}
