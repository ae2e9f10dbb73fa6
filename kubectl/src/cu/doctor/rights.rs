//! What the user may do.

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::{Api, api::PostParams};

use super::{Check, Context, send};

/// Requests of the commands: group, resource, subresource and verbs.
const USED: [(&str, &str, &str, &[&str]); 5] = [
    ("texera.apache.org", "computingunits", "", &["get", "list", "watch", "create", "patch", "delete"]),
    ("texera.apache.org", "computingunitpools", "", &["get", "list"]),
    ("", "pods", "", &["get"]),
    ("", "pods", "log", &["get"]),
    ("", "events", "", &["list"]),
];

/// Whether the user may send the requests of all commands.
pub async fn check(context: &Context) -> Check {
    let requests = USED.iter().flat_map(|(group, resource, subresource, verbs)| {
        verbs.iter().map(move |verb| (*group, *resource, *subresource, *verb))
    });
    let answers: kube::Result<Vec<Option<String>>> = stream::iter(requests)
        .map(|(group, resource, subresource, verb)| async move {
            let name =
                [resource, subresource].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/");
            let allowed = allowed(context, group, resource, subresource, verb).await?;
            Ok((!allowed).then(|| format!("{verb} {name}")))
        })
        .buffered(4)
        .try_collect()
        .await;
    match answers {
        Ok(answers) => {
            let missing: Vec<_> = answers.into_iter().flatten().collect();
            if missing.is_empty() {
                return Check::ok("Rights", format!("you can use every command in {}", context.place()));
            }
            Check::warn(
                "Rights",
                format!("you cannot {} in {}", missing.join(", "), context.place()),
                "Ask for a RoleBinding to the ClusterRole edit (or view) in that namespace, if you need those commands.",
            )
        }
        Err(error) => Check::error("Rights", &error),
    }
}

async fn allowed(context: &Context, group: &str, resource: &str, subresource: &str, verb: &str) -> kube::Result<bool> {
    let some = |text: &str| Some(text.to_owned());
    let attributes = ResourceAttributes {
        group: some(group),
        resource: some(resource),
        subresource: some(subresource).filter(|name| !name.is_empty()),
        verb: some(verb),
        namespace: context.namespace.clone(),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(context.connection.client.clone());
    let answer = send(context, api.create(&PostParams::default(), &review)).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
