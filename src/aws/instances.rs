//! Instances: looked up, rebooted, ended.

use super::Clients;
use super::classify::garbled;
use super::convert::{FILTER_VALUES, filter, instant, need, pages, read, tags};
use super::exact::{capture, invalid, send};
use crate::gate::OwnedIds;
use crate::journal::{Draft, Permit};
use crate::model::{
    Fault, FaultKind, FleetName, ImageId, Instance, InstanceId, InstanceState, Market, Tags, Zone, tags as keys,
};
use aws_sdk_ec2::types::{
    Filter, HttpTokensState, InstanceAttributeName, InstanceLifecycleType, InstanceMetadataOptionsResponse,
    InstanceStateName, StateReason,
};

const DESCRIBE: &str = "DescribeInstances";
const TERMINATE: &str = "TerminateInstances";
const CONSOLE: &str = "GetConsoleOutput";

/// Ids in one TerminateInstances: EC2 takes 1,000 and advises fewer; Karpenter's batches have 500.
const TERMINATE_AT_ONCE: usize = 500;

impl Clients {
    /// The instances with these ids, in any state; those that AWS does not know are simply absent. No ids, no call: to EC2 an
    /// empty list means every instance of the region.
    pub async fn instances_by_ids(&self, ids: &[InstanceId]) -> Result<Vec<Instance>, Fault> {
        let mut found = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(FILTER_VALUES) {
            found.extend(self.instances(vec![filter("instance-id", chunk.iter().map(InstanceId::as_str))]).await?);
        }
        Ok(found)
    }

    /// Every instance that carries the fleet's tag, in any state, foreign accounts' excepted.
    pub async fn instances_of_fleet(&self, fleet: &FleetName) -> Result<Vec<Instance>, Fault> {
        self.instances_with(&Tags::default().with(keys::FLEET, fleet.as_str())).await
    }

    /// Every instance that carries the tag of one of these fleets, in any state.
    pub async fn instances_of_fleets(&self, fleets: &[FleetName]) -> Result<Vec<Instance>, Fault> {
        let names = fleets.iter().map(FleetName::as_str);
        let mut found = self.instances(vec![filter(&format!("tag:{}", keys::FLEET), names)]).await?;
        let ours = |fleet: &str| fleets.iter().any(|name| name.as_str() == fleet);
        found.retain(|instance| instance.tags.get(keys::FLEET).is_some_and(ours));
        Ok(found)
    }

    /// Every instance that carries all of these tags, in any state; there must be at least one tag. What EC2 takes for a
    /// wildcard finds nothing more than what is written.
    pub async fn instances_with(&self, tags: &Tags) -> Result<Vec<Instance>, Fault> {
        let filters: Vec<Filter> = tags.iter().map(|(key, value)| filter(&format!("tag:{key}"), [value])).collect();
        if filters.is_empty() {
            return Err(invalid(DESCRIBE, "no tag to look for"));
        }
        let mut found = self.instances(filters).await?;
        found.retain(|instance| tags.iter().all(|(key, value)| instance.tags.get(key) == Some(value)));
        Ok(found)
    }

    /// One instance, absent if AWS does not know it.
    pub async fn instance(&self, id: &InstanceId) -> Result<Option<Instance>, Fault> {
        Ok(self.instances_by_ids(std::slice::from_ref(id)).await?.into_iter().find(|instance| instance.id == *id))
    }

    async fn instances(&self, filters: Vec<Filter>) -> Result<Vec<Instance>, Fault> {
        self.raw_instances(filters).await?.into_iter().map(instance).collect()
    }

    /// Instances as the SDK has them.
    pub(super) async fn raw_instances(&self, filters: Vec<Filter>) -> Result<Vec<aws_sdk_ec2::types::Instance>, Fault> {
        pages(DESCRIBE, |token| {
            let call = self
                .ec2()
                .describe_instances()
                .set_filters(Some(filters.clone()))
                .max_results(1000)
                .set_next_token(token);
            async {
                let answer = read(DESCRIBE, call.send()).await?;
                let reservations = answer.reservations.unwrap_or_default();
                let instances = reservations.into_iter().flat_map(|r| r.instances.unwrap_or_default());
                Ok((instances.collect(), answer.next_token))
            }
        })
        .await
    }

    /// Whether `disableApiTermination` is set.
    pub async fn termination_protected(&self, id: &InstanceId) -> Result<bool, Fault> {
        const ACTION: &str = "DescribeInstanceAttribute";
        let attribute = InstanceAttributeName::DisableApiTermination;
        let call = self.ec2().describe_instance_attribute().instance_id(id.as_str()).attribute(attribute);
        let answer = read(ACTION, call.send()).await?;
        need(ACTION, "disableApiTermination", answer.disable_api_termination.and_then(|flag| flag.value))
    }

