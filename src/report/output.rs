//! Prints an answer to stdout in the form that `-o` asks for.

use super::answer::{Answer, Versioned};
use super::prose;
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

/// Prints one answer; `width` is the terminal's, where `out` is one.
///
/// # Errors
///
/// When stdout can't be written to; a reader that went away is `BrokenPipe`, which ends the program quietly.
pub fn print(out: &mut dyn Write, format: Format, answer: &impl Answer, width: Option<u16>) -> io::Result<()> {
    let versioned = Versioned::new(answer);
    let text = match format {
        Format::Table => match width {
            Some(columns) if !answer.verbatim() => prose::fold(&answer.page(width), columns),
            _ => answer.page(None),
        },
        Format::Json => serde_json::to_string_pretty(&versioned)?,
        Format::Jsonl => serde_json::to_string(&versioned)?,
        Format::Yaml => yaml(&serde_json::to_value(&versioned)?)?,
    };
    self::text(out, &text)
}

/// A value as YAML. By way of JSON: the YAML writer would mark variants with tags, which `-o json` does not have.
///
/// # Errors
///
/// Never for JSON values.
pub fn yaml(value: &serde_json::Value) -> io::Result<String> {
    serde_yaml::to_string(value).map_err(io::Error::other)
}

/// Prints text as it is, its last line ended.
///
/// # Errors
///
/// As [`print()`].
pub fn text(out: &mut dyn Write, text: &str) -> io::Result<()> {
    let mut text = text.to_owned();
    end(&mut text);
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn end(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    #[derive(Serialize)]
    struct Hosts {
        name: &'static str,
        hosts: Vec<u32>,
    }

    impl Answer for Hosts {
        fn page(&self, width: Option<u16>) -> String {
            format!("NAME\n{}\n{width:?}", self.name)
        }
    }

    fn printed(format: Format) -> String {
        let mut out = Vec::new();
        print(&mut out, format, &Hosts { name: "on", hosts: vec![1, 2] }, Some(60)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn four_forms_of_one_answer() {
        assert_eq!(printed(Format::Table), "NAME\non\nSome(60)\n");
        assert_eq!(printed(Format::Jsonl), "{\"schema_version\":1,\"name\":\"on\",\"hosts\":[1,2]}\n");
        assert_eq!(printed(Format::Yaml), "schema_version: 1\nname: on\nhosts:\n- 1\n- 2\n");
        let json: serde_json::Value = serde_json::from_str(&printed(Format::Json)).unwrap();
        assert_eq!(json, serde_json::json!({"schema_version": 1, "name": "on", "hosts": [1, 2]}));
    }
}
