//! `--plan FILE` of the verbs whose plans can be saved.

use super::request::Apply;
use clap::ValueHint;
use std::path::PathBuf;

// The help is that of the verb.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Savable<V: clap::Args> {
    #[command(flatten)]
    verb: V,
    /// Carry out a plan that `plan --out` saved, if it still holds
    ///
    /// It has the flags that it was made with. A plan that would come out otherwise today is refused.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = V::group_id())]
    plan: Option<PathBuf>,
}

impl<V: clap::Args> Savable<V> {
    /// The saved plan, or else the verb as said.
    pub(super) fn or(self, verb: &'static str) -> Result<Apply, V> {
        match self.plan {
            Some(file) => Ok(Apply { verb, file }),
            None => Err(self.verb),
        }
    }
}
