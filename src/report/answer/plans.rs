//! What `plan` answers, and every verb under `--dry-run`.

use super::Answer;
use crate::plan::{Plan, show};
use crate::report::table::{self, Column};
use crate::spec::Value;
use crate::spec::origin::Origin;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write as _;

/// What verbs would do.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Plans {
    /// One for each verb, in the order in which they would run.
    pub plans: Vec<Plan>,
    /// The values of the spec that these verbs use, each with what it comes from.
    pub values: Vec<Value>,
    /// Whether people see every value, too.
    #[serde(skip)]
    pub every_value: bool,
}

impl Answer for Plans {
    fn page(&self, width: Option<u16>) -> String {
        let mut page: String = self.plans.iter().map(show::show).collect();
        page.push_str(&self.values_page(width));
        page
    }
}

impl Plans {
    /// What does not stand in the file is listed; how much does is counted.
    fn values_page(&self, width: Option<u16>) -> String {
        let hidden = |value: &&Value| !self.every_value && matches!(value.from, Origin::File | Origin::Default);
        let (counted, listed): (Vec<_>, Vec<_>) = self.values.iter().partition(hidden);
        let mut page = String::new();
        if !listed.is_empty() {
            page.push_str("values\n");
            let row = |value: &&Value| vec![format!("  {}", value.path), value.value.clone(), source(value)];
            let rows: Vec<_> = listed.iter().map(row).collect();
            page.push_str(&table::render(&[Column::keep(""), Column::wrap(""), Column::wrap("")], &rows, width));
        }
        let count = |from| counted.iter().filter(|value| value.from == from).count();
        let (file, default) = (count(Origin::File), count(Origin::Default));
        if file + default > 0 {
            let more = if listed.is_empty() { "values:" } else { "  and" };
            let _infallible =
                writeln!(page, "{more} {file} from the file, {default} by default (plan --values lists them)");
        }
        page
    }
}

/// What a value comes from, as people read it.
fn source(value: &Value) -> String {
    let place = value.place.as_deref().unwrap_or_default();
    match value.from {
        Origin::File => place.to_owned(),
        Origin::Set => value.place.clone().unwrap_or_else(|| "--set".to_owned()),
        Origin::FleetwrightSet => "FLEETWRIGHT_SET".to_owned(),
        Origin::Region => "--region".to_owned(),
        Origin::Environment => {
            let names: Vec<String> = value.variables.iter().map(|name| format!("${name}")).collect();
            format!("environment: {}", names.join(", "))
        }
        Origin::Template => format!("template {place}"),
        Origin::Image => format!("image {place}"),
        Origin::Default => "default".to_owned(),
    }
}
