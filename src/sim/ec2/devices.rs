//! Block device mappings: an image's devices with those of a call over them.

use super::params::{Node, invalid};
use super::records::{Image, ImageDevice};
use crate::sim::api::ApiError;

fn bad(message: String) -> ApiError {
    ApiError::new("InvalidBlockDeviceMapping", message)
}

/// The devices that an instance of `image` gets when the call's mappings are joined in by device name.
pub(super) fn devices(node: &Node, image: &Image) -> Result<Vec<ImageDevice>, ApiError> {
    overlaid(node, image.devices.clone())
}

/// `devices` with a call's `BlockDeviceMapping` list over them.
pub(super) fn overlaid(node: &Node, mut devices: Vec<ImageDevice>) -> Result<Vec<ImageDevice>, ApiError> {
    for mapping in node.list("BlockDeviceMapping") {
        let name = mapping.need("DeviceName")?;
        let place = devices.iter().position(|device| device.device == name);
        if mapping.raw("NoDevice").is_some() {
            if let Some(place) = place {
                devices.remove(place);
            }
            continue;
        }
        // Instance store (`VirtualName`) has no volume.
        let Some(ebs) = mapping.at("Ebs") else { continue };
        let base = place.map(|place| &devices[place]);
        let device = device(name, ebs, base)?;
        match place {
            Some(place) => devices[place] = device,
            None => devices.push(device),
        }
    }
    Ok(devices)
}

fn device(name: &str, ebs: &Node, base: Option<&ImageDevice>) -> Result<ImageDevice, ApiError> {
    let least = base.map_or(0, |base| base.size);
    let snapshot = ebs.string("SnapshotId").or_else(|| base?.snapshot.clone());
    let size = match ebs.number("VolumeSize")? {
        Some(size) if size < least => {
            let source = snapshot.unwrap_or_default();
            return Err(bad(format!(
                "Volume of size {size}GB is smaller than snapshot '{source}', expect size >= {least}GB"
            )));
        }
        Some(size) => size,
        None if least > 0 => least,
        None => return Err(ApiError::new("MissingParameter", format!("The request must contain the size of {name}"))),
    };
    if !(1..=65_536).contains(&size) {
        return Err(bad(format!("Volume size {size} for {name} is invalid")));
    }
    let kind = ebs.string("VolumeType").or_else(|| base.map(|base| base.kind.clone()));
    let kind = kind.unwrap_or_else(|| "gp2".to_owned());
    if !["standard", "io1", "io2", "gp2", "sc1", "st1", "gp3"].contains(&kind.as_str()) {
        return Err(invalid(format!("Invalid value '{kind}' for VolumeType.")));
    }
    let (iops, throughput) = (ebs.number("Iops")?, ebs.number("Throughput")?);
    if throughput.is_some() && kind != "gp3" {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            format!("The parameter throughput is not supported for {kind} volumes."),
        ));
    }
    let was = base.is_some_and(|base| base.encrypted);
    if was && ebs.flag("Encrypted")? == Some(false) {
        return Err(bad(format!("the encrypted flag cannot be cleared for {name} since its snapshot is encrypted")));
    }
    Ok(ImageDevice {
        device: name.to_owned(),
        snapshot,
        size,
        iops: iops.or((kind == "gp3").then_some(3000)),
        throughput: throughput.or((kind == "gp3").then_some(125)),
        kind,
        encrypted: was || ebs.flag("Encrypted")?.unwrap_or(false),
        // A volume of an encrypted snapshot that is one's own has the snapshot's key, unless another is named.
        key: ebs.string("KmsKeyId").or_else(|| base?.key.clone()),
        ends: ebs.flag("DeleteOnTermination")?.unwrap_or_else(|| base.is_none_or(|base| base.ends)),
    })
}
