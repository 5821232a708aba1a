/// A value that must not be seen: passwords, tokens, header values. Whatever prints it prints `[REDACTED]`.
package struct SecretString: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    private let value: String

    /// Wraps `value`.
    package init(_ value: String) { self.value = value }

    /// The secret itself. Pass it to what needs it; never to a message, a log or a metric.
    package func reveal() -> String { value }

    /// Whether the secret is the empty string.
    package var isEmpty: Bool { value.isEmpty }

    /// `[REDACTED]`.
    package var description: String { "[REDACTED]" }
    /// `[REDACTED]`.
    package var debugDescription: String { "[REDACTED]" }
    /// Without children.
    package var customMirror: Mirror { Mirror(self, children: [], displayStyle: .struct) }
}
