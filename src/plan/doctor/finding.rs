//! One line of the verdict, and the notes that it is written in.
//!
//! A check says `ok` only of what was seen to be well. What could not be seen is `not checked`, with the reason; what was
//! seen to be wrong is a problem, with the command that mends it.

use crate::exit::Exit;
use crate::model::{Fault, FaultKind};
use schemars::JsonSchema;
use serde::Serialize;

/// What a check is about; the order in which findings are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// How AWS is reached from here.
    #[default]
    Way,
    /// Whose account, where, until when.
    Account,
    /// What these credentials may do.
    Permissions,
    /// Template, image, types.
    Machines,
    /// Subnets and their addresses.
    Network,
    /// vCPUs.
    Quotas,
    /// Roles, profiles, keys: what AWS itself must be allowed.
    Keys,
    /// The job's queue.
    Queue,
}

impl Group {
    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Way => "the way to AWS",
            Self::Account => "account",
            Self::Permissions => "permissions",
            Self::Machines => "machines",
            Self::Network => "network",
            Self::Quotas => "quotas",
            Self::Keys => "roles and keys",
            Self::Queue => "queue",
        }
    }
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Seen, and well.
    Ok,
    /// Seen, and in the way.
    Problem,
    /// Seen, and no good, but not in the way.
    Warning,
    /// Not seen.
    NotChecked,
}

/// One line of the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// What it is about.
    pub group: Group,
    /// The check's name, the same in every run: `session`, `subnets`, `ec2:RunInstances` ..
    pub check: String,
    /// What came of it.
    pub state: State,
    /// What was found, or why nothing was.
    pub found: String,
    /// What to type or to do about it.
    pub fix: Option<String>,
    /// How it alone would end the process; absent for what is not wrong.
    #[serde(skip)]
    pub exit: Option<Exit>,
}

/// Findings as they come.
#[derive(Debug, Default)]
pub(super) struct Notes {
    group: Group,
    pub(super) findings: Vec<Finding>,
}

impl Notes {
    /// What follows is about this.
    pub(super) fn begin(&mut self, group: Group) {
        self.group = group;
    }

    fn note(&mut self, check: &str, state: State, found: String, fix: Option<String>, exit: Option<Exit>) {
        self.findings.push(Finding { group: self.group, check: check.to_owned(), state, found, fix, exit });
    }

    /// Seen, and well.
    pub(super) fn ok(&mut self, check: &str, found: impl Into<String>) {
        self.note(check, State::Ok, found.into(), None, None);
    }

    /// Seen, and in the way.
    pub(super) fn problem(&mut self, check: &str, exit: Exit, found: impl Into<String>, fix: impl Into<String>) {
        self.note(check, State::Problem, found.into(), Some(fix.into()), Some(exit));
    }

    /// Seen, and no good.
    pub(super) fn warning(&mut self, check: &str, found: impl Into<String>, fix: impl Into<String>) {
        self.note(check, State::Warning, found.into(), Some(fix.into()), None);
    }

    /// Not looked at.
    pub(super) fn unchecked(&mut self, check: &str, why: impl Into<String>) {
        self.note(check, State::NotChecked, why.into(), None, None);
    }

    /// Looked at in vain. A network or an AWS that fails is wrong by itself; a look that is not allowed is merely no look.
    pub(super) fn unseen(&mut self, check: &str, fault: &Fault) {
        let exit = (fault.kind.retryable()).then_some(Exit::Unavailable);
        self.note(check, State::NotChecked, fault.to_string(), Some(fault.reason.clone()), exit);
    }

    /// Looked at in vain, and every verb has to look there: without that permission none can work.
    pub(super) fn needed(&mut self, check: &str, fault: &Fault) {
        if fault.kind == FaultKind::Denied {
            self.problem(check, Exit::Denied, fault.to_string(), fault.reason.clone());
        } else {
            self.unseen(check, fault);
        }
    }
}
