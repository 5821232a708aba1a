internal import Config
internal import GenAI

/// What a `genai` section sets.
package struct GenAIProcessorSettings: Sendable {
    /// Bytes of the longest name of an attribute.
    static let longestName = 100
    /// Most bytes that `content_limit` may keep of a text: 1 MiB.
    static let maximumContent = 1 << 20

    var prices: PriceOptions
    /// A cost that came with a span is not replaced. Key `keep_reported_cost`.
    var keepsReportedCost: Bool
    /// Current attribute names are added. Key `write_conventions`.
    var writesConventions: Bool
    /// Older and other names of what stands under its current name are removed. Key `remove_originals`.
    var removesOriginals: Bool
    /// A span that is sent again is not counted again in the metrics. Key `count_once`.
    var countsOnce: Bool
    /// Key `cost_names`.
    var names = CostAttributeNames()
    /// Key `cost_mirrors`.
    var mirrors: [CostMirror] = []
    /// Keys `content` and `content_limit`.
    var content: ContentFilter
    /// What the pipelines that name this component have in common.
    let shared = GenAIShared()

    init(from section: ConfigSection) {
        prices = PriceOptions(section.section("prices"))
        keepsReportedCost = section.bool("keep_reported_cost") ?? true
        writesConventions = section.bool("write_conventions") ?? true
        removesOriginals = section.bool("remove_originals") ?? false
        countsOnce = section.bool("count_once") ?? true
        content = ContentFilter(
            section.choice("content", as: ContentFilter.Mode.self) ?? .keep,
            limit: section.integer("content_limit", in: 0...Self.maximumContent) ?? 1024)
        if removesOriginals, !writesConventions {
            section.error("remove_originals", "needs write_conventions: what is removed must stand under another name")
        }
        readNames(section)
        let reason = "genai reads the names of all known instrumentations by itself"
        for key in ["sources", "overwrite", "custom_mappings"] { section.refuse(key, because: reason) }
    }

    private mutating func readNames(_ section: ConfigSection) {
        for text in section.stringList("cost_mirrors") ?? [] {
            guard let mirror = CostMirror(rawValue: text) else {
                section.error("cost_mirrors", "\"\(text)\" is none of openinference, proposal")
                continue
            }
            if !mirrors.contains(mirror) { mirrors.append(mirror) }
        }
        let list = section.section("cost_names")
        var taken = Set(mirrors.flatMap(\.names))
        for attribute in CostAttribute.allCases {
            if let name = list.string(attribute.key) {
                if !name.isEmpty, name.utf8.count < 4 || name.utf8.count > Self.longestName {
                    list.error(attribute.key, "must be empty, or have 4 to \(Self.longestName) bytes")
                }
                names[attribute] = name
            }
            let name = names[attribute]
            if !name.isEmpty, !taken.insert(name).inserted {
                list.error(attribute.key, "\"\(name)\" is the name of two attributes")
            }
        }
    }
}
