/// The bounds on configuration input. They are far above any real configuration (the largest published collector
/// examples have a few thousand nodes) and low enough that hostile text costs milliseconds, not the process.
package enum ConfigLimits {
    /// Bytes of one source: a file, an environment variable, a `yaml:` argument, or the target of `${file:…}`.
    package static let maximumSourceBytes = 4 << 20
    /// Levels of sequences and mappings, counting the parts of `a::b::c` keys and what substitutions bring in.
    package static let maximumDepth = 100
    /// Nodes of one configuration: keys' values and sequence elements, with every alias counted at its full size.
    package static let maximumNodes = 200_000
    /// `${…}` references evaluated in one configuration.
    package static let maximumSubstitutions = 10_000
    /// How deep one `${…}` may lead into another, in its text or through the value that it gives.
    package static let maximumSubstitutionDepth = 20
    /// Bytes of text that substitutions may produce in one configuration.
    package static let maximumExpandedBytes = 16 << 20
    /// Errors, and likewise warnings, that are kept and printed; what comes after them is only counted.
    package static let maximumDiagnostics = 100
    /// Characters of a user's text that a message quotes.
    package static let maximumQuotedCharacters = 80
}
