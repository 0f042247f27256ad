//! The release archive that a rehearsal brings to its hosts: the spec's own, or one made of files and this very binary.

use crate::spec::Fleet;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io;
use std::path::Path;

/// Writes the archive: `rehearsal.release` files, this binary as `fleetwright`, and a `VERSION` file, so that two versions
/// differ; or a copy of `release.from` when the spec names no files.
///
/// # Errors
///
/// When a file can't be read or the archive can't be written.
pub fn build(fleet: &Fleet, version: &str, to: &Path) -> io::Result<()> {
    if fleet.rehearsal.release.is_empty() {
        return match &fleet.release {
            Some(release) => std::fs::copy(&release.from, to).map(drop).map_err(|e| naming(&release.from, &e)),
            None => Ok(()),
        };
    }
    // Speed before size: the archive travels over loopback only.
    let mut archive = tar::Builder::new(GzEncoder::new(File::create(to)?, Compression::fast()));
    for path in &fleet.rehearsal.release {
        let name = path.file_name().ok_or_else(|| io::Error::other(format!("{} has no file name", path.display())))?;
        archive.append_path_with_name(path, name).map_err(|e| naming(path, &e))?;
    }
    archive.append_path_with_name(std::env::current_exe()?, "fleetwright")?;
    let mut header = tar::Header::new_gnu();
    header.set_size(version.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "VERSION", version.as_bytes())?;
    archive.into_inner()?.finish()?.sync_all()
}

/// The error with the file that it is about.
fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
