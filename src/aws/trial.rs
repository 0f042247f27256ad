//! Dry runs: would this call be carried out? Nothing here can change anything, since every call says DryRun.

use super::Clients;
use super::convert::{birth_tags, read, tag_list};
use crate::model::checkup::{Permission, Refused, Trial, TrialLaunch};
use crate::model::{Fault, FaultKind, Market, Tags, tags as keys};
use aws_sdk_ec2::types::{
    DefaultTargetCapacityType, FleetLaunchTemplateConfigRequest, FleetLaunchTemplateSpecificationRequest, FleetType,
    HttpTokensState, IamInstanceProfileSpecification, InstanceMarketOptionsRequest, InstanceMetadataOptionsRequest,
    InstanceType, MarketType, RequestLaunchTemplateData, ResourceType, TargetCapacitySpecificationRequest,
};

/// What stands before the reason that only STS can read.
const ENCODED: &str = "Encoded authorization failure message: ";

impl Clients {
    /// Asks whether a call would be carried out; a refusal is decoded as far as these credentials may.
    pub async fn may(&self, trial: &Trial) -> Permission {
        let fault = match self.dry(trial).await {
            // EC2 never carries a dry run out.
            Ok(()) => return Permission::Allowed,
            Err(fault) if fault.code == "DryRunOperation" => return Permission::Allowed,
            Err(fault) if fault.code != "UnauthorizedOperation" => return Permission::Unclear(fault),
            Err(fault) => fault,
        };
        Permission::Refused(self.decoded(trial, fault).await)
    }

    async fn dry(&self, trial: &Trial) -> Result<(), Fault> {
        let action = trial.action();
        let ec2 = self.ec2();
        match trial {
            Trial::Launch(launch) => self.dry_launch(launch).await,
            Trial::Template(name, tags) => {
                let data = RequestLaunchTemplateData::builder().instance_type(InstanceType::from("t3.micro")).build();
                let call = self.ec2().create_launch_template().dry_run(true).launch_template_name(name);
                let born = birth_tags(ResourceType::LaunchTemplate, tags).map(|born| vec![born]);
                let call = call.launch_template_data(data).set_tag_specifications(born);
                read(action, call.send()).await.map(drop)
            }
            Trial::TemplateVersion(id) => {
                let data = RequestLaunchTemplateData::builder().instance_type(InstanceType::from("t3.micro")).build();
                let call = self.ec2().create_launch_template_version().dry_run(true);
                let call = call.launch_template_id(id.as_str()).launch_template_data(data);
                read(action, call.send()).await.map(drop)
            }
            Trial::Fleet(template, market) => {
                let template = FleetLaunchTemplateSpecificationRequest::builder()
                    .launch_template_id(template.as_str())
                    .version("$Latest")
                    .build();
                let config =
                    FleetLaunchTemplateConfigRequest::builder().launch_template_specification(template).build();
                let kind = match market {
                    Market::Spot => DefaultTargetCapacityType::Spot,
                    Market::OnDemand => DefaultTargetCapacityType::OnDemand,
                };
                let capacity = TargetCapacitySpecificationRequest::builder()
                    .total_target_capacity(1)
                    .default_target_capacity_type(kind)
                    .build();
                let call = ec2.create_fleet().dry_run(true).r#type(FleetType::Instant).launch_template_configs(config);
                read(action, call.target_capacity_specification(capacity).send()).await.map(drop)
            }
            Trial::Image(instance, name, tags) => {
                let born = [ResourceType::Image, ResourceType::Snapshot];
                let born: Vec<_> = born.into_iter().filter_map(|kind| birth_tags(kind, tags)).collect();
                let call = self.ec2().create_image().dry_run(true).instance_id(instance.as_str()).name(name);
                let call = call.set_tag_specifications(Some(born).filter(|born| !born.is_empty()));
                read(action, call.send()).await.map(drop)
            }
            Trial::Deregister(image) => {
                let call = self.ec2().deregister_image().dry_run(true).image_id(image.as_str());
                read(action, call.send()).await.map(drop)
            }
            Trial::Extend(host, until) => {
                let tags = tag_list(&Tags::default().with(keys::EXPIRES, until));
                let call = self.ec2().create_tags().dry_run(true).resources(host.as_str()).set_tags(Some(tags));
                read(action, call.send()).await.map(drop)
            }
            Trial::Terminate(host) => {
                let call = self.ec2().terminate_instances().dry_run(true).instance_ids(host.as_str());
                read(action, call.send()).await.map(drop)
            }
            Trial::DeleteTemplate(id) => {
                let call = self.ec2().delete_launch_template().dry_run(true).launch_template_id(id.as_str());
                read(action, call.send()).await.map(drop)
            }
        }
    }

