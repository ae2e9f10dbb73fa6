//! Removes a cluster in any state: processes, containers, mounts, network, directories, and its number.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{control, layout::Layout, network, node, process::Processes, shell, volumes};

/// The process that forwards a local port to the gateway.
pub const FORWARD: &str = "forward";

/// Removes everything that exists.
///
/// # Errors
/// If something cannot be removed.
pub fn down(layout: &Layout) -> anyhow::Result<()> {
    let processes = Processes::of(layout)?;
    processes.stop(FORWARD)?;
    let folders = volumes::folders(layout)?;
    // First the processes that would restart others.
    for name in ["kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy"] {
        processes.stop(name)?;
    }
    node::clear_cgroups(layout)?;
    for name in node::NAMES.iter().chain(control::NAMES.iter().rev()) {
        processes.stop(name)?;
    }
    processes.stop_marked()?;
    node::clear_cgroups(layout)?;
    for folder in [layout.state()?, layout.run()] {
        unmount(&folder)?;
    }
    volumes::remove(&folders)?;
    network::down(layout)?;
    for folder in [layout.state()?, layout.run()] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    layout.release()
}

/// Unmounts everything below a directory, the innermost first.
fn unmount(folder: &Path) -> anyhow::Result<()> {
    let mut mounts = mounts(&fs::read_to_string("/proc/self/mountinfo")?, folder);
    mounts.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    for mount in mounts {
        shell::run("umount", ["--lazy".as_ref(), mount.as_os_str()])?;
    }
    Ok(())
}

fn mounts(table: &str, below: &Path) -> Vec<PathBuf> {
    // The fifth field is the mount point, with spaces as `\040`.
    let fields = table.lines().filter_map(|line| line.split(' ').nth(4));
    fields.map(|field| PathBuf::from(field.replace("\\040", " "))).filter(|path| path.starts_with(below)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_below_the_folder_are_its_own() {
        let table = "1 2 0:3 / /a/b rw - tmpfs none rw\n1 2 0:3 / /a/bc rw - tmpfs none rw\n1 2 0:3 / /a/b/c\\040d rw - x y z\n";
        assert_eq!(mounts(table, Path::new("/a/b")), [Path::new("/a/b"), Path::new("/a/b/c d")]);
    }
}
