//! Reads the local files that a playbook puts on hosts, once for all of them.

use crate::spec::Playbook;
use crate::spec::playbook::{Action, PutContent};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Contents by the path written in the playbook; relative paths start at the playbook's folder. The error names the file.
pub fn put_files(playbook: &Playbook) -> std::io::Result<BTreeMap<PathBuf, Arc<[u8]>>> {
    let folder = playbook.file.parent().unwrap_or(Path::new(""));
    let mut files = BTreeMap::new();
    for step in &playbook.steps {
        if let Action::Put { content: PutContent::File(file), .. } = &step.action {
            let path = folder.join(file);
            let bytes = std::fs::read(&path)
                .map_err(|error| std::io::Error::new(error.kind(), format!("read {}: {error}", path.display())))?;
            files.insert(file.clone(), bytes.into());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Step;
    use crate::spec::playbook::Text;
    use std::time::Duration;

    #[test]
    fn files_are_found_beside_the_playbook() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("unit"), "[Unit]").unwrap();
        let put = |file: &str| {
            let content = PutContent::File(file.into());
            let action = Action::Put { content, to: Text("/etc/unit".into()), mode: 0o644, owner: None };
            let step = Step { name: "s".into(), timeout: Duration::from_secs(1), retries: 0, when: None, action };
            let file = dir.path().join("play.yaml");
            put_files(&Playbook { file, digest: String::new(), vars: BTreeMap::new(), steps: vec![step] })
        };
        assert_eq!(&*put("unit").unwrap()[Path::new("unit")], b"[Unit]");
        assert!(put("gone").unwrap_err().to_string().contains("gone"));
    }
}
