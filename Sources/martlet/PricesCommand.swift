import Config
import GenAI

/// `martlet prices`: the price table, and what calls cost by it.
enum PricesCommand {
    static let command = Command(
        name: "prices", abstract: "Shows and checks model prices, and prices calls.",
        subcommands: [
            PricesListCommand.command, PricesShowCommand.command, PricesCheckCommand.command,
            PricesImportCommand.command, PricesCostCommand.command,
        ])

    static let jsonLines = CommandOption(name: "json", help: "One JSON object a line.")
    static let provider = CommandOption(
        name: "provider", value: "name",
        help: "The provider, as calls name it. Without it, the model's name decides.")
}

/// Price files that a command takes beside the built-in table.
enum PriceFilesOption {
    static let option = CommandOption(
        name: "file", value: "path", help: "A price file; later ones win. May be given again.")

    /// The built-in prices under those of the files. Prints what is wrong and exits with 2 when they cannot be used.
    static func book(_ parsed: ParsedArguments) throws -> PriceBook {
        var options = PriceOptions()
        options.files = parsed.texts("file")
        do throws(ConfigError) {
            return try PriceBook(options)
        } catch {
            writeError("\(error)")
            throw ExitCode.invalidConfiguration
        }
    }
}

/// `martlet prices list`: one line a row.
enum PricesListCommand {
    static let command = Command(
        name: "list", abstract: "Lists every price, one row a line.",
        options: [
            PriceFilesOption.option,
            CommandOption(name: "provider", value: "name", help: "Only this provider, by any of its names."),
            PricesCommand.jsonLines,
        ], run: { try list($0) })

    private static func list(_ parsed: ParsedArguments) throws {
        let provider = parsed.text("provider")
        let json = parsed.flag("json")
        let rows = try PriceFilesOption.book(parsed).rows(provider: provider)
        guard !rows.isEmpty else {
            writeError("no price is listed for the provider \(provider ?? "")")
            throw ExitCode.failure
        }
        for row in rows { print(json ? row.json : row.text) }
    }
}

/// `martlet prices show`: what a name resolves to, the strongest first.
enum PricesShowCommand {
    static let command = Command(
        name: "show", abstract: "Shows the rows that a model's name resolves to, the strongest first.",
        arguments: [CommandArgument(name: "model", help: "The model, as calls name it.")],
        options: [PriceFilesOption.option, PricesCommand.provider, PricesCommand.jsonLines], run: { try show($0) })

    private static func show(_ parsed: ParsedArguments) throws {
        let model = parsed.argument("model")
        let json = parsed.flag("json")
        let book = try PriceFilesOption.book(parsed)
        let found = book.rows(provider: parsed.text("provider") ?? "", model: model)
        guard !found.isEmpty else {
            writeError("no price is known for \(model)")
            throw ExitCode.failure
        }
        for (row, match) in found {
            print(json ? row.json : row.text + (match.isEstimate ? " estimate" : ""))
        }
        if !json { print("price version \(book.version)") }
    }
}

/// `martlet prices check`: says everything that is wrong with a price file.
enum PricesCheckCommand {
    static let command = Command(
        name: "check", abstract: "Checks a price file. Exit code 2 when it cannot be used.",
        arguments: [CommandArgument(name: "file", help: "The price file.")], run: { try check($0.argument("file")) })

    private static func check(_ file: String) throws {
        do throws(ConfigError) {
            let checked = try PriceFile(path: file)
            for warning in checked.warnings { writeError("warning: \(warning)") }
            print("\(file): \(checked.count) entries, version \(checked.version)")
        } catch {
            writeError("\(error)")
            throw ExitCode.invalidConfiguration
        }
    }
}

/// `martlet prices import`: other tools' price data as a price file.
enum PricesImportCommand {
    static let command = Command(
        name: "import",
        abstract:
            "Turns LiteLLM's price map or genai-prices' data, JSON on disk, into a price file on standard output.",
        arguments: [CommandArgument(name: "file", help: "The JSON file.")],
        options: [
            CommandOption(
                name: "format", value: "name",
                help: "Whose data it is: litellm or genai-prices. Recognised by its shape otherwise."),
            CommandOption(
                name: "version", value: "text", help: "What the price file gives as its version. Default: imported"),
            CommandOption(name: "verbose", help: "Lists what is left out, and why, on standard error."),
        ], run: { try convert($0) })

    private static func convert(_ parsed: ParsedArguments) throws {
        let file = parsed.argument("file")
        let wanted = try parsed.text("format").map { name in
            guard let format = PriceImport.Format(rawValue: name) else {
                throw UsageError("--format must be litellm or genai-prices, not \(name)")
            }
            return format
        }
        let bytes: [UInt8]
        do throws(ConfigReadError) {
            bytes = try ConfigInputs.process.readFile(file, PriceImport.maximumBytes)
        } catch {
            writeError("cannot read \(file): \(error)")
            throw ExitCode.failure
        }
        do throws(PriceImport.Failure) {
            let imported = try PriceImport(bytes, format: wanted)
            print(imported.priceFile(version: parsed.text("version") ?? "imported"), terminator: "")
            if parsed.flag("verbose") {
                for skipped in imported.skipped { writeError("left out: \(skipped.name): \(skipped.reason)") }
            }
            writeError("\(imported.count) entries; \(imported.skipped.count) parts left out")
        } catch {
            writeError("cannot import \(file): \(error)")
            throw ExitCode.failure
        }
    }
}
