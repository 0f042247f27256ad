//! Launch templates: what every host of an epoch has in common.

use super::Clients;
use super::classify::garbled;
use super::convert::{birth_tags, filter, instant, need, pages, read, tag_list, tags};
use super::exact::{capture, send};
use super::images::one;
use crate::gate::OwnedIds;
use crate::journal::{Draft, Permit};
use crate::model::{Fault, FaultKind, LaunchTemplate, Tags, TemplateId, TemplateRequest, TemplateVersion};
use aws_sdk_ec2::types::{
    InstanceType, LaunchTemplateBlockDeviceMappingRequest, LaunchTemplateEbsBlockDeviceRequest,
    LaunchTemplateHttpTokensState, LaunchTemplateIamInstanceProfileSpecificationRequest,
    LaunchTemplateInstanceMetadataEndpointState, LaunchTemplateInstanceMetadataOptionsRequest,
    LaunchTemplateInstanceMetadataTagsState, LaunchTemplateTagSpecificationRequest, LaunchTemplateVersion,
    RequestLaunchTemplateData, ResourceType, ResponseLaunchTemplateData, ShutdownBehavior, VolumeType,
};

const CREATE: &str = "CreateLaunchTemplate";
const CREATE_VERSION: &str = "CreateLaunchTemplateVersion";
const DELETE: &str = "DeleteLaunchTemplate";
const DESCRIBE: &str = "DescribeLaunchTemplates";
const VERSIONS: &str = "DescribeLaunchTemplateVersions";

