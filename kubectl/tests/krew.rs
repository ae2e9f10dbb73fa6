//! The archive and the manifest for krew.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{fs, path::Path, process::Command};

use serde_json::Value;

#[test]
fn manifest_refers_to_the_archive() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("krew");
    let _ = fs::remove_dir_all(&folder);
    let mut pack = Command::new(here.join("krew/pack.sh"));
    pack.arg(env!("CARGO_BIN_EXE_kubectl-cu")).arg(env!("CARGO_PKG_VERSION")).arg("https://example.org/v").arg(&folder);
    assert!(pack.status().unwrap().success());

    let manifest: Value = serde_saphyr::from_str(&fs::read_to_string(folder.join("cu.yaml")).unwrap()).unwrap();
    assert_eq!(manifest["metadata"]["name"], "cu");
    assert_eq!(manifest["spec"]["version"], format!("v{}", env!("CARGO_PKG_VERSION")));
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    assert_eq!(platforms.len(), 1, "only the platform of the build");
    let uri = platforms[0]["uri"].as_str().unwrap();
    let name = uri.strip_prefix("https://example.org/v/").unwrap();
    let archive = folder.join(name);
    let labels = &platforms[0]["selector"]["matchLabels"];
    assert_eq!(
        name,
        format!("kubectl-cu-{}-{}.tar.gz", labels["os"].as_str().unwrap(), labels["arch"].as_str().unwrap())
    );
    let sum = Command::new("sha256sum").arg(&archive).output().unwrap().stdout;
    assert!(String::from_utf8(sum).unwrap().starts_with(platforms[0]["sha256"].as_str().unwrap()));

    // The archive has the program that krew installs.
    let unpacked = folder.join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    assert!(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&unpacked).status().unwrap().success());
    let program = unpacked.join(platforms[0]["bin"].as_str().unwrap());
    let version = Command::new(program).arg("--version").output().unwrap().stdout;
    assert_eq!(String::from_utf8(version).unwrap().trim(), format!("kubectl-cu {}", env!("CARGO_PKG_VERSION")));
    assert!(unpacked.join("LICENSE").exists() && unpacked.join("NOTICE").exists());
}
