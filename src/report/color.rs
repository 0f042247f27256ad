//! When colour is used, and the few colours there are. Output must be readable without them.

use std::ffi::OsString;

/// `--color`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl When {
    /// Decides for one stream. The flag wins, then `NO_COLOR` (no-color.org: set and not empty), then `CLICOLOR_FORCE`,
    /// then `TERM=dumb` and `CLICOLOR=0`, then whether the stream is a terminal.
    pub fn decide(self, is_terminal: bool, env: impl Fn(&str) -> Option<OsString>) -> bool {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if set("NO_COLOR").is_some() => false,
            Self::Auto if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
            Self::Auto if set("TERM").is_some_and(|value| value == "dumb") => false,
            Self::Auto if set("CLICOLOR").is_some_and(|value| value == "0") => false,
            Self::Auto => is_terminal,
        }
    }
}

/// Colours, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    on: bool,
}

impl Style {
    /// With colour or without.
    pub fn new(on: bool) -> Self {
        Self { on }
    }

    /// Wraps text in one SGR sequence (ECMA-48).
    fn wrap(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Went well.
    pub fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Needs a look.
    pub fn warning(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// Went wrong.
    pub fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// What to type next.
    pub fn hint(self, text: &str) -> String {
        self.wrap("36", text)
    }

    /// Of less weight.
    pub fn faint(self, text: &str) -> String {
        self.wrap("2", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wins() {
        let decide = |when: When, terminal: bool, env: &[(&str, &str)]| {
            when.decide(terminal, |name| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        assert!(decide(When::Auto, true, &[]));
        assert!(!decide(When::Auto, false, &[]));
        assert!(decide(When::Always, false, &[("NO_COLOR", "1"), ("TERM", "dumb")]));
        assert!(!decide(When::Never, true, &[("CLICOLOR_FORCE", "1")]));
        assert!(!decide(When::Auto, true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]));
        assert!(decide(When::Auto, true, &[("NO_COLOR", "")]), "an empty NO_COLOR is none");
        assert!(decide(When::Auto, false, &[("CLICOLOR_FORCE", "1"), ("TERM", "dumb")]));
        assert!(!decide(When::Auto, false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!decide(When::Auto, true, &[("TERM", "dumb")]));
        assert!(!decide(When::Auto, true, &[("CLICOLOR", "0")]));
    }

    #[test]
    fn without_colour_text_stays_as_it_is() {
        assert_eq!(Style::new(false).bad("Error"), "Error");
        assert_eq!(Style::new(true).bad("Error"), "\x1b[1;31mError\x1b[0m");
    }
}
