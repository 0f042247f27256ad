//! How far a host has come on its way from launch to work, and what is waited for: a pure reading of what was seen.

use crate::model::InstanceState;
use schemars::JsonSchema;
use serde::Serialize;

/// What a look at one host brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootFacts {
    /// EC2's word.
    pub state: InstanceState,
    /// EC2's reason for its last change of state.
    pub reason: Option<String>,
    /// Whether it has an address of the kind that SSH is to use.
    pub addressed: bool,
    /// Whether its console has said anything.
    pub console: bool,
    /// Whether its host key is pinned.
    pub key_known: bool,
    /// Whether SSH let us in, else why not; none when it was not tried.
    pub login: Option<Result<(), String>>,
    /// The worker's unit, where the spec names one, and whether it is active, else what systemd said; none when nobody
    /// could ask.
    pub worker: Option<(String, Option<Result<(), String>>)>,
}

/// One station of a boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BootStep {
    /// What is true once it is reached.
    pub what: String,
    /// Whether it is.
    pub reached: bool,
}

/// The stations in order, and what the first that is not reached waits for; nothing for a host that is up or that ended.
pub fn boot(facts: &BootFacts) -> (Vec<BootStep>, Option<String>) {
    let step = |what: &str, reached: bool| BootStep { what: what.to_owned(), reached };
    let running = facts.state == InstanceState::Running;
    let entered = matches!(facts.login, Some(Ok(())));
    let mut steps = vec![
        (step("EC2 runs it", running), ec2(facts)),
        (step("it has an address", facts.addressed), "its address, which EC2 has not told yet".to_owned()),
        (step("its host key is known", facts.key_known), key(facts)),
        (step("SSH lets us in", entered), format!("SSH: {}", why(facts.login.as_ref()))),
    ];
    if let Some((service, asked)) = &facts.worker {
        let active = matches!(asked, Some(Ok(())));
        steps.push((step(&format!("{service} is active"), active), format!("{service}: {}", why(asked.as_ref()))));
    }
    let over = match facts.state {
        InstanceState::Pending | InstanceState::Running => false,
        InstanceState::Stopping | InstanceState::Stopped | InstanceState::ShuttingDown | InstanceState::Terminated => {
            true
        }
    };
    let waits = steps.iter().find(|(step, _)| !step.reached).map(|(_, waits)| waits.clone()).filter(|_| !over);
    (steps.into_iter().map(|(step, _)| step).collect(), waits)
}

fn ec2(facts: &BootFacts) -> String {
    let reason = facts.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("EC2 to start it: it is {}{reason}", facts.state)
}

fn key(facts: &BootFacts) -> String {
    if facts.console {
        "its host key: the console speaks, and shows none yet; cloud-init prints it late in the first boot".to_owned()
    } else {
        "its host key: EC2 shows no console output yet, which can take some minutes".to_owned()
    }
}

fn why(tried: Option<&Result<(), String>>) -> &str {
    match tried {
        Some(Err(why)) => why,
        Some(Ok(())) => "nothing",
        None => "not asked yet",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> BootFacts {
        BootFacts {
            state: InstanceState::Running,
            reason: None,
            addressed: true,
            console: true,
            key_known: true,
            login: Some(Ok(())),
            worker: Some(("fix".into(), Some(Ok(())))),
        }
    }

    fn waits(facts: &BootFacts) -> String {
        boot(facts).1.unwrap_or_default()
    }

    #[test]
    fn each_station_is_waited_for_in_its_turn() {
        assert_eq!(boot(&facts()).1, None);
        let inactive = BootFacts { worker: Some(("fix".into(), Some(Err("activating".into())))), ..facts() };
        assert_eq!(waits(&inactive), "fix: activating");
        let locked = BootFacts { login: Some(Err("no answer".into())), ..inactive };
        assert_eq!(waits(&locked), "SSH: no answer");
        let keyless = BootFacts { key_known: false, login: None, ..locked };
        assert!(waits(&keyless).contains("the console speaks"));
        let silent = BootFacts { console: false, ..keyless };
        assert!(waits(&silent).contains("no console output"));
        let nowhere = BootFacts { addressed: false, ..silent };
        assert!(waits(&nowhere).contains("address"));
        let pending = BootFacts { state: InstanceState::Pending, reason: Some("pending: x".into()), ..nowhere };
        assert_eq!(waits(&pending), "EC2 to start it: it is pending (pending: x)");
        let ended = BootFacts { state: InstanceState::Terminated, ..pending };
        assert_eq!(boot(&ended).1, None);
        assert!(boot(&ended).0.iter().all(|step| !step.reached));
        assert_eq!(boot(&BootFacts { worker: None, ..facts() }).0.len(), 4);
    }
}
