//! etcd and the control plane.

use std::{path::Path, time::Duration};

use super::{
    audit,
    layout::Layout,
    process::Processes,
    programs::Programs,
    shell::{self, output},
};

/// The deadline for the readiness of each.
const DEADLINE: Duration = Duration::from_mins(1);

/// The processes, in start order.
pub const NAMES: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];

/// Starts the processes and waits until each is ready.
///
/// # Errors
/// If one does not become ready.
pub fn up(layout: &Layout, programs: &Programs, processes: &Processes) -> anyhow::Result<()> {
    let state = layout.state()?;
    let file = |name: &str| state.join(name).display().to_string();
    let start = |name: &str, flags: Vec<String>| {
        let args: Vec<String> = std::iter::once(name.to_owned()).chain(flags).collect();
        // The first argument selects the program of the combined binary.
        processes.start(name, &multicall(programs, &state)?, &args)
    };
    start(
        "etcd",
        vec![
            format!("--data-dir={}", file("etcd")),
            // Durability is not needed: a killed cluster is recreated with an empty store.
            "--unsafe-no-fsync".to_owned(),
            "--listen-client-urls=http://127.0.0.1:2379".to_owned(),
            "--advertise-client-urls=http://127.0.0.1:2379".to_owned(),
            "--listen-peer-urls=http://127.0.0.1:2380".to_owned(),
        ],
    )?;
    api_server(layout, programs, processes)?;
    let kubeconfig = format!("--kubeconfig={}", layout.kubeconfig()?.display());
    // The default client-side rate limits would dominate benchmarks.
    let limits = ["--leader-elect=false", "--kube-api-qps=200", "--kube-api-burst=400"].map(str::to_owned);
    let manager = vec![
        kubeconfig.clone(),
        format!("--service-account-private-key-file={}", file("pki/sa.key")),
        format!("--root-ca-file={}", file("pki/ca.crt")),
        "--use-service-account-credentials".to_owned(),
        "--enable-hostpath-provisioner".to_owned(),
        format!("--cluster-cidr={}", layout.pods()),
        "--allocate-node-cidrs".to_owned(),
        format!("--service-cluster-ip-range={}", layout.services()),
    ];
    start("kube-controller-manager", manager.into_iter().chain(limits.clone()).collect())?;
    start("kube-scheduler", std::iter::once(kubeconfig).chain(limits).collect())
}

/// Starts the API server and waits until it is ready.
///
/// # Errors
/// If it does not become ready.
pub fn api_server(layout: &Layout, programs: &Programs, processes: &Processes) -> anyhow::Result<()> {
    let state = layout.state()?;
    let file = |name: &str| state.join(name).display().to_string();
    let mut args = vec![
        "kube-apiserver".to_owned(),
        "--etcd-servers=http://127.0.0.1:2379".to_owned(),
        "--secure-port=6443".to_owned(),
        format!("--advertise-address={}", layout.address()),
        format!("--tls-cert-file={}", file("pki/apiserver.crt")),
        format!("--tls-private-key-file={}", file("pki/apiserver.key")),
        format!("--client-ca-file={}", file("pki/ca.crt")),
        format!("--service-account-key-file={}", file("pki/sa.pub")),
        format!("--service-account-signing-key-file={}", file("pki/sa.key")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-cluster-ip-range={}", layout.services()),
        "--authorization-mode=Node,RBAC".to_owned(),
        // Like in hardened clusters: `blockOwnerDeletion` needs an additional permission.
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement".to_owned(),
        "--allow-privileged=true".to_owned(),
        format!("--kubelet-client-certificate={}", file("pki/admin.crt")),
        format!("--kubelet-client-key={}", file("pki/admin.key")),
        // The name of the node cannot be resolved.
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
    ];
    args.extend(audit::flags(layout)?);
    processes.start("kube-apiserver", &multicall(programs, &state)?, &args)?;
    processes.until("kube-apiserver", DEADLINE, || ready(layout, programs))
}

/// Kills the API server and starts it again. Its watch cache is empty then, so its clients list their objects again.
///
/// # Errors
/// If it is not running, or does not become ready.
pub fn restart_api_server(layout: &Layout, programs: &Programs, processes: &Processes) -> anyhow::Result<()> {
    processes.kill("kube-apiserver")?;
    api_server(layout, programs, processes)
}

/// Whether the API server is ready.
///
/// # Errors
/// If kubectl fails.
pub fn ready(layout: &Layout, programs: &Programs) -> anyhow::Result<bool> {
    kubectl(layout, programs, &["get", "--raw", "/readyz"]).map(|answer| answer.trim() == "ok")
}

/// Runs kubectl as cluster-admin.
///
/// # Errors
/// If it fails.
pub fn kubectl(layout: &Layout, programs: &Programs, args: &[&str]) -> anyhow::Result<String> {
    let mut command = std::process::Command::new(multicall(programs, &layout.state()?)?);
    output(command.arg("kubectl").arg("--kubeconfig").arg(layout.kubeconfig()?).args(args))
}

/// A link to the combined Kubernetes binary under the name that it expects.
///
/// # Errors
/// If the link cannot be created.
pub fn multicall(programs: &Programs, state: &Path) -> anyhow::Result<std::path::PathBuf> {
    let link = state.join("kc");
    if !link.exists() {
        shell::run("ln", ["-sfn".as_ref(), programs.kubernetes.as_os_str(), link.as_os_str()])?;
    }
    Ok(link)
}
