//! Filters of the Describe calls: every name must match, any of its values, with `*` and `?`.

use super::params::{Node, invalid};
use super::records::Tags;
use crate::sim::api::ApiError;

/// Filters as given, their names checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Filters(Vec<(String, Vec<String>)>);

/// EC2 refuses a filter with more values than this.
const MOST_VALUES: usize = 200;

impl Filters {
    /// Reads `Filter.n`; a name that is not in `known` is an error, `tag:<key>` and `tag-key` stand in it as `tag`.
    pub(super) fn read(params: &Node, known: &[&str]) -> Result<Self, ApiError> {
        let mut filters = Vec::new();
        for node in params.list("Filter") {
            let name = node.need("Name").map_err(|_| super::params::missing("Filter.Name"))?.to_owned();
            let tagged = name == "tag-key" || name.strip_prefix("tag:").is_some_and(|key| !key.is_empty());
            if !(known.contains(&name.as_str()) || tagged && known.contains(&"tag")) {
                return Err(invalid(format!("The filter '{name}' is invalid")));
            }
            let values = node.texts("Value");
            if values.is_empty() {
                return Err(invalid(format!("The filter '{name}' has no values")));
            }
            if values.len() > MOST_VALUES {
                return Err(ApiError::new(
                    "FilterLimitExceeded",
                    format!("The maximum number of filter values is {MOST_VALUES}"),
                ));
            }
            filters.push((name, values));
        }
        Ok(Self(filters))
    }

    /// Whether something with these facts passes. Tag filters are answered from `tags`, the others by `facts`.
    pub(super) fn pass(&self, tags: &Tags, facts: impl Fn(&str) -> Vec<String>) -> bool {
        self.0.iter().all(|(name, patterns)| {
            let values = match name.strip_prefix("tag:") {
                Some(key) => tags.get(key).cloned().into_iter().collect(),
                None if name == "tag-key" => tags.keys().cloned().collect(),
                None => facts(name),
            };
            values.iter().any(|value| patterns.iter().any(|pattern| like(pattern, value)))
        })
    }
}

/// Whether a value matches a pattern: `*` any run, `?` any character, backslash takes the next one as it is.
fn like(pattern: &str, value: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let value: Vec<char> = value.chars().collect();
    let (mut p, mut v) = (0, 0);
    // Where to go on when what follows the last star did not fit.
    let mut again: Option<(usize, usize)> = None;
    while v < value.len() {
        let (fits, step) = match pattern.get(p) {
            Some('*') => {
                again = Some((p + 1, v));
                p += 1;
                continue;
            }
            Some('?') => (true, 1),
            Some('\\') if p + 1 < pattern.len() => (pattern[p + 1] == value[v], 2),
            Some(c) => (*c == value[v], 1),
            None => (false, 0),
        };
        if fits {
            p += step;
            v += 1;
        } else if let Some((star, from)) = again {
            (p, v) = (star, from + 1);
            again = Some((star, from + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, value, fits) in [
            ("running", "running", true),
            ("Running", "running", false),
            ("run*", "running", true),
            ("*n?ng", "running", true),
            ("*", "", true),
            ("?", "", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            ("**x", "yx", true),
        ] {
            assert_eq!(like(pattern, value), fits, "{pattern} {value}");
        }
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        let params = Node::from_pairs([("Filter.1.Name", "instance-colour"), ("Filter.1.Value.1", "blue")]);
        let error = Filters::read(&params, &["instance-id", "tag"]).unwrap_err();
        assert_eq!(error.message, "The filter 'instance-colour' is invalid");
        let params = Node::from_pairs([("Filter.1.Name", "tag:a"), ("Filter.1.Value.1", "b")]);
        let filters = Filters::read(&params, &["tag"]).unwrap();
        assert!(filters.pass(&Tags::from([("a".into(), "b".into())]), |_| Vec::new()));
        assert!(!filters.pass(&Tags::from([("A".into(), "b".into())]), |_| Vec::new()));
        assert!(Filters::read(&params, &["instance-id"]).is_err());
    }
}
