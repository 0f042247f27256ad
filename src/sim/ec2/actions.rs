//! Which method answers which action, and what a dry run of it says.

use super::{Ask, Ec2};
use crate::sim::api::{ApiError, Handled};

/// Answers one action.
type Handler = fn(&mut Ec2, &Ask) -> Handled;

/// The method behind an action.
///
/// # Errors
///
/// `InvalidAction` for what the rehearsal cloud does not have.
fn handler(action: &str) -> Result<Handler, ApiError> {
    Ok(match action {
        "RunInstances" => Ec2::run_instances,
        "CreateFleet" => Ec2::create_fleet,
        "DescribeFleets" => |ec2, ask| ec2.describe_fleets(ask),
        "DeleteFleets" => Ec2::delete_fleets,
        "CreateLaunchTemplate" => Ec2::create_launch_template,
        "CreateLaunchTemplateVersion" => Ec2::create_launch_template_version,
        "DescribeLaunchTemplates" => |ec2, ask| ec2.describe_launch_templates(ask),
        "DescribeLaunchTemplateVersions" => |ec2, ask| ec2.describe_launch_template_versions(ask),
        "ModifyLaunchTemplate" => Ec2::modify_launch_template,
        "DeleteLaunchTemplate" => Ec2::delete_launch_template,
        "DeleteLaunchTemplateVersions" => Ec2::delete_launch_template_versions,
        "DescribeInstances" => |ec2, ask| ec2.describe_instances(ask),
        "DescribeInstanceStatus" => |ec2, ask| ec2.describe_instance_status(ask),
        "DescribeInstanceAttribute" => |ec2, ask| ec2.describe_instance_attribute(ask),
        "ModifyInstanceAttribute" => Ec2::modify_instance_attribute,
        "ModifyInstanceMetadataOptions" => Ec2::modify_instance_metadata_options,
        "TerminateInstances" => Ec2::terminate_instances,
        "StopInstances" => Ec2::stop_instances,
        "StartInstances" => Ec2::start_instances,
        "RebootInstances" => Ec2::reboot_instances,
        "GetConsoleOutput" => Ec2::get_console_output,
        "CreateImage" => Ec2::create_image,
        "CopyImage" => Ec2::copy_image,
        "DescribeImages" => |ec2, ask| ec2.describe_images(ask),
        "DescribeImageAttribute" => |ec2, ask| ec2.describe_image_attribute(ask),
        "DeregisterImage" => Ec2::deregister_image,
        "EnableImageDeprecation" => Ec2::enable_image_deprecation,
        "DisableImage" => Ec2::disable_image,
        "DescribeSnapshots" => |ec2, ask| ec2.describe_snapshots(ask),
        "CreateSnapshot" => Ec2::create_snapshot,
        "DeleteSnapshot" => Ec2::delete_snapshot,
        "CreateTags" => Ec2::create_tags,
        "DeleteTags" => Ec2::delete_tags,
        "DescribeTags" => |ec2, ask| ec2.describe_tags(ask),
        "DescribeVolumes" => |ec2, ask| ec2.describe_volumes(ask),
        "DeleteVolume" => Ec2::delete_volume,
        "DescribeSubnets" => |ec2, ask| ec2.describe_subnets(ask),
        "DescribeSecurityGroups" => |ec2, ask| ec2.describe_security_groups(ask),
        "DescribeKeyPairs" => |ec2, ask| ec2.describe_key_pairs(ask),
        "DescribeVpcs" => |ec2, ask| ec2.describe_vpcs(ask),
        "DescribeAvailabilityZones" => |ec2, ask| ec2.describe_availability_zones(ask),
        "DescribeRegions" => |ec2, ask| ec2.describe_regions(ask),
        "DescribeAccountAttributes" => |ec2, ask| ec2.describe_account_attributes(ask),
        "DescribeInstanceTypes" => |ec2, ask| ec2.describe_instance_types(ask),
        "DescribeInstanceTypeOfferings" => |ec2, ask| ec2.describe_instance_type_offerings(ask),
        "DescribeSpotPriceHistory" => |ec2, ask| ec2.describe_spot_price_history(ask),
        "DescribeSpotInstanceRequests" => |ec2, ask| ec2.describe_spot_instance_requests(ask),
        "DescribeNetworkInterfaces" => |ec2, ask| ec2.describe_network_interfaces(ask),
        "GetEbsDefaultKmsKeyId" => |ec2, _| Ok(ec2.get_ebs_default_kms_key_id()),
        "GetImageBlockPublicAccessState" => |ec2, _| Ok(ec2.get_image_block_public_access_state()),
        "DescribeAddresses" => |_, ask| Ec2::describe_addresses(ask),
        other => {
            let message = format!("The action {other} is not valid for this web service.");
            return Err(ApiError::new("InvalidAction", message));
        }
    })
}

impl Ec2 {
    /// Carries an action out, or, when it is only asked about, tells whether it would be refused: a dry run changes nothing,
    /// and is refused for an action that does not exist, a launch that makes no sense or an instance that is not there.
    pub(super) fn act_on(&mut self, action: &str, ask: &Ask) -> Handled {
        let handler = handler(action)?;
        if ask.params.flag("DryRun")? != Some(true) {
            return handler(self, ask);
        }
        match action {
            "RunInstances" => self.check_launch(ask)?,
            "TerminateInstances" | "StopInstances" | "StartInstances" | "RebootInstances" => {
                self.named(ask)?;
            }
            _ => {}
        }
        let error = ApiError::new("DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
        Err(error.with_status(412))
    }
}
