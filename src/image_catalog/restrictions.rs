//! How an image restricts its container. The result has at most the privileges that the pool's template gives.

use computing_unit_api::ImageSecurityContext;
use k8s_openapi::api::core::v1::{
    Capabilities, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext as ContainerSecurityContext,
};

/// The first field that would not restrict a container, and its only value.
pub(super) fn no_restriction(given: &ImageSecurityContext) -> Option<(&'static str, &'static str)> {
    let ImageSecurityContext {
        run_as_non_root,
        run_as_user,
        run_as_group,
        allow_privilege_escalation,
        read_only_root_filesystem,
        capabilities,
        seccomp_profile,
    } = given;
    let id = |id: &Option<i64>| id.is_none_or(|id| (1..=i64::from(i32::MAX)).contains(&id));
    [
        (*run_as_non_root != Some(false), "runAsNonRoot", "true"),
        (id(run_as_user), "runAsUser", "a number from 1 to 2147483647"),
        (id(run_as_group), "runAsGroup", "a number from 1 to 2147483647"),
        (*allow_privilege_escalation != Some(true), "allowPrivilegeEscalation", "false"),
        (*read_only_root_filesystem != Some(false), "readOnlyRootFilesystem", "true"),
        (capabilities.as_ref().is_none_or(|given| given.drop == ["ALL"]), "capabilities.drop", "[ALL]"),
        (
            seccomp_profile.as_ref().is_none_or(|given| given.r#type == "RuntimeDefault"),
            "seccompProfile.type",
            "RuntimeDefault",
        ),
    ]
    .into_iter()
    .find_map(|(restricts, field, allowed)| (!restricts).then_some((field, allowed)))
}

/// Adds the restrictions of an image to the first container of a pod.
pub fn restrict(spec: &mut PodSpec, given: &ImageSecurityContext) {
    if *given == ImageSecurityContext::default() {
        return;
    }
    let pod = spec.security_context.clone().unwrap_or_default();
    let Some(container) = spec.containers.first_mut() else { return };
    let own = container.security_context.get_or_insert_default();
    own.run_as_non_root = given.run_as_non_root.or(own.run_as_non_root);
    // An image whose IDs differ from those of the template is not offered.
    own.run_as_user = own.run_as_user.or(given.run_as_user);
    own.run_as_group = own.run_as_group.or(given.run_as_group);
    own.allow_privilege_escalation = given.allow_privilege_escalation.or(own.allow_privilege_escalation);
    own.read_only_root_filesystem = given.read_only_root_filesystem.or(own.read_only_root_filesystem);
    if given.capabilities.is_some() {
        own.capabilities = Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) });
    }
    // A profile of the node's administrator allows less than the default, or something else on purpose.
    if given.seccomp_profile.is_some() && !has_profile(own, &pod) {
        own.seccomp_profile = Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None });
    }
}

fn has_profile(container: &ContainerSecurityContext, pod: &PodSecurityContext) -> bool {
    let profile = container.seccomp_profile.as_ref().or(pod.seccomp_profile.as_ref());
    profile.is_some_and(|profile| profile.type_ != "Unconfined")
}
