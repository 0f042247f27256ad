//! Follows the quoting of a shell script, so that a value is only ever put where quoting it keeps it one literal word.
//!
//! Single quotes around a value protect it only where the shell reads plain text. Inside other quotes, comments,
//! here-documents, backticks or arithmetic they don't, and a hostile value would run. Wherever this reader can't be sure
//! it refuses: a wrong refusal costs the author a rewrite, a wrong permission would cost the host.

/// Where the reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// Plain text; counts open parentheses of the substitution that holds it.
    Plain { parens: u32 },
    /// Within double quotes; counts open `${`.
    Double { braces: u32 },
}

/// A stretch in which nothing but its own end means anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Nothing,
    Single,
    Comment,
}

/// Reads literal script text piece by piece.
#[derive(Debug)]
pub(super) struct ShellText {
    levels: Vec<Level>,
    inside: Inside,
    escaped: bool,
    /// The last two characters of meaning; `\n` at the beginning.
    before: (char, char),
    word: String,
    unsure: Option<&'static str>,
}

impl ShellText {
    pub(super) fn new() -> Self {
        Self {
            levels: vec![Level::Plain { parens: 0 }],
            inside: Inside::Nothing,
            escaped: false,
            before: ('\n', '\n'),
            word: String::new(),
            unsure: None,
        }
    }

    /// Reads literal text of the script.
    pub(super) fn literal(&mut self, text: &str) {
        for c in text.chars() {
            self.one(c);
        }
    }

    /// A value comes here: fine, or why not.
    pub(super) fn value(&mut self) -> Result<(), &'static str> {
        if let Some(why) = self.unsure {
            return Err(why);
        }
        match self.inside {
            Inside::Single => return Err("inside single quotes"),
            Inside::Comment => return Err("in a comment"),
            Inside::Nothing => {}
        }
        if self.escaped {
            return Err("after a backslash");
        }
        if matches!(self.levels.last(), Some(Level::Double { .. })) {
            return Err("inside double quotes");
        }
        if self.before.1 == '$' {
            return Err("after a dollar sign");
        }
        self.push('x');
        self.word.clear();
        Ok(())
    }

    fn push(&mut self, c: char) {
        self.before = (self.before.1, c);
    }

    fn one(&mut self, c: char) {
        match self.inside {
            Inside::Single if c == '\'' => {
                self.inside = Inside::Nothing;
                self.push('x');
                return;
            }
            Inside::Comment if c == '\n' => {
                self.inside = Inside::Nothing;
                self.push('\n');
                return;
            }
            Inside::Single | Inside::Comment => return,
            Inside::Nothing => {}
        }
        if self.escaped {
            self.escaped = false;
            if c != '\n' {
                self.push('x');
            }
            return;
        }
        if c == '\\' {
            self.escaped = true;
            return;
        }
        if c == '`' {
            self.unsure = Some("in a script that uses backticks: use $(...)");
        }
        match self.levels.last().copied() {
            Some(Level::Double { braces }) => self.in_double(c, braces),
            Some(Level::Plain { parens }) => self.in_plain(c, parens),
            None => {}
        }
    }

    fn in_double(&mut self, c: char, braces: u32) {
        let now = match c {
            '"' if braces > 0 => {
                self.unsure = Some("after double quotes within a quoted ${...}");
                Some(Level::Double { braces })
            }
            '"' => None,
            '{' if self.before.1 == '$' => Some(Level::Double { braces: braces + 1 }),
            '}' => Some(Level::Double { braces: braces.saturating_sub(1) }),
            _ => Some(Level::Double { braces }),
        };
        self.levels.pop();
        self.levels.extend(now);
        if now.is_none() {
            self.push('x');
            return;
        }
        if c == '(' && self.before.1 == '$' {
            self.levels.push(Level::Plain { parens: 1 });
        }
        self.push(c);
    }

    fn in_plain(&mut self, c: char, parens: u32) {
        if c.is_ascii_alphanumeric() || c == '_' {
            self.word.push(c);
        } else {
            if self.word == "case" && self.levels.len() > 1 {
                self.unsure = Some("after a case within \"$(...)\": its parentheses don't balance");
            }
            self.word.clear();
        }
        match c {
            '\'' if self.before.1 == '$' => {
                self.unsure = Some("after $'...', which shells read differently");
                self.inside = Inside::Single;
            }
            '\'' => self.inside = Inside::Single,
            '"' => self.levels.push(Level::Double { braces: 0 }),
            '#' if " \t\n;&|()<>".contains(self.before.1) => {
                self.inside = Inside::Comment;
                return;
            }
            '(' => {
                if self.before.1 == '(' {
                    self.unsure = Some("after (( or $((, where the shell computes");
                }
                self.set_parens(parens + 1);
            }
            ')' => {
                if self.levels.len() > 1 && parens <= 1 {
                    self.levels.pop();
                } else {
                    self.set_parens(parens.saturating_sub(1));
                }
            }
            '<' if self.before.1 == '<' => self.unsure = Some("after <<, in or behind a here-document: use put"),
            _ => {}
        }
        self.push(c);
    }

    fn set_parens(&mut self, parens: u32) {
        if let Some(level) = self.levels.last_mut() {
            *level = Level::Plain { parens };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a script in which `@` stands for a value; the first refusal, if any.
    fn read(script: &str) -> Result<(), &'static str> {
        let mut text = ShellText::new();
        for (i, piece) in script.split('@').enumerate() {
            if i > 0 {
                text.value()?;
            }
            text.literal(piece);
        }
        Ok(())
    }

    #[test]
    fn values_may_stand_in_plain_text() {
        for script in [
            "echo @",
            "a=@; echo \"$a\" @",
            "x=$(cat @)",
            "x=\"$(cat @)\"",
            "echo 'quoted' \"double $x\" --opt=@",
            "test a != b # why not\n cat @",
            "echo ${#x} $# a#b @",
            "case $x in a) echo @;; esac",
            "echo \\\" @",
            "echo \"a\\\"b\" @",
            "echo \"${x:-y}\" @",
            "( cd @ && ls ) > @",
        ] {
            assert_eq!(read(script), Ok(()), "{script}");
        }
    }

    #[test]
    fn values_elsewhere_are_refused() {
        for script in [
            "echo \"@\"",
            "echo '@'",
            "# @",
            "true;# @",
            "true &&# x\n # @",
            "echo \\@",
            "echo $@",
            "cat <<E\n@\nE\n",
            "echo `cat @`",
            "echo $((1 + @))",
            "x=\"$((@))\"",
            "(( @ ))",
            "echo $'it\\'s' @",
            "x=\"$(case a in a) echo \"@\" ;; esac)\"",
            "x=\"${y:-\"@\"}\"",
            "x=\"$(echo \"@\")\"",
            "sh -c 'echo @'",
        ] {
            assert!(read(script).is_err(), "{script}");
        }
    }
}