impl Clients {
    /// The launch template of this name with all its versions, oldest first.
    pub async fn launch_template(&self, name: &str) -> Result<Option<LaunchTemplate>, Fault> {
        let call = self.ec2().describe_launch_templates().filters(filter("launch-template-name", [name]));
        let answer = read(DESCRIBE, call.send()).await?;
        let templates = answer.launch_templates.unwrap_or_default();
        let Some(found) = templates.into_iter().find(|template| template.launch_template_name() == Some(name)) else {
            return Ok(None);
        };
        let tags = tags(found.tags());
        let id = TemplateId::new(need(DESCRIBE, "launch template id", found.launch_template_id)?);
        match self.versions(&id).await {
            Ok(versions) => Ok(Some(LaunchTemplate { id, name: name.to_owned(), tags, versions })),
            // Deleted between the two looks.
            Err(fault) if fault.kind == FaultKind::Gone => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    pub(super) async fn versions(&self, id: &TemplateId) -> Result<Vec<TemplateVersion>, Fault> {
        let raw = pages(VERSIONS, |token| {
            let call = self.ec2().describe_launch_template_versions().launch_template_id(id.as_str());
            let call = call.max_results(200).set_next_token(token);
            async {
                let answer = read(VERSIONS, call.send()).await?;
                Ok((answer.launch_template_versions.unwrap_or_default(), answer.next_token))
            }
        });
        let mut versions = raw.await?.into_iter().map(version).collect::<Result<Vec<_>, _>>()?;
        versions.sort_by_key(|version| version.number);
        Ok(versions)
    }

    /// Drafts a launch template, or one more version of it when the request says onto which.
    pub async fn draft_template(&self, request: &TemplateRequest) -> Result<Draft, Fault> {
        let token = Some(request.token.as_str());
        if let Some(id) = &request.onto {
            let call = self
                .ec2()
                .create_launch_template_version()
                .client_token(&request.token)
                .launch_template_id(id.as_str())
                .version_description(&request.description)
                .launch_template_data(data(request));
            capture(CREATE_VERSION, token, |hook| call.customize().interceptor(hook).send()).await
        } else {
            let call = self
                .ec2()
                .create_launch_template()
                .client_token(&request.token)
                .launch_template_name(&request.name)
                .version_description(&request.description)
                .launch_template_data(data(request))
                .set_tag_specifications(
                    birth_tags(ResourceType::LaunchTemplate, &request.template_tags).map(|born| vec![born]),
                );
            capture(CREATE, token, |hook| call.customize().interceptor(hook).send()).await
        }
    }

    /// Makes the drafted template or version; answers the template's id and the version's number.
    pub async fn create_template(&self, permit: &Permit) -> Result<(TemplateId, i64), Fault> {
        if permit.call().action == CREATE_VERSION {
            let call = self.ec2().create_launch_template_version().customize();
            let answer = send(CREATE_VERSION, permit, |hook| call.interceptor(hook).send()).await?;
            let made = need(CREATE_VERSION, "version", answer.launch_template_version)?;
            refused(CREATE_VERSION, answer.warning.as_ref())?;
            let id = need(CREATE_VERSION, "launch template id", made.launch_template_id)?;
            Ok((TemplateId::new(id), need(CREATE_VERSION, "version number", made.version_number)?))
        } else {
            let call = self.ec2().create_launch_template().customize();
            let answer = send(CREATE, permit, |hook| call.interceptor(hook).send()).await?;
            let made = need(CREATE, "launch template", answer.launch_template)?;
            refused(CREATE, answer.warning.as_ref())?;
            let id = need(CREATE, "launch template id", made.launch_template_id)?;
            Ok((TemplateId::new(id), need(CREATE, "version number", made.latest_version_number)?))
        }
    }

    /// Drafts the end of one launch template with all its versions.
    ///
    /// # Errors
    ///
    /// `Invalid` unless there is exactly one id.
    pub async fn draft_delete_template(&self, template: &OwnedIds) -> Result<Draft, Fault> {
        let call = self.ec2().delete_launch_template().launch_template_id(one(DELETE, template)?);
        capture(DELETE, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Ends the drafted launch template; its instances live on.
    pub async fn delete_template(&self, permit: &Permit) -> Result<(), Fault> {
        let call = self.ec2().delete_launch_template().customize();
        send(DELETE, permit, |hook| call.interceptor(hook).send()).await.map(drop)
    }
}

/// EC2 makes templates that can't launch and says so in a warning: to us that is a refusal.
fn refused(action: &str, warning: Option<&aws_sdk_ec2::types::ValidationWarning>) -> Result<(), Fault> {
    let Some(error) = warning.and_then(|warning| warning.errors().first()) else { return Ok(()) };
    Err(Fault {
        kind: FaultKind::Invalid,
        action: action.to_owned(),
        code: error.code().unwrap_or("warning").to_owned(),
        message: error.message().unwrap_or_default().to_owned(),
        reason: "EC2 made the launch template but says that nothing can be launched from it".to_owned(),
        request_id: None,
    })
}

/// What the template's hosts have in common. Root volumes go with their host, hosts that power off are ended, and the host
/// reads its own tags from its metadata: none of these is a choice.
fn data(request: &TemplateRequest) -> RequestLaunchTemplateData {
    let volume = LaunchTemplateEbsBlockDeviceRequest::builder()
        .delete_on_termination(true)
        .set_volume_size(request.root_gib.and_then(|gib| i32::try_from(gib).ok()))
        .volume_type(VolumeType::from(request.root_type.as_str()))
        // `false` on an encrypted snapshot is an error, absent is not.
        .set_encrypted(request.root_encrypted.then_some(true));
    let root = LaunchTemplateBlockDeviceMappingRequest::builder().device_name(&request.root_device).ebs(volume.build());
    let tokens = if request.metadata_tokens_required {
        LaunchTemplateHttpTokensState::Required
    } else {
        LaunchTemplateHttpTokensState::Optional
    };
    let metadata = LaunchTemplateInstanceMetadataOptionsRequest::builder()
        .http_endpoint(LaunchTemplateInstanceMetadataEndpointState::Enabled)
        .http_tokens(tokens)
        .http_put_response_hop_limit(i32::from(request.metadata_hop_limit))
        .instance_metadata_tags(LaunchTemplateInstanceMetadataTagsState::Enabled);
    let profile = request.instance_profile.as_ref().map(|profile| {
        let builder = LaunchTemplateIamInstanceProfileSpecificationRequest::builder();
        if profile.starts_with("arn:") { builder.arn(profile) } else { builder.name(profile) }.build()
    });
    let groups: Vec<String> = request.security_groups.iter().map(ToString::to_string).collect();
    let born = [ResourceType::Instance, ResourceType::Volume, ResourceType::NetworkInterface].into_iter();
    let born: Vec<_> = born.filter_map(|kind| host_tags(kind, &request.host_tags)).collect();
    RequestLaunchTemplateData::builder()
        .image_id(request.image.as_str())
        .instance_type(InstanceType::from(request.instance_type.as_str()))
        .set_key_name(request.key_name.clone())
        .set_iam_instance_profile(profile)
        .set_security_group_ids(Some(groups).filter(|groups| !groups.is_empty()))
        .set_user_data(request.user_data.clone())
        .block_device_mappings(root.build())
        .metadata_options(metadata.build())
        .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
        .set_tag_specifications(Some(born).filter(|born| !born.is_empty()))
        .build()
}

/// Tags for one kind of thing that comes with a host.
fn host_tags(kind: ResourceType, tags: &Tags) -> Option<LaunchTemplateTagSpecificationRequest> {
    let list = Some(tag_list(tags)).filter(|list| !list.is_empty())?;
    Some(LaunchTemplateTagSpecificationRequest::builder().resource_type(kind).set_tags(Some(list)).build())
}

/// The SDK's version as ours.
fn version(raw: LaunchTemplateVersion) -> Result<TemplateVersion, Fault> {
    let number = raw.version_number.filter(|number| *number > 0);
    let number = number.ok_or_else(|| garbled(VERSIONS, "a version without number"))?;
    let data = raw.launch_template_data;
    let specifications = data.as_ref().map(ResponseLaunchTemplateData::tag_specifications).unwrap_or_default();
    let instances = specifications.iter().find(|born| born.resource_type == Some(ResourceType::Instance));
    Ok(TemplateVersion {
        number,
        description: raw.version_description,
        created: raw.create_time.as_ref().and_then(instant),
        image: data.as_ref().and_then(|data| data.image_id()).map(str::to_owned),
        instance_tags: instances.map(|born| tags(born.tags())).unwrap_or_default(),
    })
}
