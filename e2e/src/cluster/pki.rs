//! The keys and certificates of a cluster, and its kubeconfigs. They are generated for each cluster.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::json;

use super::layout::Layout;

/// The user with cluster-admin rights.
pub const ADMIN: &str = "admin";

/// Creates all keys, certificates and kubeconfigs in the state directory.
///
/// # Errors
/// If they cannot be created or written.
pub fn make(layout: &Layout) -> anyhow::Result<()> {
    let folder = layout.state()?.join("pki");
    fs::create_dir_all(&folder)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = named("computing-unit-operator e2e", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let ca = params.self_signed(&key)?.pem();
    fs::write(folder.join("ca.crt"), &ca)?;
    let issuer = Issuer::new(params, key);

    let tokens = KeyPair::generate()?;
    fs::write(folder.join("sa.key"), tokens.serialize_pem())?;
    fs::write(folder.join("sa.pub"), tokens.public_key_pem())?;
    let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    let addresses = [Ipv4Addr::LOCALHOST, layout.address(), layout.service(1)];
    issue(&folder, &issuer, "apiserver", named("kube-apiserver", None), &names, &addresses)?;
    issue(&folder, &issuer, ADMIN, named(ADMIN, Some("system:masters")), &[], &[])?;
    let node = named(&format!("system:node:{}", layout.node()), Some("system:nodes"));
    issue(&folder, &issuer, "kubelet", node, &[], &[])?;

    kubeconfig(layout, ADMIN, &layout.kubeconfig()?)?;
    kubeconfig(layout, "kubelet", &layout.state()?.join("kubelet.kubeconfig"))
}

fn named(name: &str, group: Option<&str>) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    if let Some(group) = group {
        names.push(DnType::OrganizationName, group);
    }
    names
}

fn issue(
    folder: &Path,
    issuer: &Issuer<'_, KeyPair>,
    name: &str,
    subject: DistinguishedName,
    names: &[&str],
    addresses: &[Ipv4Addr],
) -> anyhow::Result<()> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    for name in names {
        params.subject_alt_names.push(SanType::DnsName((*name).try_into()?));
    }
    params.subject_alt_names.extend(addresses.iter().map(|address| SanType::IpAddress(IpAddr::V4(*address))));
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    fs::write(folder.join(format!("{name}.crt")), certificate.pem())?;
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
    Ok(())
}

fn kubeconfig(layout: &Layout, user: &str, path: &Path) -> anyhow::Result<()> {
    let folder = layout.state()?.join("pki");
    let read = |file: String| fs::read(folder.join(&file)).map(|bytes| base64(&bytes)).context(file);
    let name = layout.node();
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {
            "server": format!("https://{}:6443", layout.address()),
            "certificate-authority-data": read("ca.crt".to_owned())?,
        }}],
        "users": [{"name": user, "user": {
            "client-certificate-data": read(format!("{user}.crt"))?,
            "client-key-data": read(format!("{user}.key"))?,
        }}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    });
    fs::write(path, serde_saphyr::to_string(&config)?)?;
    Ok(())
}

fn base64(bytes: &[u8]) -> String {
    // The byte string type of Kubernetes serializes to base64.
    let value = serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec())).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_base64() {
        assert_eq!(base64(b"hello"), "aGVsbG8=");
    }
}
