/// A user's text for a message: in double quotes, shortened, and without characters that could disturb a terminal.
func quoted(_ text: String) -> String { "\"\(printable(text))\"" }

/// A user's text for a message, without quotes: shortened, control characters and quotes escaped.
func printable(_ text: String) -> String {
    var result = ""
    var count = 0
    for scalar in text.unicodeScalars {
        if count == ConfigLimits.maximumQuotedCharacters {
            result += "…"
            break
        }
        count += 1
        switch scalar {
        case "\n": result += "\\n"
        case "\t": result += "\\t"
        case "\r": result += "\\r"
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        default:
            switch scalar.properties.generalCategory {
            case .control, .format, .surrogate, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
    }
    return result
}

extension Sequence where Element == String {
    /// `"a", "b" or "c"`, for messages that list what is accepted.
    func listed() -> String {
        let names = map { quoted($0) }
        guard let last = names.last else { return "nothing" }
        if names.count == 1 { return last }
        return names.dropLast().joined(separator: ", ") + " or " + last
    }
}

/// `text` without the spaces and tabs at both ends.
func trimmed(_ text: Substring) -> Substring {
    var slice = text
    while let first = slice.unicodeScalars.first, first == " " || first == "\t" { slice.unicodeScalars.removeFirst() }
    while let last = slice.unicodeScalars.last, last == " " || last == "\t" { slice.unicodeScalars.removeLast() }
    return slice
}
