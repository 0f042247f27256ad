//! A small XML writer: elements, text and AWS's `<item>` lists, escaped.

use std::fmt::{Display, Write};

/// XML being written; elements nest through closures, so that every tag is closed.
#[derive(Debug, Default)]
pub(crate) struct Xml(String);

impl Xml {
    /// An empty fragment: no declaration, no root.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// `<name>value</name>`, with the value escaped.
    pub(crate) fn text(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.start(name);
        escape(&mut self.0, &value.to_string());
        self.end(name);
        self
    }

    /// As [`Self::text`] for a value that is there; nothing otherwise.
    pub(crate) fn opt(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.text(name, value);
        }
        self
    }

    /// `<name>..</name>` around what `fill` writes.
    pub(crate) fn open(&mut self, name: &str, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.start(name);
        fill(self);
        self.end(name);
        self
    }

    /// `<name><item>..</item>..</name>`, one item for each element.
    pub(crate) fn list<I: IntoIterator>(
        &mut self,
        name: &str,
        items: I,
        mut fill: impl FnMut(&mut Self, I::Item),
    ) -> &mut Self {
        self.open(name, |xml| {
            for item in items {
                xml.open("item", |xml| fill(xml, item));
            }
        })
    }

    /// What was written.
    pub(crate) fn finish(self) -> String {
        self.0
    }

    fn start(&mut self, name: &str) {
        // Writing to a string cannot fail.
        let _infallible = write!(self.0, "<{name}>");
    }

    fn end(&mut self, name: &str) {
        let _infallible = write!(self.0, "</{name}>");
    }
}

/// Escapes what XML 1.0 text may not hold; control characters that it cannot hold at all become U+FFFD.
fn escape(into: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\r' => into.push_str("&#xD;"),
            '\n' | '\t' => into.push(character),
            c if u32::from(c) < 0x20 => into.push('\u{FFFD}'),
            c => into.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_nest_and_text_is_escaped() {
        let mut xml = Xml::new();
        xml.open("a", |xml| {
            xml.text("b", "x < \"y\" & z").opt("c", None::<u32>).opt("d", Some(4));
        });
        xml.list("set", [1, 2], |xml, n| {
            xml.text("n", n);
        });
        assert_eq!(
            xml.finish(),
            "<a><b>x &lt; &quot;y&quot; &amp; z</b><d>4</d></a><set><item><n>1</n></item><item><n>2</n></item></set>"
        );
    }

    #[test]
    fn control_characters_do_not_break_the_document() {
        let mut xml = Xml::new();
        xml.text("t", "a\u{0}b\r\nc");
        assert_eq!(xml.finish(), "<t>a\u{FFFD}b&#xD;\nc</t>");
    }
}
