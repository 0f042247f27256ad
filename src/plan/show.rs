//! A plan as people read it before they say yes.

use super::{Action, Plan};
use crate::spec::spell;
use std::fmt::Write as _;
use std::time::Duration;

/// The plan as text: what, in which order, and the notes.
pub fn show(plan: &Plan) -> String {
    let mut text = format!("{} {}\n", plan.verb, plan.fleet.name);
    if plan.steps.is_empty() {
        text.push_str("  nothing to do\n");
    }
    for (n, step) in plan.steps.iter().enumerate() {
        let _infallible = writeln!(text, "  {}. {}{}", n + 1, step.title, details(&step.action));
    }
    for line in plan.estimate.iter().flat_map(|estimate| estimate.lines()) {
        let _infallible = writeln!(text, "  {line}");
    }
    for note in &plan.notes {
        let _infallible = writeln!(text, "  note: {note}");
    }
    text
}

fn details(action: &Action) -> String {
    match action {
        Action::Capacity(ladder) => format!(
            ": {} spot, {} on-demand; {} in {}{}",
            ladder.spot,
            ladder.on_demand,
            ladder.types.join(" "),
            ladder.subnets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            if ladder.fallback && ladder.spot > 0 { "; on-demand where spot has no room" } else { "" },
        ),
        Action::Epoch { wanted, expires_seconds, grouped, .. } => format!(
            ": image {}, {} root{}, IMDSv2 {}, {} after {}",
            wanted.image,
            if wanted.root_encrypted { "encrypted" } else { "UNENCRYPTED" },
            wanted.root_gib.map(|gib| format!(" of {gib} GiB")).unwrap_or_default(),
            if wanted.metadata_tokens_required { "required" } else { "OPTIONAL" },
            if *grouped { "the group ends them" } else { "hosts end themselves" },
            spell(Duration::from_secs(expires_seconds.unsigned_abs())),
        ),
        Action::Group(group) | Action::GroupFollows(group) => format!(
            ": {} on-demand and {} % of the others; {} in {}",
            group.base,
            group.percent,
            group.types.join(" "),
            group.subnets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        ),
        Action::Refresh { preferences, .. } => format!(
            ": {} to {} % healthy, {} s each{}",
            preferences.min_healthy,
            preferences.max_healthy,
            preferences.warmup,
            if preferences.skip_matching { ", those that match stay" } else { "" },
        ),
        Action::Image(request) => {
            format!(" of {}{}", request.instance, if request.no_reboot { "" } else { " (it is rebooted)" })
        }
        Action::Canary { within, .. } => format!(", within {} s", within.as_secs()),
        Action::Quiet { seconds } => format!(", {seconds} s"),
        // Their titles say it all.
        _ => String::new(),
    }
}
