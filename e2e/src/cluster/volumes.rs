//! The volumes of a cluster: directories that its controller manager creates, and that outlive the cluster.
//!
//! All clusters share the parent directory, so only volumes that the API server lists are removed.

use std::{fs, path::PathBuf};

use super::{layout::Layout, shell};

/// The parent directory of volumes.
const FOLDER: &str = "/tmp/hostpath_pv";

/// The directories of all volumes, if the API server still answers.
///
/// # Errors
/// If the cluster has no state directory.
pub fn folders(layout: &Layout) -> anyhow::Result<Vec<PathBuf>> {
    let program = layout.state()?.join("kc");
    if !program.exists() {
        return Ok(vec![]);
    }
    let mut kubectl = std::process::Command::new(program);
    kubectl.arg("kubectl").arg("--kubeconfig").arg(layout.kubeconfig()?).arg("--request-timeout=5s");
    kubectl.args(["get", "persistentvolumes", "-o", "jsonpath={.items[*].spec.hostPath.path}"]);
    Ok(shell::output(&mut kubectl).map(|paths| own(&paths)).unwrap_or_default())
}

/// The directories that a controller manager created. Other volumes can be any directory of the machine.
fn own(paths: &str) -> Vec<PathBuf> {
    let direct = |path: &PathBuf| path.parent() == Some(FOLDER.as_ref()) && path.file_name().is_some();
    paths.split_whitespace().map(PathBuf::from).filter(direct).collect()
}

/// Removes the directories.
///
/// # Errors
/// If one cannot be removed.
pub fn remove(folders: &[PathBuf]) -> anyhow::Result<()> {
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        fs::remove_dir_all(folder)?;
    }
    // Fails if another cluster has volumes, which is expected.
    let _ = fs::remove_dir(FOLDER);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_controller_manager_has_made_is_removed() {
        let listed = "/tmp/hostpath_pv/a /home/b /tmp/hostpath_pv /tmp/hostpath_pv/.. /tmp/hostpath_pv/c/d";
        assert_eq!(own(listed), [PathBuf::from("/tmp/hostpath_pv/a")]);
        assert_eq!(own(""), Vec::<PathBuf>::new());
    }
}
