/// The help of a command as text.
struct CommandHelp {
    let command: Command
    /// All words up to the command.
    let path: String

    /// Columns of a line.
    private static let width = 100
    /// Longest left column; longer entries have a line of their own.
    private static let leftColumn = 28

    var text: String {
        var lines = [command.abstract, "", "Usage: " + usage]
        if !command.discussion.isEmpty { lines += ["", command.discussion] }
        if !command.arguments.isEmpty {
            lines += ["", "Arguments:"]
            for argument in command.arguments { lines += entry("<\(argument.name)>", argument.help) }
        }
        if !command.subcommands.isEmpty {
            lines += ["", "Commands:"]
            for subcommand in command.subcommands { lines += entry(subcommand.name, subcommand.abstract) }
            lines += ["", "\(path) <command> --help says more about one."]
        } else {
            lines += ["", "Options:"]
            for option in command.options {
                lines += entry("--" + option.name + (option.value.map { " <\($0)>" } ?? ""), option.help)
            }
            lines += entry("-h, --help", "Prints this.")
        }
        return lines.joined(separator: "\n")
    }

    private var usage: String {
        if !command.subcommands.isEmpty { return path + " <command>" }
        var words = [path]
        if !command.options.isEmpty { words.append("[options]") }
        words += command.arguments.map { "<\($0.name)>" }
        return words.joined(separator: " ")
    }

    private func entry(_ left: String, _ right: String) -> [String] {
        var lines: [String] = []
        var line = "  " + left
        if left.utf8.count > Self.leftColumn - 2 {
            lines.append(line)
            line = ""
        }
        line += String(repeating: " ", count: max(0, Self.leftColumn + 2 - line.utf8.count))
        var isFirst = true
        for word in right.split(separator: " ") {
            if !isFirst, line.utf8.count + 1 + word.utf8.count > Self.width {
                lines.append(line)
                line = String(repeating: " ", count: Self.leftColumn + 2)
                isFirst = true
            }
            line += (isFirst ? "" : " ") + word
            isFirst = false
        }
        return lines + [line]
    }
}
