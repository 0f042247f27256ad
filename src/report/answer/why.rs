//! What `status --why HOST` answers: all that is known of one host, and what is waited for.

use super::Answer;
use crate::plan::boot::BootStep;
use crate::report::{escape, span};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One host, as closely as EC2 and the host itself tell.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Why {
    /// The instance id.
    pub host: String,
    /// Its slot; none where it never had one.
    pub slot: Option<u32>,
    /// EC2's word: `pending`, `running`, `shutting-down`, `terminated`, `stopping`, `stopped`.
    pub state: String,
    /// EC2's reason for its last change of state, where it gives one.
    pub reason: Option<String>,
    /// For example `m7i.large`.
    pub instance_type: String,
    /// `spot` or `on-demand`.
    pub market: String,
    /// Its availability zone.
    pub zone: String,
    /// Where SSH finds it, once EC2 has told it.
    pub address: Option<String>,
    /// When it was launched.
    pub launched: Timestamp,
    /// World seconds since then.
    pub age_seconds: i64,
    /// When it powers itself off.
    pub expires: Option<String>,
    /// Since when it is in quarantine; none where it is not.
    pub quarantined: Option<String>,
    /// The stations from launch to work.
    pub boot: Vec<BootStep>,
    /// What is waited for; none for a host that is up or that ended.
    pub waiting_for: Option<String>,
    /// The end of its console output: bounded, control characters shown. Empty until there is any.
    pub console: String,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

impl Answer for Why {
    fn page(&self, _: Option<u16>) -> String {
        let or_none =
            |text: &Option<String>| text.as_ref().map_or("-".to_owned(), |text| escape::line(text).into_owned());
        let name = self.slot.map_or_else(|| self.host.clone(), |slot| format!("#{slot} {}", self.host));
        let age = span(SignedDuration::from_secs(self.age_seconds));
        let mut text = format!("{name} is {}, launched {age} ago\n", self.state);
        let _infallible = writeln!(text, "reason   {}", or_none(&self.reason));
        let _infallible = writeln!(text, "machine  {} {} in {}", self.instance_type, self.market, self.zone);
        let _infallible = writeln!(text, "address  {}", or_none(&self.address));
        let _infallible = writeln!(text, "expires  {}", or_none(&self.expires));
        if let Some(since) = &self.quarantined {
            let _infallible = writeln!(
                text,
                "kept     out of the fleet's size and of work: in quarantine since {}",
                escape::line(since)
            );
        }
        for (n, step) in self.boot.iter().enumerate() {
            let head = if n == 0 { "boot" } else { "" };
            let _infallible = writeln!(text, "{head:<8} {} {}", if step.reached { "[x]" } else { "[ ]" }, step.what);
        }
        let waits = self.waiting_for.as_deref().unwrap_or("nothing");
        let _infallible = writeln!(text, "waits    for {}", escape::line(waits));
        let console = self.console.trim_end();
        text.push_str("console  ");
        text.push_str(if console.is_empty() { "(nothing yet)" } else { "ends:\n" });
        text + console + "\n"
    }
}
