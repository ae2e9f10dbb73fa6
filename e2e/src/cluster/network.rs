//! The network namespace of the node, the link to it, and the routes from the machine to pods and Services.

use std::path::Path;

use super::{
    layout::Layout,
    shell::{output, run},
};

/// Creates all of them.
///
/// # Errors
/// If one of them cannot be created.
pub fn up(layout: &Layout) -> anyhow::Result<()> {
    let node = layout.node();
    let (host, inner) = layout.links();
    ip(&["netns", "add", &node])?;
    ip(&["link", "add", &host, "type", "veth", "peer", "name", &inner, "netns", &node])?;
    ip(&["addr", "add", &format!("{}/24", layout.host()), "dev", &host])?;
    ip(&["link", "set", &host, "up"])?;
    ip(&["-n", &node, "addr", "add", &format!("{}/24", layout.address()), "dev", &inner])?;
    ip(&["-n", &node, "link", "set", &inner, "up"])?;
    ip(&["-n", &node, "link", "set", "lo", "up"])?;
    ip(&["-n", &node, "route", "add", "default", "via", &layout.host().to_string()])?;
    for range in [layout.pods(), layout.services()] {
        ip(&["route", "replace", &range, "via", &layout.address().to_string()])?;
    }
    run("ip", ["netns", "exec", &node, "sysctl", "-qw", "net.ipv4.ip_forward=1"])?;
    Ok(())
}

/// Removes what exists. The routes are removed with the link.
///
/// # Errors
/// If something cannot be removed.
pub fn down(layout: &Layout) -> anyhow::Result<()> {
    let (host, _) = layout.links();
    if Path::new("/sys/class/net").join(&host).exists() {
        ip(&["link", "del", &host])?;
    }
    if Path::new("/run/netns").join(layout.node()).exists() {
        ip(&["netns", "del", &layout.node()])?;
    }
    Ok(())
}

fn ip(args: &[&str]) -> anyhow::Result<()> {
    output(std::process::Command::new("ip").args(args)).map(drop)
}
