//! Prints a result to stdout in the form that `-o` asks for.

use serde::Serialize;
use std::io::{self, Write};

/// `-o`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One object, indented.
    Json,
    /// One object or event a line.
    Jsonl,
    /// The object of `json` as YAML.
    Yaml,
}

/// Prints one result: `table` makes its form for people.
///
/// # Errors
///
/// When stdout can't be written to; a reader that went away is `BrokenPipe`, which ends the program quietly.
pub fn print<T: Serialize>(
    out: &mut dyn Write,
    format: Format,
    value: &T,
    table: impl FnOnce() -> String,
) -> io::Result<()> {
    let mut text = match format {
        Format::Table => table(),
        Format::Json => serde_json::to_string_pretty(value)?,
        Format::Jsonl => serde_json::to_string(value)?,
        Format::Yaml => serde_yaml::to_string(value).map_err(io::Error::other)?,
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Answer {
        name: &'static str,
        hosts: Vec<u32>,
    }

    fn printed(format: Format) -> String {
        let mut out = Vec::new();
        print(&mut out, format, &Answer { name: "on", hosts: vec![1, 2] }, || "NAME\non".into()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn four_forms_of_one_answer() {
        assert_eq!(printed(Format::Table), "NAME\non\n");
        assert_eq!(printed(Format::Jsonl), "{\"name\":\"on\",\"hosts\":[1,2]}\n");
        assert_eq!(printed(Format::Yaml), "name: on\nhosts:\n- 1\n- 2\n");
        let json: serde_json::Value = serde_json::from_str(&printed(Format::Json)).unwrap();
        assert_eq!(json, serde_json::json!({"name": "on", "hosts": [1, 2]}));
    }
}
