internal import CPCRE2

/// A regular expression that is searched for in UTF-8 text. Searching is bounded: an expression that takes too long on
/// a text does not match it.
package final class TextPattern: @unchecked Sendable {
    // Sendable: the compiled code is not changed after `init`; what a match needs comes from the caller.

    /// Steps that one search may take.
    private static let matchLimit: UInt32 = 100_000
    /// Memory that one search may take, in KiB.
    private static let heapLimit: UInt32 = 1024

    /// Why an expression cannot be used.
    package struct Malformed: Error {
        /// In words.
        package let reason: String
        /// Byte of the expression at or before which the fault lies.
        package let offset: Int
    }

    private let code: OpaquePointer

    /// Compiles `expression`, in Perl's syntax, of which RE2's is a part.
    package init(_ expression: String) throws(Malformed) {
        var fault: Int32 = 0
        var offset = 0
        let bytes = Array(expression.utf8)
        let compiled = bytes.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            withUnsafePointer(to: UInt8(0)) { nothing in
                martlet_pcre2_compile(buffer.baseAddress ?? nothing, bytes.count, &fault, &offset)
            }
        }
        guard let compiled else {
            throw Malformed(reason: Self.message(fault), offset: offset)
        }
        martlet_pcre2_jit(compiled)
        code = compiled
    }

    deinit { martlet_pcre2_free(code) }

    private static func message(_ fault: Int32) -> String {
        var text = [UInt8](repeating: 0, count: 256)
        guard martlet_pcre2_message(fault, &text, text.count) > 0 else { return "invalid expression" }
        return String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// What a search works in. One thread at a time.
    package struct Scratch: ~Copyable {
        fileprivate let data: OpaquePointer?
        fileprivate let context: OpaquePointer?

        package init() {
            data = martlet_pcre2_data()
            context = martlet_pcre2_context(TextPattern.matchLimit, TextPattern.heapLimit)
        }

        deinit {
            martlet_pcre2_data_free(data)
            martlet_pcre2_context_free(context)
        }
    }

    /// Whether the expression is found in `text`, which is valid UTF-8.
    func isFound(in text: UnsafeRawBufferPointer, _ scratch: borrowing Scratch) -> Bool {
        guard let data = scratch.data, let context = scratch.context else { return false }
        return withUnsafePointer(to: UInt8(0)) { nothing in
            let start = text.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? nothing
            return martlet_pcre2_match(code, start, text.count, data, context) == 1
        }
    }
}
