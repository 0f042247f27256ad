//! Reads EC2's query parameters (`Filter.1.Value.2=..`) as a tree.

use crate::sim::api::ApiError;
use std::collections::BTreeMap;
use std::str::FromStr;

/// One place in the tree: a value, and what lies below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::sim) struct Node {
    value: Option<String>,
    children: BTreeMap<String, Node>,
}

/// Deepest nesting that any EC2 parameter has is eight; deeper names are cut here instead of growing a tree.
const DEPTH: usize = 12;

impl Node {
    /// The tree of these pairs; a later pair wins over an earlier one of the same name.
    pub(in crate::sim) fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut root = Self::default();
        for (name, value) in pairs {
            let mut at = &mut root;
            for part in name.splitn(DEPTH, '.') {
                at = at.children.entry(part.to_owned()).or_default();
            }
            at.value = Some(value.to_owned());
        }
        root
    }

    /// What lies at a dotted path.
    pub(in crate::sim) fn at(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, part| node.children.get(part))
    }

    /// The value at a path, even if it is empty (tag values may be).
    pub(in crate::sim) fn raw(&self, path: &str) -> Option<&str> {
        self.at(path)?.value.as_deref()
    }

    /// The value at a path; EC2 takes an empty one as not given.
    pub(in crate::sim) fn text(&self, path: &str) -> Option<&str> {
        self.raw(path).filter(|value| !value.is_empty())
    }

    /// The value at a path as an owned string.
    pub(in crate::sim) fn string(&self, path: &str) -> Option<String> {
        self.text(path).map(str::to_owned)
    }

    /// The value at a path that must be there.
    pub(in crate::sim) fn need(&self, path: &str) -> Result<&str, ApiError> {
        self.text(path).ok_or_else(|| missing(path))
    }

    /// `true` or `false` at a path.
    pub(in crate::sim) fn flag(&self, path: &str) -> Result<Option<bool>, ApiError> {
        match self.text(path) {
            None => Ok(None),
            Some(word) if word.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(word) if word.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(word) => Err(invalid(format!("Invalid value '{word}' for {path}. Expecting a boolean."))),
        }
    }

    /// A number at a path.
    pub(in crate::sim) fn number<T: FromStr>(&self, path: &str) -> Result<Option<T>, ApiError> {
        self.text(path)
            .map(|word| word.parse().map_err(|_| invalid(format!("Invalid value '{word}' for {path}."))))
            .transpose()
    }

    /// The members of a list (`Name.1`, `Name.2` ..) in the order of their numbers.
    pub(in crate::sim) fn list(&self, path: &str) -> Vec<&Node> {
        self.at(path).map(Node::members).unwrap_or_default()
    }

    /// The values of a list.
    pub(in crate::sim) fn texts(&self, path: &str) -> Vec<String> {
        self.list(path).into_iter().filter_map(|node| node.value.clone()).collect()
    }

    /// This node's own value.
    pub(in crate::sim) fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// Named children in name order.
    pub(in crate::sim) fn children(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.children.iter().map(|(name, node)| (name.as_str(), node))
    }

    /// Numbered children in the order of their numbers; empty when this is no list.
    pub(in crate::sim) fn members(&self) -> Vec<&Node> {
        let mut members: Vec<(u32, &Node)> =
            self.children.iter().filter_map(|(name, node)| Some((name.parse().ok()?, node))).collect();
        members.sort_by_key(|(number, _)| *number);
        members.into_iter().map(|(_, node)| node).collect()
    }

    /// A list of these nodes.
    pub(in crate::sim) fn from_members(members: impl IntoIterator<Item = Node>) -> Self {
        let children = members.into_iter().enumerate().map(|(n, node)| ((n + 1).to_string(), node)).collect();
        Self { value: None, children }
    }

    /// Whether nothing is here.
    pub(in crate::sim) fn is_empty(&self) -> bool {
        self.value.is_none() && self.children.is_empty()
    }

    /// The same with one child set, or taken away when it is empty.
    pub(in crate::sim) fn with(mut self, name: &str, node: Node) -> Self {
        if node.is_empty() {
            self.children.remove(name);
        } else {
            self.children.insert(name.to_owned(), node);
        }
        self
    }

    /// This tree with every top-level parameter of `over` in place of its own.
    pub(in crate::sim) fn overlaid(&self, over: &Node) -> Self {
        let mut result = self.clone();
        result.children.extend(over.children.iter().map(|(name, node)| (name.clone(), node.clone())));
        result
    }
}

/// A parameter's name as answers have it: `ImageId` is `imageId`. What no XML element may hold is left out.
pub(in crate::sim) fn lower_first(name: &str) -> String {
    let mut letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

/// `MissingParameter`.
pub(super) fn missing(name: &str) -> ApiError {
    ApiError::new("MissingParameter", format!("The request must contain the parameter {name}"))
}

/// `InvalidParameterValue`.
pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterValue", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_in_the_order_of_their_numbers() {
        let pairs: Vec<(String, String)> = (1..=12).rev().map(|n| (format!("Id.{n}"), format!("v{n}"))).collect();
        let node = Node::from_pairs(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        let wanted: Vec<String> = (1..=12).map(|n| format!("v{n}")).collect();
        assert_eq!(node.texts("Id"), wanted);
    }

    #[test]
    fn an_overlay_replaces_whole_parameters() {
        let base = Node::from_pairs([("A.X", "1"), ("A.Y", "2"), ("B", "3")]);
        let both = base.overlaid(&Node::from_pairs([("A.X", "9")]));
        assert_eq!((both.text("A.X"), both.text("A.Y"), both.text("B")), (Some("9"), None, Some("3")));
    }

    #[test]
    fn wrong_values_are_named() {
        let node = Node::from_pairs([("MaxCount", "many"), ("Flag", "perhaps"), ("Empty", "")]);
        assert_eq!(node.number::<u32>("MaxCount").unwrap_err().code, "InvalidParameterValue");
        assert!(node.flag("Flag").unwrap_err().message.contains("perhaps"));
        assert_eq!(node.need("Empty").unwrap_err().code, "MissingParameter");
    }
}
