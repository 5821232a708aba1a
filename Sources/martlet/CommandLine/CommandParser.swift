import CGetopt
import Config
import Glibc

/// What a command line asks for.
enum CommandRequest {
    case run(Command, ParsedArguments)
    /// Help for the command, whose full name is given.
    case help(Command, path: String)
    case version
}

/// Finds the command and reads its options with the C library's `getopt_long`. Main thread only, since that keeps its
/// state in globals.
struct CommandParser {
    let root: Command

    /// - Parameter words: the command line without the name of the program.
    /// - Throws: `UsageError`, naming the word and the nearest known one.
    func parse(_ words: [String]) throws -> CommandRequest {
        var command = root
        var path = root.name
        var rest = words[...]
        while !command.subcommands.isEmpty {
            guard let word = rest.popFirst() else { return .help(command, path: path) }
            switch word {
            case "--help", "-h": return .help(command, path: path)
            case "--version" where path == root.name: return .version
            case "help" where path == root.name:
                rest.append("--help")
            default:
                guard let found = command.subcommands.first(where: { $0.name == word }) else {
                    throw unknown(
                        word.hasPrefix("-") ? "option" : "command", word, command.subcommands.map(\.name), path)
                }
                command = found
                path += " " + word
            }
        }
        guard let parsed = try options(of: command, path, Array(rest)) else { return .help(command, path: path) }
        try check(parsed, command, path)
        return .run(command, parsed)
    }

    /// Reads the options and words; nil when help is asked for.
    private func options(of command: Command, _ path: String, _ words: [String]) throws -> ParsedArguments? {
        let names = command.options.map(\.name) + [Self.help]
        // getopt_long keeps pointers to the strings in its globals: they live until it is done.
        let strings = ([path] + words + names).map { strdup($0) }
        defer { for string in strings { free(string) } }
        guard strings.allSatisfy({ $0 != nil }) else { throw UsageError("no memory for the command line") }
        var argv = Array(strings[...words.count]) + [nil]
        var table = names.indices.map { index in
            let takesValue = index < command.options.count && command.options[index].value != nil
            return option(
                name: strings[words.count + 1 + index], has_arg: takesValue ? required_argument : no_argument,
                flag: nil, val: Self.firstOption + Int32(index))
        }
        table.append(option())
        var parsed = ParsedArguments(arguments: command.arguments)
        getopt_restart()
        while true {
            let code = getopt_long(Int32(words.count + 1), &argv, ":h", &table, nil)
            if code == -1 { break }
            if code == Int32(UInt8(ascii: "h")) { return nil }
            guard code >= Self.firstOption else { throw refusal(code, argv, names, path) }
            let name = names[Int(code - Self.firstOption)]
            if name == Self.help { return nil }
            parsed.add(getopt_value().map { String(cString: $0) } ?? "", to: name)
        }
        // getopt_long has moved the words that belong to no option to the end.
        for case let word? in argv[Int(getopt_next())...] { parsed.add(word: String(cString: word)) }
        return parsed
    }

    /// What getopt_long did not take: the option when it knows it, else the word before the next.
    private func refusal(
        _ code: Int32, _ argv: [UnsafeMutablePointer<CChar>?], _ names: [String], _ path: String
    ) -> UsageError {
        let refused = getopt_refused()
        if refused >= Self.firstOption {
            let name = names[Int(refused - Self.firstOption)]
            let missing = code == Int32(UInt8(ascii: ":"))
            return UsageError("--\(name) \(missing ? "needs a value" : "takes no value"). See \(path) --help")
        }
        if let letter = UInt8(exactly: refused), letter > 0 {
            return unknown("option", "-\(Character(UnicodeScalar(letter)))", names, path)
        }
        let index = Int(getopt_next()) - 1
        let word = argv.indices.contains(index) ? argv[index].map { String(cString: $0) } : nil
        return unknown("option", word ?? "", names, path)
    }

    private func check(_ parsed: ParsedArguments, _ command: Command, _ path: String) throws {
        if parsed.words.count > command.arguments.count {
            throw UsageError("unexpected \"\(parsed.words[command.arguments.count])\"; see \(path) --help")
        }
        if parsed.words.count < command.arguments.count {
            throw UsageError("<\(command.arguments[parsed.words.count].name)> is missing; see \(path) --help")
        }
    }

    private func unknown(_ kind: String, _ word: String, _ known: [String], _ path: String) -> UsageError {
        let bare = String(word.drop { $0 == "-" }.prefix { $0 != "=" })
        let shown = kind == "option" ? String(word.prefix { $0 != "=" }) : word
        var message = "unknown \(kind) \"\(shown)\""
        if let nearest = NearestName.find(bare, among: known) {
            message += "; did you mean \(kind == "option" && word.hasPrefix("--") ? "--" : "")\(nearest)?"
        }
        return UsageError(message + " See \(path) --help")
    }

    private static let help = "help"
    /// Above every character, which getopt_long returns for short options and errors.
    private static let firstOption: Int32 = 256
}