    /// A launch as the fleet's hosts are launched, but for the launch template that may not be there yet.
    async fn dry_launch(&self, launch: &TrialLaunch) -> Result<(), Fault> {
        let tokens = if launch.tokens_required { HttpTokensState::Required } else { HttpTokensState::Optional };
        let metadata = InstanceMetadataOptionsRequest::builder()
            .http_tokens(tokens)
            .http_put_response_hop_limit(i32::from(launch.hop_limit));
        let profile = launch.profile.as_ref().map(|profile| {
            let builder = IamInstanceProfileSpecification::builder();
            if profile.starts_with("arn:") { builder.arn(profile) } else { builder.name(profile) }.build()
        });
        let spot = (launch.market == Market::Spot)
            .then(|| InstanceMarketOptionsRequest::builder().market_type(MarketType::Spot).build());
        let groups: Vec<String> = launch.security_groups.iter().map(ToString::to_string).collect();
        let born = [ResourceType::Instance, ResourceType::Volume, ResourceType::NetworkInterface].into_iter();
        let born: Vec<_> = born.filter_map(|kind| birth_tags(kind, &launch.tags)).collect();
        let call = self
            .ec2()
            .run_instances()
            .dry_run(true)
            .min_count(1)
            .max_count(1)
            .image_id(launch.image.as_str())
            .instance_type(InstanceType::from(launch.instance_type.as_str()))
            .subnet_id(launch.subnet.as_str())
            .set_security_group_ids(Some(groups).filter(|groups| !groups.is_empty()))
            .set_key_name(launch.key_name.clone())
            .set_iam_instance_profile(profile)
            .set_instance_market_options(spot)
            .metadata_options(metadata.build())
            .set_tag_specifications(Some(born).filter(|born| !born.is_empty()));
        read("RunInstances", call.send()).await.map(drop)
    }

    /// What is missing, by STS where these credentials may ask it, else by the words of the refusal.
    async fn decoded(&self, trial: &Trial, mut fault: Fault) -> Refused {
        let (said, encoded) = match fault.message.split_once(ENCODED) {
            Some((said, encoded)) => (said.trim().to_owned(), Some(encoded.trim().to_owned())),
            None => (fault.message.clone(), None),
        };
        fault.message = said;
        let (action, resource) = named(&fault.message);
        let mut refused = Refused {
            action: action.unwrap_or_else(|| format!("ec2:{}", trial.action())),
            resource,
            explicit: None,
            undecoded: None,
            fault,
        };
        let Some(encoded) = encoded else { return refused };
        let call = self.sts().decode_authorization_message().encoded_message(encoded);
        match read("DecodeAuthorizationMessage", call.send()).await {
            Ok(answer) => {
                let text = answer.decoded_message.unwrap_or_default();
                let reason: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
                let context = |field: &str| reason["context"][field].as_str().map(str::to_owned);
                refused.action = context("action").unwrap_or(refused.action);
                refused.resource = context("resource").or(refused.resource);
                refused.explicit = reason["explicitDeny"].as_bool();
            }
            Err(fault) if fault.kind == FaultKind::Denied => {
                refused.undecoded = Some("sts:DecodeAuthorizationMessage is not allowed".to_owned());
            }
            Err(fault) => refused.undecoded = Some(fault.to_string()),
        }
        refused
    }
}

/// Action and resource in `... is not authorized to perform: ACTION on resource: RESOURCE because ...`.
fn named(message: &str) -> (Option<String>, Option<String>) {
    let word = |after: &str| {
        let rest = message.split_once(after)?.1;
        rest.split_whitespace().next().map(|word| word.trim_end_matches(['.', ',']).to_owned())
    };
    (word("to perform: "), word("on resource: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_refusal_name_action_and_resource() {
        let new = "You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/a/b is not authorized \
                   to perform: iam:PassRole on resource: arn:aws:iam::1:role/worker because no identity-based policy \
                   allows the iam:PassRole action.";
        let expected = (Some("iam:PassRole".to_owned()), Some("arn:aws:iam::1:role/worker".to_owned()));
        assert_eq!(named(new), expected);
        assert_eq!(named("You are not authorized to perform this operation."), (None, None));
    }
}
