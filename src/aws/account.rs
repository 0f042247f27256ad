//! What the account has besides machines: roles, profiles, keys, quotas, defaults. Only read.

use super::Clients;
use super::convert::{filter, need, pages, read};
use crate::model::checkup::{KeyFacts, ProfileFacts};
use crate::model::{Fault, FaultKind, InstanceId, Market, VolumeId};
use aws_sdk_ec2::types::InstanceLifecycleType;
use aws_sdk_kms::types::{GrantOperation, KeyManagerType};

impl Clients {
    /// Whether a role of this name is there.
    pub async fn role_exists(&self, name: &str) -> Result<bool, Fault> {
        match read("GetRole", self.iam().get_role().role_name(name).send()).await {
            Ok(_) => Ok(true),
            Err(fault) if fault.kind == FaultKind::Gone => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// The instance profile of this name, absent if there is none.
    pub async fn instance_profile(&self, name: &str) -> Result<Option<ProfileFacts>, Fault> {
        const ACTION: &str = "GetInstanceProfile";
        match read(ACTION, self.iam().get_instance_profile().instance_profile_name(name).send()).await {
            Ok(answer) => {
                let profile = need(ACTION, "instance profile", answer.instance_profile)?;
                let role = profile.roles().first().map(|role| role.arn().to_owned());
                Ok(Some(ProfileFacts { name: name.to_owned(), role }))
            }
            Err(fault) if fault.kind == FaultKind::Gone => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// A KMS key by id, ARN or alias; its grants where a customer manages it.
    pub async fn key(&self, named: &str) -> Result<KeyFacts, Fault> {
        const ACTION: &str = "DescribeKey";
        let answer = read(ACTION, self.kms().describe_key().key_id(named).send()).await?;
        let key = need(ACTION, "key", answer.key_metadata)?;
        let by_aws = key.key_manager == Some(KeyManagerType::Aws);
        let arn = need(ACTION, "key ARN", key.arn.clone())?;
        let grantees = if by_aws { None } else { Some(self.grantees(&arn).await) };
        let state = key.key_state.as_ref().map_or("unknown", |state| state.as_str()).to_owned();
        Ok(KeyFacts { arn, by_aws, state, grantees })
    }

    /// Who has a grant on a key that lets them use it for volumes.
    async fn grantees(&self, key: &str) -> Result<Vec<String>, Fault> {
        const ACTION: &str = "ListGrants";
        let grants = pages(ACTION, |marker| {
            let call = self.kms().list_grants().key_id(key).limit(100).set_marker(marker);
            async {
                let answer = read(ACTION, call.send()).await?;
                let next = answer.next_marker.filter(|_| answer.truncated);
                Ok((answer.grants.unwrap_or_default(), next))
            }
        });
        // EBS works on with grants of its own, which who launches makes for it.
        let useful =
            |grant: &aws_sdk_kms::types::GrantListEntry| grant.operations().contains(&GrantOperation::CreateGrant);
        Ok(grants.await?.into_iter().filter(useful).filter_map(|grant| grant.grantee_principal).collect())
    }

    /// The key that new encrypted volumes get when none is named: a key's ARN, or the alias of AWS's own.
    pub async fn default_volume_key(&self) -> Result<String, Fault> {
        const ACTION: &str = "GetEbsDefaultKmsKeyId";
        let answer = read(ACTION, self.ec2().get_ebs_default_kms_key_id().send()).await?;
        need(ACTION, "key id", answer.kms_key_id)
    }

    /// The keys of an instance's encrypted volumes.
    pub async fn volume_keys(&self, instance: &InstanceId) -> Result<Vec<(VolumeId, String)>, Fault> {
        const ACTION: &str = "DescribeVolumes";
        let attached = filter("attachment.instance-id", [instance.as_str()]);
        let answer = read(ACTION, self.ec2().describe_volumes().filters(attached).send()).await?;
        let volumes = answer.volumes.unwrap_or_default().into_iter();
        Ok(volumes.filter_map(|volume| Some((VolumeId::new(volume.volume_id?), volume.kms_key_id?))).collect())
    }

    /// EC2's word for whether images may be made public: `block-new-sharing` or `unblocked`.
    pub async fn image_sharing(&self) -> Result<String, Fault> {
        const ACTION: &str = "GetImageBlockPublicAccessState";
        let answer = read(ACTION, self.ec2().get_image_block_public_access_state().send()).await?;
        need(ACTION, "state", answer.image_block_public_access_state)
    }

    /// How many vCPUs EC2's quota of this code allows now.
    pub async fn vcpu_quota(&self, code: &str) -> Result<u32, Fault> {
        const ACTION: &str = "GetServiceQuota";
        let call = self.servicequotas().get_service_quota().service_code("ec2").quota_code(code);
        let quota = need(ACTION, "quota", read(ACTION, call.send()).await?.quota)?;
        let value = need(ACTION, "value", quota.value)?.clamp(0.0, f64::from(u32::MAX));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to its range just above")]
        Ok(value as u32)
    }

    /// Everybody's instances in this region that count against quotas: type, market, vCPUs.
    pub async fn vcpus_running(&self) -> Result<Vec<(String, Market, u32)>, Fault> {
        const ACTION: &str = "DescribeInstances";
        let counted = filter("instance-state-name", ["pending", "running"]);
        let raw = pages(ACTION, |token| {
            let call = self.ec2().describe_instances().filters(counted.clone()).max_results(1000).set_next_token(token);
            async {
                let answer = read(ACTION, call.send()).await?;
                let reservations = answer.reservations.unwrap_or_default();
                let instances = reservations.into_iter().flat_map(|r| r.instances.unwrap_or_default());
                Ok((instances.collect(), answer.next_token))
            }
        });
        let one = |instance: aws_sdk_ec2::types::Instance| {
            let spot = instance.instance_lifecycle == Some(InstanceLifecycleType::Spot);
            let options = instance.cpu_options.as_ref();
            let threads = options.and_then(|options| options.core_count().zip(options.threads_per_core()));
            let vcpus = threads.and_then(|(cores, threads)| u32::try_from(cores * threads).ok()).unwrap_or_default();
            let kind = instance.instance_type.map(|kind| kind.as_str().to_owned()).unwrap_or_default();
            (kind, if spot { Market::Spot } else { Market::OnDemand }, vcpus)
        };
        Ok(raw.await?.into_iter().map(one).collect())
    }
}
