//! What a field takes: kinds of values with their bounds, and how they are said in words.

/// What a field takes. Bounds are inclusive; durations are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Keys of its own, which the table lists.
    Section {
        /// Keys of which exactly one must be there.
        one_of: &'static [&'static str],
    },
    /// The owner's own keys.
    Map {
        /// What a key must match.
        keys: &'static str,
        /// What each value is.
        of: &'static Kind,
        /// Most keys.
        most: Option<usize>,
    },
    /// Entries.
    List {
        /// What each entry is.
        of: &'static Kind,
        /// Fewest entries.
        least: usize,
        /// Most entries.
        most: Option<usize>,
    },
    /// One of several kinds.
    Either(&'static [Kind]),
    /// A whole number.
    Whole {
        /// The smallest.
        least: u64,
        /// The largest.
        most: u64,
    },
    /// `true` or `false`.
    Boolean,
    /// One of these words, each with what it means.
    Choice(&'static [(&'static str, &'static str)]),
    /// A duration such as `1h30m`.
    Duration {
        /// The shortest, seconds.
        least: u64,
        /// The longest, seconds.
        most: u64,
    },
    /// A whole percentage from `0%` to `100%`.
    Percent,
    /// A size in whole GiB such as `30GiB`.
    Gib {
        /// The smallest, GiB.
        least: u64,
        /// The largest, GiB.
        most: u64,
    },
    /// A price per hour such as `$0.06/h`.
    Price,
    /// A rate such as `7.5/s`.
    Rate,
    /// A text of some form.
    Text(Form),
    /// A file or folder, in these words.
    Path(&'static str),
    /// A text in which `{{ }}` stands for values.
    Template,
    /// A command for the shell.
    Command,
}

/// The form of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// What it is, in words.
    pub words: &'static str,
    /// What it matches, as a regular expression that JSON Schema's readers know.
    pub pattern: &'static str,
    /// Fewest and most characters, where the pattern does not say.
    pub length: Option<(usize, usize)>,
    /// Whether YAML may take a good value for a number or a boolean: `42`, `true`.
    pub bare: bool,
}

/// A section without alternatives.
pub(super) const SECTION: Kind = Kind::Section { one_of: &[] };

/// A command, or a list of words.
pub(super) const COMMAND: Kind =
    Kind::Either(&[Kind::Command, Kind::List { of: &Kind::Template, least: 1, most: None }]);

/// A place in S3.
pub(super) const S3: Kind = Kind::Text(Form {
    words: "`s3://BUCKET/PREFIX` of at most 300 characters",
    pattern: concat!(
        r"^(?=.{8,300}$)s3://(?!xn--|sthree-|amzn-s3-demo-|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+(/|$))(?![a-z0-9.-]*\.\.)",
        r"(?![a-z0-9.-]*(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)(/|$))[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        r"(/[A-Za-z0-9_-][A-Za-z0-9_.=+@-]*)*$"
    ),
    length: None,
    bare: false,
});

/// A key pair.
pub(super) const KEY_PAIR: Kind = word(
    "name of a key pair in EC2, not its file: without `/`, and not ending in `.pem`, `.pub` or `.ppk`",
    r"^(?!.*/)(?!.*\.(pem|pub|ppk)$)[^\n\r]*\S[^\n\r]*$",
    1,
    255,
);

/// A whole number within bounds.
pub(super) const fn whole(least: u64, most: u64) -> Kind {
    Kind::Whole { least, most }
}

/// A duration within bounds, seconds.
pub(super) const fn duration(least: u64, most: u64) -> Kind {
    Kind::Duration { least, most }
}

/// A text that YAML takes for nothing else.
pub(super) const fn text(words: &'static str, pattern: &'static str) -> Kind {
    Kind::Text(Form { words, pattern, length: None, bare: false })
}

/// A text of so many characters, which may look like a number.
pub(super) const fn word(words: &'static str, pattern: &'static str, least: usize, most: usize) -> Kind {
    Kind::Text(Form { words, pattern, length: Some((least, most)), bare: true })
}

/// One line of at most so many characters.
pub(super) const fn line(words: &'static str, most: usize) -> Kind {
    word(words, r"^[^\n\r]*\S[^\n\r]*$", 1, most)
}

/// Entries of a list, at least one.
pub(super) const fn list(of: &'static Kind, most: usize) -> Kind {
    Kind::List { of, least: 1, most: Some(most) }
}

impl Kind {
    /// The kind in words.
    pub fn words(&self) -> String {
        match self {
            Self::Section { .. } => "section".to_owned(),
            Self::Map { of, .. } => format!("section of own keys, each: {}", of.words()),
            Self::List { of, .. } => format!("list, each entry: {}", of.words()),
            Self::Either(kinds) => kinds.iter().map(Self::words).collect::<Vec<_>>().join("; or "),
            Self::Whole { .. } => "whole number".to_owned(),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Choice(words) => words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(" or "),
            Self::Duration { .. } => "duration".to_owned(),
            Self::Percent => "whole percentage".to_owned(),
            Self::Gib { .. } => "size in whole GiB".to_owned(),
            Self::Price => "price per hour".to_owned(),
            Self::Rate => "rate".to_owned(),
            Self::Text(form) => form.words.to_owned(),
            Self::Path(words) => (*words).to_owned(),
            Self::Template => "text with `{{ }}` templates".to_owned(),
            Self::Command => "command for `sh -c`".to_owned(),
        }
    }

    /// The bounds in words, as the values are written.
    pub fn bounds(&self) -> Option<String> {
        let entries = |most: &usize, what: &str| format!("at most {most} {what}");
        match self {
            Self::Whole { least, most } if least == most => Some(format!("only {least}")),
            Self::Whole { least, most } => Some(format!("{least} to {most}")),
            Self::Duration { least, most } => Some(format!("{} to {}", span(*least), span(*most))),
            Self::Percent => Some("0% to 100%".to_owned()),
            Self::Gib { least, most } => Some(format!("{least}GiB to {most}GiB")),
            Self::Price => Some("above $0/h".to_owned()),
            Self::Rate => Some("1/h to 1000000/s".to_owned()),
            Self::Text(Form { length: Some((least, most)), .. }) => Some(format!("{least} to {most} characters")),
            Self::List { least: 0, most: Some(most), .. } => Some(entries(most, "entries")),
            Self::List { least, most: Some(most), .. } => Some(format!("{least} to {most} entries")),
            Self::Map { most: Some(most), .. } => Some(entries(most, "keys")),
            Self::Section { .. }
            | Self::Map { .. }
            | Self::List { .. }
            | Self::Either(_)
            | Self::Boolean
            | Self::Choice(_)
            | Self::Text(_)
            | Self::Path(_)
            | Self::Template
            | Self::Command => None,
        }
    }

    /// The units that are written with the value.
    pub(super) fn unit(&self) -> Option<&'static str> {
        match self {
            Self::Duration { .. } => Some("d, h, m and s, written with it"),
            Self::Percent => Some("%, written with it"),
            Self::Gib { .. } => Some("MiB, GiB or TiB, written with it"),
            Self::Price => Some("US dollars per hour"),
            Self::Rate => Some("items per s, m or h, written with it"),
            Self::Section { .. }
            | Self::Map { .. }
            | Self::List { .. }
            | Self::Either(_)
            | Self::Whole { .. }
            | Self::Boolean
            | Self::Choice(_)
            | Self::Text(_)
            | Self::Path(_)
            | Self::Template
            | Self::Command => None,
        }
    }

    /// Keys of which exactly one must be there.
    pub fn one_of(&self) -> &'static [&'static str] {
        match self {
            Self::Section { one_of } => one_of,
            Self::List { of, .. } => of.one_of(),
            Self::Either(kinds) => kinds.iter().map(Self::one_of).find(|keys| !keys.is_empty()).unwrap_or_default(),
            Self::Map { .. }
            | Self::Whole { .. }
            | Self::Boolean
            | Self::Choice(_)
            | Self::Duration { .. }
            | Self::Percent
            | Self::Gib { .. }
            | Self::Price
            | Self::Rate
            | Self::Text(_)
            | Self::Path(_)
            | Self::Template
            | Self::Command => &[],
        }
    }
}

/// Seconds in the largest unit that divides them, as a spec takes them.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        s if s > 0 && s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s > 0 && s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s > 0 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
