//! `worker.drain` as user data carries it to the hosts: the payload that goes over SSH, written before any host has an id.

use super::push::files;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::model::{Address, InstanceId};
use crate::plan::play::{HostFacts, render};
use crate::plan::userdata::INSTANCE_ID;
use crate::spec::{Fleet, Playbook};
use crate::ssh::bundle;
use std::collections::BTreeMap;

/// Another id that no host has: what is rendered with it must differ in nothing but the id.
const OTHER_ID: &str = "%another--id%";

/// The drain playbook's steps as a tar.gz that the host unit carries out, [`INSTANCE_ID`] in place of the host's own id.
///
/// # Errors
///
/// When it can't be rendered, or does more with the host's id than to put it into a command.
pub fn carried(fleet: &Fleet, playbook: &Playbook) -> Result<Vec<u8>, Failure> {
    let refused =
        |why: String| Failure::to(Exit::Usage, format!("prepare {} for the hosts: {why}", playbook.file.display()));
    let files = files(playbook)?;
    let steps = |id: &str, slot: u32| {
        let facts = HostFacts {
            id: InstanceId::new(id),
            slot,
            address: Address { host: format!("{id}{slot}"), port: 0 },
            fleet: fleet.name.clone(),
            region: Some(fleet.region.clone()),
            release: None,
            // It may come from the environment, which no call's body may hold.
            queue_url: None,
        };
        let play = render(playbook, &BTreeMap::new(), &facts, &files).map_err(|error| refused(error.to_string()))?;
        Ok::<_, Failure>(play.steps)
    };
    let (ours, other) = (steps(INSTANCE_ID, 0)?, steps(OTHER_ID, 1)?);
    if format!("{ours:?}").replace(INSTANCE_ID, OTHER_ID) != format!("{other:?}") {
        return Err(refused("what it does depends on the host, and none is there yet when it is written".to_owned())
            .hint(
                "use {{ instance_id }} in `run`, `check` and `link` only, as it is, and neither `slot`, `address` nor `queue_url`",
            ));
    }
    bundle(&ours).map_err(|error| refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::load;
    use flate2::read::GzDecoder;
    use std::io::Read;

    /// The files of the bundle of a spec with this drain playbook, or why there is none.
    fn carry(drain: &str) -> Result<BTreeMap<String, String>, String> {
        let dir = tempfile::tempdir().unwrap();
        let spec = "version: 1\nname: five\naccount: '123456789012'\nregion: us-east-1\n\
            worker: {service: crawl, process: crawl.sh, drain: drain.yaml}\n";
        std::fs::write(dir.path().join("fleet.yaml"), spec).unwrap();
        std::fs::write(dir.path().join("drain.yaml"), drain).unwrap();
        let loaded = load(&dir.path().join("fleet.yaml"), &[], &|_| None).map_err(|problems| problems.render(false))?;
        let playbook = loaded.playbooks.drain.unwrap();
        let bytes = carried(&loaded.fleet, &playbook).map_err(|failure| failure.to_string())?;
        assert_eq!(bytes, carried(&loaded.fleet, &playbook).unwrap(), "the same steps make the same bytes");
        let mut archive = tar::Archive::new(GzDecoder::new(&bytes[..]));
        let files = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (entry.path().unwrap().display().to_string(), text)
        });
        Ok(files.collect())
    }

    #[test]
    fn steps_travel_with_a_place_for_the_host_s_id() {
        let files = carry("- {run: \"echo {{ instance_id }} {{ fleet }}\", timeout: 90s}\n- check: [test, -e, /a b]\n")
            .unwrap();
        assert_eq!(files["plan"], "step 0 90 0 run f0\nstep 1 300 0 check f1\n");
        assert_eq!(files["f0"].replace(['\'', '"'], ""), "echo @instance-id@ five");
        assert_eq!(files["f1"], "test -e '/a b'");
        assert!(files.contains_key("steps.sh"));
    }

    #[test]
    fn what_depends_on_a_host_is_refused() {
        for drain in [
            "- run: echo {{ instance_id | upper }}\n",
            "- put: {text: \"{{ instance_id }}\", to: /etc/id}\n",
            "- {run: \"true\", when: \"{{ slot | default(0) == 0 }}\"}\n",
            "- run: ping {{ address | default('nowhere') }}\n",
        ] {
            let why = carry(drain).unwrap_err();
            assert!(why.contains("depends on the host"), "{why}");
        }
        for (drain, word) in [
            ("- run: echo {{ slot }}\n", "slot"),
            ("- run: echo {{ queue_url }}\n", "queue_url"),
            ("- run: ping {{ address }}\n", "address"),
            ("- reboot: {}\n", "reboot"),
        ] {
            let why = carry(drain).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }
}
