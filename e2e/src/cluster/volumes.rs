//! The volumes of a cluster: directories that its controller manager creates, and that outlive the cluster.
//!
//! All clusters share the parent directory, so only volumes that the API server lists are removed.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::interval;

use super::{layout::Layout, shell};

/// The parent directory of volumes.
const FOLDER: &str = "/tmp/hostpath_pv";
/// How often new volumes are looked for.
const SCAN_INTERVAL: Duration = Duration::from_millis(200);

/// Lets all users write to new volumes, as the provisioners of kind and k3d do: the controller manager creates directories
/// that only root can use, and pods of units do not run as root. Runs until the process is killed.
///
/// # Errors
/// If the directories cannot be read or changed.
pub async fn open_new() -> anyhow::Result<()> {
    let mut ticks = interval(SCAN_INTERVAL);
    loop {
        ticks.tick().await;
        open_all(FOLDER.as_ref())?;
    }
}

fn open_all(folder: &Path) -> anyhow::Result<()> {
    let Ok(volumes) = fs::read_dir(folder) else { return Ok(()) };
    for volume in volumes {
        let volume = volume?;
        // Another cluster may remove its own meanwhile.
        let opened = volume.metadata().and_then(|metadata| match metadata.permissions().mode() & 0o777 {
            0o777 => Ok(()),
            _ => fs::set_permissions(volume.path(), fs::Permissions::from_mode(0o777)),
        });
        if let Err(error) = opened
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error.into());
        }
    }
    Ok(())
}

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
    fn every_user_can_write_to_a_volume() {
        let folder = tempfile::tempdir().unwrap();
        let volume = folder.path().join("a");
        fs::create_dir(&volume).unwrap();
        fs::set_permissions(&volume, fs::Permissions::from_mode(0o750)).unwrap();
        open_all(folder.path()).unwrap();
        assert_eq!(fs::metadata(&volume).unwrap().permissions().mode() & 0o777, 0o777);
        open_all(&folder.path().join("none")).unwrap();
    }

    #[test]
    fn only_what_the_controller_manager_has_made_is_removed() {
        let listed = "/tmp/hostpath_pv/a /home/b /tmp/hostpath_pv /tmp/hostpath_pv/.. /tmp/hostpath_pv/c/d";
        assert_eq!(own(listed), [PathBuf::from("/tmp/hostpath_pv/a")]);
        assert_eq!(own(""), Vec::<PathBuf>::new());
    }
}
