import ArgumentParser
import Config
import GenAI

/// `martlet prices`: the price table, and what calls cost by it.
struct PricesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prices", abstract: "Shows and checks model prices, and prices calls.",
        subcommands: [
            PricesListCommand.self, PricesShowCommand.self, PricesCheckCommand.self, PricesImportCommand.self,
            PricesCostCommand.self,
        ])
}

/// Price files that a command takes beside the built-in table.
struct PriceFilesOptions: ParsableArguments {
    @Option(name: .customLong("file"), help: "A price file; later ones win. May be given again.")
    var files: [String] = []

    /// The built-in prices under those of the files. Prints what is wrong and exits with 2 when they cannot be used.
    func book() throws -> PriceBook {
        var options = PriceOptions()
        options.files = files
        do throws(ConfigError) {
            return try PriceBook(options)
        } catch {
            writeError("\(error)")
            throw Exit.invalidConfiguration
        }
    }
}

/// `martlet prices list`: one line a row.
struct PricesListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists every price, one row a line.")

    @OptionGroup var source: PriceFilesOptions
    @Option(help: "Only this provider, by any of its names.")
    var provider: String?
    @Flag(help: "One JSON object a line.")
    var json = false

    func run() throws {
        let rows = try source.book().rows(provider: provider)
        guard !rows.isEmpty else {
            writeError("no price is listed for the provider \(provider ?? "")")
            throw Exit.failure
        }
        for row in rows { print(json ? row.json : row.text) }
    }
}

/// `martlet prices show`: what a name resolves to, the strongest first.
struct PricesShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows the rows that a model's name resolves to, the strongest first.")

    @OptionGroup var source: PriceFilesOptions
    @Argument(help: "The model, as calls name it.")
    var model: String
    @Option(help: "The provider, as calls name it. Without it, the model's name decides.")
    var provider = ""
    @Flag(help: "One JSON object a line.")
    var json = false

    func run() throws {
        let book = try source.book()
        let found = book.rows(provider: provider, model: model)
        guard !found.isEmpty else {
            writeError("no price is known for \(model)")
            throw Exit.failure
        }
        for (row, match) in found {
            print(json ? row.json : row.text + (match.isEstimate ? " estimate" : ""))
        }
        if !json { print("price version \(book.version)") }
    }
}

/// `martlet prices check`: says everything that is wrong with a price file.
struct PricesCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Checks a price file. Exit code 2 when it cannot be used.")

    @Argument(help: "The price file.")
    var file: String

    func run() throws {
        do throws(ConfigError) {
            let checked = try PriceFile(path: file)
            for warning in checked.warnings { writeError("warning: \(warning)") }
            print("\(file): \(checked.count) entries, version \(checked.version)")
        } catch {
            writeError("\(error)")
            throw Exit.invalidConfiguration
        }
    }
}

/// `martlet prices import`: other tools' price data as a price file.
struct PricesImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Turns LiteLLM's price map or genai-prices' data, JSON on disk, into a price file on standard output."
    )

    @Argument(help: "The JSON file.")
    var file: String
    @Option(help: "Whose data it is: litellm or genai-prices. Recognised by its shape otherwise.")
    var format: String?
    @Option(help: "What the price file gives as its version.")
    var version = "imported"
    @Flag(help: "Lists what is left out, and why, on standard error.")
    var verbose = false

    func run() throws {
        let wanted = try format.map { name in
            guard let format = PriceImport.Format(rawValue: name) else {
                throw ValidationError("--format must be litellm or genai-prices, not \(name)")
            }
            return format
        }
        let bytes: [UInt8]
        do throws(ConfigReadError) {
            bytes = try ConfigInputs.process.readFile(file, PriceImport.maximumBytes)
        } catch {
            writeError("cannot read \(file): \(error)")
            throw Exit.failure
        }
        do throws(PriceImport.Failure) {
            let imported = try PriceImport(bytes, format: wanted)
            print(imported.priceFile(version: version), terminator: "")
            if verbose {
                for skipped in imported.skipped { writeError("left out: \(skipped.name): \(skipped.reason)") }
            }
            writeError("\(imported.count) entries; \(imported.skipped.count) parts left out")
        } catch {
            writeError("cannot import \(file): \(error)")
            throw Exit.failure
        }
    }
}
