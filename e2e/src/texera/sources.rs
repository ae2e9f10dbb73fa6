//! The files of Texera (apache/texera) that the stand-ins follow, each in the version that was read.

/// A stand-in, and what it follows.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The stand-in.
    pub standin: &'static str,
    /// A path in the repository of Texera.
    pub file: &'static str,
    /// The commit, or the date of a version whose commit is not known.
    pub version: &'static str,
    /// What follows it.
    pub behaviour: &'static str,
}

/// The sources of all stand-ins.
pub const SOURCES: [Source; 10] = [
    Source {
        standin: "access-control",
        file: "access-control-service/src/main/scala/org/apache/texera/service/resource/AccessControlResource.scala",
        version: "2026-07",
        behaviour: "paths, methods GET, POST and DELETE, the number in the query or in the path, 403 without one",
    },
    Source {
        standin: "access-control",
        file: "access-control-service/src/main/scala/org/apache/texera/service/resource/AccessControlResource.scala",
        version: "pull request 5629, 2026-06",
        behaviour: "Host is the recorded address of a unit, or the name that Texera builds if none is recorded",
    },
    Source {
        standin: "access-control",
        file: "bin/k8s/templates/agent-service-security-policy.yaml",
        version: "b29e5be1be08a6df37b7b3c0e45d19d1aa743342",
        behaviour: "/api/agents: 401 without a user, headers x-user-id, x-user-name and x-user-email",
    },
    Source {
        standin: "agent-service",
        file: "bin/k8s/templates/agent-service-deployment.yaml",
        version: "5d2c0e6cd1568515f53bf3f04345fb62162a1813",
        behaviour: "requests to the DNS name and port of a unit (EXECUTION_ENDPOINT_TEMPLATE)",
    },
    Source {
        standin: "agent-service",
        file: "agent-service/src/api/execution-api.ts",
        version: "2026-08",
        behaviour: "fetch of POST /api/execution/<workflow>/<cuid>/run with the token of the user as Authorization: Bearer",
    },
    Source {
        standin: "manager",
        file: "computing-unit-managing-service/src/main/scala/org/apache/texera/service/util/ComputingUnitHelpers.scala",
        version: "2026-09",
        behaviour: "a listing marks units without a pod as terminated",
    },
    Source {
        standin: "jupyter",
        file: "notebook-migration-service/src/main/scala/org/apache/texera/service/util/JupyterProvisioner.scala",
        version: "f5537c53",
        behaviour: "a pod for each user, named by a headless Service, at a path with the number of the user",
    },
    Source {
        standin: "rustfs",
        file: "bin/k8s/templates/base/_helpers.tpl",
        version: "167388556538c5a3d13ba840836ddf3dce3db22c",
        behaviour: "the object store is <release>-rustfs-svc:9000",
    },
    Source {
        standin: "services",
        file: "bin/k8s/templates/base/gateway/gateway-routes.yaml",
        version: "7a32fdabef25a731530047910415123032543584",
        behaviour: "names, ports and paths of the services",
    },
    Source {
        standin: "network-policy",
        file: "bin/k8s/templates/base/workflow-computing-unit-pool/workflow-computing-units-network-policy.yaml",
        version: "4b0b7ff0a40eaa619514e76d72acb00c512fedb8",
        behaviour: "the agent service reaches units, units do not reach each other",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_standin_follows_a_version_of_a_file() {
        let named: BTreeSet<_> = SOURCES.iter().map(|source| source.standin).collect();
        let expected =
            ["access-control", "agent-service", "jupyter", "manager", "network-policy", "rustfs", "services"];
        assert_eq!(named.into_iter().collect::<Vec<_>>(), expected);
        for source in SOURCES {
            assert!(source.file.contains('/') && !source.version.is_empty() && !source.behaviour.is_empty());
        }
    }
}
