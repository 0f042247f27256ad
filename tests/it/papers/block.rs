//! Fenced blocks of a paper, and the commands in them.

/// One fenced block.
pub(super) struct Block {
    /// `README.md`.
    pub(super) paper: String,
    /// The line of its first line of text, from 1.
    pub(super) line: usize,
    /// `sh`, `console`, `yaml`, `json`, `text`.
    pub(super) language: String,
    /// What is between the fences.
    pub(super) text: String,
}

/// One command, and what is shown of its output.
pub(super) struct Command {
    /// `README.md:12`.
    pub(super) place: String,
    /// The line below the command, from 0: where its output is shown.
    pub(super) below: usize,
    /// As the shell gets it.
    pub(super) text: String,
    /// The lines below it, in a `console` block.
    pub(super) shown: Option<String>,
}

/// Every fenced block of a paper.
pub(super) fn blocks(paper: &str, text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (line, n) in text.lines().zip(1..) {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                let (paper, language) = (paper.to_owned(), language.trim().to_owned());
                open = Some(Block { paper, line: n + 1, language, text: String::new() });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{paper} ends within a block");
    found
}

impl Block {
    /// `README.md:12`, of a line counted from 0.
    fn place(&self, line: usize) -> String {
        format!("{}:{}", self.paper, self.line + line)
    }

    /// The commands of an `sh` or a `console` block; a backslash at the end of a line goes on with the next.
    pub(super) fn commands(&self) -> Vec<Command> {
        let mut found: Vec<Command> = Vec::new();
        let console = self.language == "console";
        let mut goes_on = false;
        for (line, n) in self.text.lines().zip(0..) {
            let command = if console { line.strip_prefix("$ ") } else { Some(line).filter(|line| !line.is_empty()) };
            match (command, found.last_mut()) {
                (_, Some(last)) if goes_on => {
                    last.text.push('\n');
                    last.text.push_str(line.strip_prefix("> ").unwrap_or(line));
                    last.below += 1;
                }
                (Some(text), _) => {
                    let shown = console.then(String::new);
                    found.push(Command { place: self.place(n), below: self.line + n, text: text.to_owned(), shown });
                }
                (None, Some(Command { shown: Some(shown), .. })) => {
                    shown.push_str(line);
                    shown.push('\n');
                    continue;
                }
                (None, _) => assert!(line.is_empty(), "{}: output without a command: {line}", self.place(n)),
            }
            goes_on = line.ends_with('\\');
        }
        found
    }
}

#[test]
fn blocks_have_commands_and_what_they_print() {
    let text = "# Head\n```sh\na 1   # why\n\nb \\\n  2\n```\n\n```console\n$ c\none\n\n$ d\n```\n";
    let blocks = blocks("x.md", text);
    let commands: Vec<Command> = blocks.iter().flat_map(Block::commands).collect();
    let told: Vec<(&str, &str, Option<&str>)> =
        commands.iter().map(|c| (c.place.as_str(), c.text.as_str(), c.shown.as_deref())).collect();
    let wanted = [
        ("x.md:3", "a 1   # why", None),
        ("x.md:5", "b \\\n  2", None),
        ("x.md:10", "c", Some("one\n\n")),
        ("x.md:13", "d", Some("")),
    ];
    assert_eq!(told, wanted);
}
