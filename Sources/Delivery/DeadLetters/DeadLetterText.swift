internal import OTLP

/// RFC 4648 base64, with padding.
enum Base64 {
    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    static func encode(_ bytes: UnsafeRawBufferPointer, into writer: inout WireWriter) {
        guard let target = writer.appendUninitialized((bytes.count + 2) / 3 * 4) else { return }
        let letters = alphabet.utf8Start
        let output = target.assumingMemoryBound(to: UInt8.self)
        var position = 0
        var index = 0
        while index < bytes.count {
            let left = bytes.count - index
            let first = UInt32(bytes[index])
            let second = left > 1 ? UInt32(bytes[index + 1]) : 0
            let third = left > 2 ? UInt32(bytes[index + 2]) : 0
            let group = first << 16 | second << 8 | third
            output[position] = letters[Int(group >> 18)]
            output[position + 1] = letters[Int(group >> 12 & 63)]
            output[position + 2] = left > 1 ? letters[Int(group >> 6 & 63)] : UInt8(ascii: "=")
            output[position + 3] = left > 2 ? letters[Int(group & 63)] : UInt8(ascii: "=")
            position += 4
            index += 3
        }
    }
}

/// Strings as JSON.
enum JSONText {
    /// `text` in quotes, escaped where RFC 8259 demands it.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
