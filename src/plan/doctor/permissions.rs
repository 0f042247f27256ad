//! What these credentials may do: EC2's own answers to dry runs, and for the rest what a harmless read told.

use super::finding::Notes;
use crate::exit::Exit;
use crate::model::checkup::{Checkup, Permission, Refused, Trial};
use crate::spec::Fleet;

/// Calls that are asked about and need something to be there, with what it is.
const NEED: [(&str, &str); 6] = [
    ("CreateFleet", "the fleet has no launch template yet"),
    ("CreateImage", "the template instance was not found"),
    ("TerminateInstances", "no host is there to ask about"),
    ("CreateTags", "no host is there to ask about"),
    ("DeregisterImage", "the fleet has no image yet"),
    ("DeleteLaunchTemplate", "the fleet has no launch template yet"),
];

/// Calls that no dry run can ask about, with what it would take.
const UNASKED: [&str; 2] = ["ec2:DeleteVolume", "ec2:DeleteSnapshot"];

pub(super) fn judge(fleet: &Fleet, checkup: &Checkup, notes: &mut Notes) {
    reads(checkup, notes);
    for (trial, permission) in &checkup.trials {
        let check = format!("ec2:{}", trial.action());
        match permission {
            Permission::Allowed => {
                notes.ok(&check, "a dry run would have been carried out");
                if let Trial::Launch(launch) = trial
                    && let Some(profile) = &launch.profile
                {
                    notes.ok("iam:PassRole", format!("the role of {profile} may be passed to hosts"));
                }
            }
            // What a launch names is looked up before permissions are.
            Permission::Unclear(fault) if matches!(trial, Trial::Launch(_)) && fault.code.ends_with(".NotFound") => {
                notes.problem(&check, Exit::Usage, fault.to_string(), "correct it in the spec, or make it first");
            }
            Permission::Unclear(fault) => {
                notes.unseen(&check, fault);
                if matches!(trial, Trial::Launch(launch) if launch.profile.is_some()) {
                    notes.unchecked("iam:PassRole", "the dry run of a launch came to no answer");
                }
            }
            Permission::Refused(refused) => refusal(trial, &check, refused, notes),
        }
    }
    if fleet.fleet.is_none() && fleet.template.is_none() {
        return;
    }
    let asked = |action: &str| checkup.trials.iter().any(|(trial, _)| trial.action() == action);
    for (action, why) in NEED {
        let wanted = match action {
            "CreateImage" => fleet.template.is_some(),
            _ => fleet.fleet.is_some(),
        };
        if wanted && !asked(action) {
            let why =
                if action == "CreateImage" && fleet.build().is_some() { "the template is not built yet" } else { why };
            notes.unchecked(&format!("ec2:{action}"), why);
        }
    }
    if fleet.fleet.is_some() && !asked("RunInstances") && checkup.images.is_some() {
        notes.unchecked("ec2:RunInstances", "there is neither an image of the fleet nor a template to ask with");
    }
    for action in UNASKED.iter().filter(|_| fleet.fleet.is_some()) {
        notes.unchecked(action, "only leftovers need it, and there is none to ask about");
    }
}

/// What every verb looks at first: seen here as it would be there.
fn reads(checkup: &Checkup, notes: &mut Notes) {
    let template = checkup.template.as_ref().map(|seen| seen.as_ref().map(drop));
    let hosts = checkup.hosts.as_ref().map(|seen| seen.as_ref().map(drop));
    for (check, seen) in [
        ("ec2:DescribeInstances", hosts.or(template)),
        ("ec2:DescribeImages", checkup.images.as_ref().map(|seen| seen.as_ref().map(drop))),
        ("ec2:DescribeLaunchTemplates", checkup.launch_template.as_ref().map(|seen| seen.as_ref().map(drop))),
    ] {
        match seen {
            None => {}
            Some(Ok(())) => notes.ok(check, "answered"),
            Some(Err(fault)) => notes.needed(check, fault),
        }
    }
}

fn refusal(trial: &Trial, check: &str, refused: &Refused, notes: &mut Notes) {
    let on = refused.resource.as_ref().map(|resource| format!(" on {resource}")).unwrap_or_default();
    let how = match (refused.explicit, &refused.undecoded) {
        (Some(true), _) => ": a statement denies it".to_owned(),
        (Some(false), _) => ": no statement allows it".to_owned(),
        (None, Some(why)) => format!(" (the reason is not decoded: {why})"),
        (None, None) => String::new(),
    };
    // Asked about the template's own image: a policy that allows only the fleet's images refuses rightly.
    if let Trial::Launch(launch) = trial
        && !launch.own_image
        && refused.action == "ec2:RunInstances"
    {
        let why = format!("refused for {}, the template's own image{how}", launch.image);
        return notes
            .unchecked(check, format!("{why}; a policy may allow the fleet's images only: ask again after bake"));
    }
    let fix = match refused.explicit {
        Some(true) => format!(
            "find the statement that denies {} (a boundary or an organisation's policy, perhaps)",
            refused.action
        ),
        Some(false) | None => {
            format!(
                "add {} to the policy of these credentials; docs/iam-policy.json has all that is needed",
                refused.action
            )
        }
    };
    notes.problem(&refused.action, Exit::Denied, format!("{} is missing{on}{how}", refused.action), fix);
    if refused.action != check {
        notes.unchecked(check, format!("{} was refused first", refused.action));
    }
}