    /// What the instance wrote to its console, the latest where the instance type allows it, else that of the last boot;
    /// empty until there is any. EC2 keeps the last 64 KiB.
    pub async fn console(&self, id: &InstanceId) -> Result<String, Fault> {
        let call = self.ec2().get_console_output().instance_id(id.as_str());
        let answer = match read(CONSOLE, call.clone().latest(true).send()).await {
            // Only Nitro instances answer with the latest output.
            Err(fault) if fault.kind == FaultKind::Invalid => read(CONSOLE, call.send()).await?,
            other => other?,
        };
        let packed: String = answer.output.unwrap_or_default().split_whitespace().collect();
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, packed)
            .map_err(|error| garbled(CONSOLE, &format!("the output is not base64: {error}")))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Drafts the end of instances that the gate let through.
    ///
    /// # Errors
    ///
    /// `Invalid` for more than 500 ids: chunk first, since one bad id keeps a whole call from ending anything.
    pub async fn draft_terminate(&self, ids: &OwnedIds) -> Result<Draft, Fault> {
        if ids.ids().len() > TERMINATE_AT_ONCE {
            return Err(invalid(TERMINATE, &format!("{} ids at once", ids.ids().len())));
        }
        let call = self.ec2().terminate_instances().set_instance_ids(Some(ids.ids().to_vec()));
        capture(TERMINATE, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Ends the drafted instances; ending them again changes nothing. Tells the state that each is in now.
    pub async fn terminate(&self, permit: &Permit) -> Result<Vec<(InstanceId, InstanceState)>, Fault> {
        let call = self.ec2().terminate_instances().customize();
        let answer = send(TERMINATE, permit, |hook| call.interceptor(hook).send()).await?;
        let changes = answer.terminating_instances.unwrap_or_default();
        let state = |change: aws_sdk_ec2::types::InstanceStateChange| {
            let word = change.current_state.and_then(|state| state.name);
            let id = need(TERMINATE, "instance id", change.instance_id)?;
            Ok((InstanceId::new(id), parse_state(TERMINATE, word.as_ref().map(InstanceStateName::as_str))?))
        };
        changes.into_iter().map(state).collect()
    }
}

/// EC2's word for a state.
fn parse_state(action: &str, word: Option<&str>) -> Result<InstanceState, Fault> {
    let word = need(action, "instance state", word)?;
    InstanceState::parse(word).ok_or_else(|| garbled(action, &format!("an instance in the unknown state {word}")))
}

/// The SDK's instance as ours.
fn instance(raw: aws_sdk_ec2::types::Instance) -> Result<Instance, Fault> {
    let state = raw.state.as_ref().and_then(|state| state.name.as_ref()).map(InstanceStateName::as_str);
    let state = parse_state(DESCRIBE, state)?;
    let zone = raw.placement.as_ref().and_then(|placement| placement.availability_zone());
    let tags = tags(raw.tags());
    let volumes = raw.block_device_mappings().iter().filter_map(|mapping| mapping.ebs()?.volume_id());
    let groups = raw.security_groups().iter().filter_map(|group| group.group_id());
    let spot = raw.instance_lifecycle == Some(InstanceLifecycleType::Spot);
    let reason = raw.state_reason.as_ref();
    let code = reason.and_then(StateReason::code).unwrap_or_default();
    let message = reason.and_then(StateReason::message).unwrap_or_default();
    // EC2's messages mostly begin with their code.
    let code = if message.starts_with(code) { "" } else { code };
    let reason: Vec<&str> = [code, message].into_iter().filter(|text| !text.is_empty()).collect();
    let metadata = raw.metadata_options.as_ref();
    Ok(Instance {
        state,
        zone: Zone::new(zone.unwrap_or_default()),
        market: if spot { Market::Spot } else { Market::OnDemand },
        launched: need(DESCRIBE, "launch time", raw.launch_time.as_ref().and_then(instant))?,
        state_reason: Some(reason.join(": ")).filter(|reason| !reason.is_empty()),
        security_groups: groups.map(Into::into).collect(),
        volumes: volumes.map(Into::into).collect(),
        group: tags.get(keys::GROUP).map(str::to_owned),
        standby: false,
        imds_tokens_required: metadata.and_then(|m| m.http_tokens()).map(|tokens| *tokens == HttpTokensState::Required),
        imds_hop_limit: metadata.and_then(InstanceMetadataOptionsResponse::http_put_response_hop_limit),
        instance_profile: raw.iam_instance_profile.as_ref().and_then(|profile| profile.arn()).map(str::to_owned),
        architecture: raw.architecture.as_ref().map(|architecture| architecture.as_str().to_owned()),
        instance_type: raw.instance_type.as_ref().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        image: ImageId::new(raw.image_id.unwrap_or_default()),
        id: InstanceId::new(need(DESCRIBE, "instance id", raw.instance_id)?),
        subnet: raw.subnet_id.as_deref().filter(|id| !id.is_empty()).map(Into::into),
        ipv6: raw.ipv6_address.filter(|ip| !ip.is_empty()),
        private_ip: raw.private_ip_address.filter(|ip| !ip.is_empty()),
        public_ip: raw.public_ip_address.filter(|ip| !ip.is_empty()),
        key_name: raw.key_name.filter(|name| !name.is_empty()),
        tags,
    })
}
