//! Names in the cluster and the kubeconfig, for completion.

use std::{ffi::OsString, time::Duration};

use clap::{Command, FromArgMatches};
use computing_unit_api::names::own_container;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{Api, ResourceExt, api::ListParams, config::Kubeconfig};
use tokio::time::timeout;

use crate::{
    connection::{Connection, connect},
    object::{Pool, Unit},
    options::ConnectionArgs,
};

/// Time for all requests.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Known names. Only those that the last word can be are read.
#[derive(Debug, Default)]
pub struct Known {
    pub units: Vec<String>,
    pub pools: Vec<String>,
    pub images: Vec<String>,
    pub owners: Vec<String>,
    pub namespaces: Vec<String>,
    pub contexts: Vec<String>,
    pub containers: Vec<String>,
}

/// What the last word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unit,
    Pool,
    Image,
    Owner,
    Namespace,
    Context,
    Container,
    Nothing,
}

impl Known {
    /// The names for the last word of a command line; none after the timeout.
    pub async fn of(words: &[OsString], command: &Command) -> Self {
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let kind = kind(&words);
        let mut known = Self::default();
        if kind == Kind::Context {
            let config = Kubeconfig::read().unwrap_or_default();
            known.contexts = config.contexts.into_iter().map(|context| context.name).collect();
        } else if kind != Kind::Nothing {
            let read = async {
                let connection = connect(&connection_args(&words, command)).await.ok()?;
                known.read(kind, &connection, &words).await.ok()
            };
            let _ = timeout(TIMEOUT, read).await;
        }
        known
    }

    async fn read(&mut self, kind: Kind, connection: &Connection, words: &[String]) -> kube::Result<()> {
        let (client, namespace) = (|| connection.client.clone(), connection.namespace.as_str());
        let all = ListParams::default();
        match kind {
            Kind::Unit => {
                let given = words.split_last().map_or(&[][..], |(_, given)| given);
                let units = connection.units(namespace).list_metadata(&all).await?.items;
                self.units = units.iter().map(ResourceExt::name_any).filter(|name| !given.contains(name)).collect();
            }
            Kind::Owner => {
                let units: Vec<Unit> = connection.units(namespace).list(&all).await?.items;
                self.owners = units.iter().filter_map(|unit| unit.spec.owner.clone()).collect();
                self.owners.sort();
                self.owners.dedup();
            }
            Kind::Pool | Kind::Image => {
                let pools = Api::<Pool>::namespaced(client(), namespace).list(&all).await?.items;
                self.pools = pools.iter().map(ResourceExt::name_any).collect();
                self.images = pools.iter().flat_map(|pool| &pool.spec.images).map(|image| image.name.clone()).collect();
            }
            Kind::Namespace => {
                let namespaces = Api::<Namespace>::all(client()).list_metadata(&all).await?.items;
                self.namespaces = namespaces.iter().map(ResourceExt::name_any).collect();
            }
            Kind::Container => {
                let pods = Api::<Pod>::namespaced(client(), namespace);
                for name in words {
                    let Some(pod) = pods.get_opt(name).await.unwrap_or_default() else { continue };
                    let engine = own_container(&pod).map(|container| container.name.clone());
                    let others =
                        pod.spec.iter().flat_map(|spec| &spec.containers).map(|container| container.name.clone());
                    self.containers
                        .extend(engine.clone().into_iter().chain(others.filter(|name| Some(name) != engine.as_ref())));
                }
            }
            Kind::Context | Kind::Nothing => {}
        }
        Ok(())
    }
}

/// What the last word is, by the option before it or the command.
fn kind(words: &[String]) -> Kind {
    let Some((last, before)) = words.split_last() else { return Kind::Nothing };
    let option = last.split_once('=').map(|(option, _)| option).or_else(|| before.last().map(String::as_str));
    match option {
        Some("--pool") => Kind::Pool,
        Some("--image") => Kind::Image,
        Some("--owner") => Kind::Owner,
        Some("-n" | "--namespace") => Kind::Namespace,
        Some("--context") => Kind::Context,
        Some("-c" | "--container") => Kind::Container,
        _ if last.starts_with('-') => Kind::Nothing,
        _ => before.iter().find_map(|word| of_command(word)).unwrap_or(Kind::Nothing),
    }
}

/// What the arguments of a command are.
fn of_command(command: &str) -> Option<Kind> {
    match command {
        "list" | "get" | "ls" | "describe" | "suspend" | "resume" | "restart" | "resize" | "url" | "open" | "logs"
        | "wait" | "delete" | "rm" => Some(Kind::Unit),
        "pools" => Some(Kind::Pool),
        _ => None,
    }
}

/// The options of the connection in an incomplete command line.
fn connection_args(words: &[String], command: &Command) -> ConnectionArgs {
    let previous = words.split_last().map_or(&[][..], |(_, previous)| previous);
    let line = ["kubectl-cu".to_owned()].into_iter().chain(previous.iter().cloned());
    let matches = command.clone().ignore_errors(true).try_get_matches_from(line).ok();
    let subcommand = matches.as_ref().and_then(|matches| matches.subcommand());
    subcommand.and_then(|(_, matches)| ConnectionArgs::from_arg_matches(matches).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_last_word_can_be_is_read() {
        for (line, expected) in [
            ("suspend ", Kind::Unit),
            ("-n team suspend ad", Kind::Unit),
            ("suspend --", Kind::Nothing),
            ("", Kind::Nothing),
            ("create ada --pool ", Kind::Pool),
            ("create ada --image=p", Kind::Image),
            ("list -n ", Kind::Namespace),
            ("pools d", Kind::Pool),
            ("doctor ", Kind::Nothing),
        ] {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(kind(&words), expected, "{line:?}");
        }
    }
}
