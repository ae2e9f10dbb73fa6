//! The node: containerd, the kubelet and kube-proxy.

use std::{fs, path::Path, time::Duration};

use serde_json::json;

use super::{
    control::{kubectl, multicall},
    images::REPOSITORY,
    layout::Layout,
    process::Processes,
    programs::Programs,
};

/// The deadline for the readiness of each.
const DEADLINE: Duration = Duration::from_mins(1);
/// The mount point of the cgroup hierarchies.
const CGROUPS: &str = "/sys/fs/cgroup";

/// The processes, in start order.
pub const NAMES: [&str; 3] = ["containerd", "kubelet", "kube-proxy"];

/// Starts containerd and waits until it is ready.
///
/// # Errors
/// If it does not become ready.
pub fn containerd(layout: &Layout, processes: &Processes) -> anyhow::Result<()> {
    let state = layout.state()?;
    let cni = state.join("cni");
    fs::create_dir_all(&cni)?;
    let bridge = json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true, "ipam": {
                "type": "host-local",
                "dataDir": state.join("addresses"),
                "ranges": [[{"subnet": layout.pods()}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            }},
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    fs::write(cni.join("10-bridge.conflist"), bridge.to_string())?;
    let config = format!(
        r#"version = 2
root = "{root}"
state = "{run}/containerd"
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{REPOSITORY}/pause:1"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{cni}"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
"#,
        root = state.join("containerd").display(),
        run = layout.run().display(),
        socket = layout.containerd().display(),
        cni = cni.display(),
    );
    let path = state.join("containerd.toml");
    fs::write(&path, config)?;
    processes.start("containerd", Path::new("containerd"), &["--config".to_owned(), path.display().to_string()])?;
    processes.until("containerd", DEADLINE, || {
        let mut ctr = std::process::Command::new("ctr");
        super::shell::output(ctr.arg("--address").arg(layout.containerd()).arg("version")).map(|_| true)
    })
}

/// Starts the kubelet and kube-proxy, and waits until the node is ready.
///
/// # Errors
/// If the node does not become ready.
pub fn up(layout: &Layout, programs: &Programs, processes: &Processes) -> anyhow::Result<()> {
    let state = layout.state()?;
    let node = layout.node();
    cgroup_folders(layout, |folder| fs::create_dir_all(folder))?;
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": state.join("pki/ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        // Two kubelets with the same cgroup root would kill each other's pods.
        "cgroupRoot": format!("/{node}"),
        "failCgroupV1": false,
        "failSwapOn": false,
        "clusterDNS": [layout.service(10)],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": format!("unix://{}", layout.containerd().display()),
        "imageGCHighThresholdPercent": 100,
        // Absolute amounts: one percent of a large disk is more than all pods need.
        "evictionHard": {
            "memory.available": "100Mi", "nodefs.available": "200Mi", "imagefs.available": "200Mi", "nodefs.inodesFree": "1%",
        },
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "eventRecordQPS": 0,
        "maxPods": 240,
        "podLogsDir": state.join("pods"),
        "volumePluginDir": state.join("volume-plugins"),
        "resolvConf": "/etc/resolv.conf",
    });
    fs::write(state.join("kubelet.yaml"), config.to_string())?;
    let kc = multicall(programs, &state)?;
    let kubelet = [
        "kubelet".to_owned(),
        format!("--config={}", state.join("kubelet.yaml").display()),
        format!("--kubeconfig={}", state.join("kubelet.kubeconfig").display()),
        format!("--root-dir={}", state.join("kubelet").display()),
        format!("--hostname-override={node}"),
        format!("--node-ip={}", layout.address()),
    ];
    processes.start("kubelet", &kc, &kubelet)?;
    let proxy = [
        "kube-proxy".to_owned(),
        format!("--kubeconfig={}", layout.kubeconfig()?.display()),
        "--proxy-mode=nftables".to_owned(),
        format!("--cluster-cidr={}", layout.pods()),
        format!("--hostname-override={node}"),
        "--conntrack-max-per-core=0".to_owned(),
        "--conntrack-tcp-timeout-established=0".to_owned(),
        "--conntrack-tcp-timeout-close-wait=0".to_owned(),
    ];
    processes.start("kube-proxy", &kc, &proxy)?;
    processes.until("kubelet", DEADLINE, || {
        let path = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
        kubectl(layout, programs, &["get", "node", &node, "-o", path]).map(|ready| ready == "True")
    })
}

/// Kills all processes in the cgroups of the node, and removes the cgroups.
///
/// # Errors
/// If a cgroup cannot be removed.
pub fn clear_cgroups(layout: &Layout) -> anyhow::Result<()> {
    cgroup_folders(layout, |folder| {
        if folder.exists() {
            empty(folder);
        }
        Ok(())
    })
}

/// Calls `visit` for the cgroup of the node in each hierarchy.
fn cgroup_folders(layout: &Layout, visit: impl Fn(&Path) -> std::io::Result<()>) -> anyhow::Result<()> {
    let unified = Path::new(CGROUPS).join("cgroup.controllers").exists();
    if unified {
        visit(&Path::new(CGROUPS).join(layout.node()))?;
        return Ok(());
    }
    for hierarchy in fs::read_dir(CGROUPS)?.flatten() {
        // Skip links like `cpu`, which point to a hierarchy that has its own entry.
        if hierarchy.file_type()?.is_dir() {
            visit(&hierarchy.path().join(layout.node()))?;
        }
    }
    Ok(())
}

/// Kills the processes in a cgroup and its children, from the bottom up.
fn empty(folder: &Path) {
    for below in fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        empty(&below.path());
    }
    let processes = || fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    for pid in processes().lines().filter_map(|line| line.parse().ok()) {
        if let Some(pid) = rustix::process::Pid::from_raw(pid) {
            // It may just have exited.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
    let gone = || {
        // Removal fails until all processes have exited.
        Ok(fs::remove_dir(folder).is_ok() || !folder.exists())
    };
    let _ = super::shell::wait("removal of a cgroup", Duration::from_secs(5), gone);
}
