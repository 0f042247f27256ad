//! Marks on single hosts, and their workers at rest: nothing but what carries this fleet's tag is touched.

use super::call::state;
use super::drain::STAYS;
use super::reach::unreached;
use super::scan::as_root;
use super::terminate::TAG_OFF;
use super::worker::STOP;
use super::{Steps, past};
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::engine::tools::Until;
use crate::engine::wait::Seen;
use crate::exit::Exit;
use crate::gate::Reason;
use crate::journal::History;
use crate::model::{GroupMember, Host, Instance, InstanceId, InstanceState, Mark, Tags, shell_word, tags};
use crate::plan::CONSISTENT;
use crate::ssh::{Input, Target};
use jiff::Timestamp;
use serde_json::json;

impl Steps {
    /// Puts a mark on a host, or takes it off; doing it twice is doing it once.
    pub(super) async fn put_mark(
        &self,
        step: &str,
        id: &InstanceId,
        mark: Mark,
        since: Option<Timestamp>,
    ) -> Result<Done, Failure> {
        self.may_change_tags("mark a host")?;
        if self.one_of_ours(id).await?.is_none() {
            return Ok(Done::unchanged(json!({}), format!("{id} is gone")));
        }
        let (key, ids) = (mark.key(), [id.to_string()]);
        let what = format!("change the tag {key} of {id}");
        let sent = async |done: Result<(), _>| done.map(|()| (ids.to_vec(), ()));
        let clients = &self.clients;
        if let Some(since) = since {
            let marked = Tags::default().with(key, since.to_string());
            let draft = async || clients.draft_tags(&ids, &marked).await;
            self.change(step, &what, draft, async |permit| sent(clients.create_tags(permit).await).await).await?;
        } else {
            let draft = async || clients.draft_untag(id.as_str(), key).await;
            self.change(step, &what, draft, async |permit| sent(clients.delete_tags(permit).await).await).await?;
        }
        Ok(Done::new(json!({}), format!("{key} is {}", if since.is_some() { "set" } else { "off" })))
    }

    /// Lets Auto Scaling keep a member of the fleet's group when the group gets smaller, or no longer.
    pub(super) async fn shield(&self, step: &str, name: &str, id: &InstanceId, on: bool) -> Result<Done, Failure> {
        self.may_change_tags("protect a host")?;
        let Some(member) = self.settled_member(step, name, id).await? else {
            return Ok(Done::unchanged(json!({}), format!("{id} is no member of {name} any more")));
        };
        if self.one_of_ours(id).await?.is_none() {
            return Ok(Done::unchanged(json!({}), format!("{id} is gone")));
        }
        let told = if on { "kept when the group gets smaller" } else { "kept no longer" };
        if member.protected == on {
            return Ok(Done::unchanged(json!({}), told));
        }
        self.change(
            step,
            &format!("change what {name} keeps"),
            async || self.clients.draft_shield(name, id, on).await,
            async |permit| self.clients.shield(permit).await.map(|()| (vec![id.to_string()], ())),
        )
        .await?;
        Ok(Done::new(json!({}), told))
    }

    /// A member of the group that stays in it, as it is once Auto Scaling takes protection for it: "in `InService`,
    /// `EnteringStandby` or `Standby`" (SetInstanceProtection). One that is launched a moment ago is waited for.
    async fn settled_member(&self, step: &str, name: &str, id: &InstanceId) -> Result<Option<GroupMember>, Failure> {
        let what = format!("{id} to be in service in {name}");
        let deadline = self.clock.now() + CONSISTENT;
        self.until(Until { step: step.to_owned(), what, good: 1, deadline }, async || {
            let group = self.clients.group_alone(name).await?;
            let member = group.and_then(|group| group.members.into_iter().find(|one| one.id == *id && !one.leaves()));
            Ok(match member {
                Some(member) if !member.settled() => Seen::NotYet(format!("it is {}", member.state).into()),
                settled => Seen::Good(settled),
            })
        })
        .await
    }

    /// Stops the worker, now and for the next boot. It gives back what it works on, or the queue takes it back in time.
    pub(super) async fn stop_worker(&self, id: &InstanceId) -> Result<Done, Failure> {
        self.on_worker(id, "systemctl stop {} && systemctl disable {}", "stop", "is stopped").await
    }

    /// Starts the worker, now and at the next boot.
    pub(super) async fn start_worker(&self, id: &InstanceId) -> Result<Done, Failure> {
        let start = "systemctl enable {} && systemctl start {} && systemctl is-active {}";
        self.on_worker(id, &format!("{STAYS}; {start}"), "start", "runs").await
    }

    async fn on_worker(&self, id: &InstanceId, command: &str, verb: &str, end: &str) -> Result<Done, Failure> {
        let service = self.worker()?.service.clone();
        let Some(instance) = self.one_of_ours(id).await? else {
            return Ok(Done::unchanged(json!({}), format!("{id} is gone")));
        };
        let cannot = |why: String| {
            Failure::to(Exit::Partial, format!("{verb} {service} on {id}: {why}"))
                .hint("the same command again tries again")
        };
        if instance.state != InstanceState::Running {
            return Err(cannot(format!("it is {}", instance.state)));
        }
        let address = self.address(&instance).ok_or_else(|| cannot("it has no address yet".to_owned()))?;
        if !self.learn(id).await? {
            return Err(cannot("its console shows no host key yet".to_owned()));
        }
        let host = Host { slot: 0, id: id.clone(), address, user: self.fleet.ssh.user.clone() };
        let session = self.reach.ssh.connect(&Target::of(&host), &self.reach.trust).await;
        let session = session.map_err(|fault| unreached(id, &fault).hint("the same command again tries again"))?;
        let command = as_root(&command.replace("{}", &shell_word(&service)));
        let what = format!("{verb} {service}");
        self.on_template(&session, id, &what, &command, Input::Empty, STOP).await?;
        session.close().await;
        Ok(Done::new(json!({}), format!("{service} {end}")))
    }

    /// Refuses to change tags without all that the campaign made sure of before.
    pub(super) fn may_change_tags(&self, what: &str) -> Result<(), Failure> {
        if self.caller != self.fleet.account || *self.clients.region() != self.fleet.region || !self.claim_held {
            return Err(Failure::to(Exit::Refused, format!("{what}: another account or region, or no claim")));
        }
        Ok(())
    }

    /// Whether a tag of ours may be changed: it carries our fleet's tag as read just now, and is not the template.
    pub(super) fn may_tag(&self, host: &Instance) -> bool {
        host.tags.get(tags::FLEET) == Some(self.fleet.name.as_str()) && self.fleet.template_instance() != Some(&host.id)
    }

    /// A live host of ours as it is now; none when it has ended.
    async fn one_of_ours(&self, id: &InstanceId) -> Result<Option<Instance>, Failure> {
        let found = self.read(&format!("look at {id}"), async || self.clients.instance(id).await).await?;
        let Some(host) = found.filter(|host| host.state.live()) else { return Ok(None) };
        if past::disguised(&History::read(&self.state).map_err(state)?, &self.fleet.name)(&host) {
            return Err(Failure::new(Exit::Refused, format!("{id}: {}", Reason::Copied)).hint(TAG_OFF));
        }
        if self.may_tag(&host) {
            return Ok(Some(host));
        }
        Err(Failure::new(Exit::Refused, format!("{id} does not carry this fleet's tag, or is its template")))
    }
}
