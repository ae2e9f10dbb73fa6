package computingunits.client;

import io.fabric8.kubernetes.api.model.rbac.PolicyRuleBuilder;
import io.fabric8.kubernetes.api.model.rbac.RoleBindingBuilder;
import io.fabric8.kubernetes.api.model.rbac.RoleBuilder;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;

/** The namespace of the tests, which has a pool and an operator, and a client with the permissions of a backend. */
final class Cluster implements AutoCloseable {
    private static final String BACKEND = "texera-backend";
    private static final AtomicLong NEXT = new AtomicLong(7_000_000_000L + ThreadLocalRandom.current().nextLong(1L << 40));

    final String namespace = required("UNITS_NAMESPACE");
    /** A client with all permissions. */
    final KubernetesClient admin;
    final KubernetesClient backend;
    final ComputingUnits units;

    Cluster() {
        required("KUBECONFIG");
        admin = new KubernetesClientBuilder().build();
        backend = new KubernetesClientBuilder().withConfig(
            new ConfigBuilder(Config.autoConfigure(null)).withImpersonateUsername(BACKEND).build()).build();
        units = new ComputingUnits(backend, namespace);
        grantPermissions();
    }

    /** A unique cuid. */
    static long newCuid() {
        return NEXT.getAndIncrement();
    }

    private void grantPermissions() {
        var units = new PolicyRuleBuilder().withApiGroups("texera.apache.org").withResources("computingunits")
            .withVerbs("create", "get", "list", "watch", "patch", "delete").build();
        var pools = new PolicyRuleBuilder().withApiGroups("texera.apache.org").withResources("computingunitpools")
            .withVerbs("get", "list", "watch").build();
        admin.resource(new RoleBuilder().withNewMetadata().withName(BACKEND).withNamespace(namespace).endMetadata()
            .withRules(units, pools).build()).serverSideApply();
        admin.resource(new RoleBindingBuilder().withNewMetadata().withName(BACKEND).withNamespace(namespace).endMetadata()
            .withNewRoleRef("rbac.authorization.k8s.io", "Role", BACKEND)
            .addNewSubject("rbac.authorization.k8s.io", "User", BACKEND, null).build()).serverSideApply();
    }

    private static String required(String variable) {
        var value = System.getenv(variable);
        if (value == null || value.isBlank()) {
            throw new IllegalStateException(variable + " is not set: run `make java-client`, which creates a "
                + "cluster and a namespace with a pool and an operator");
        }
        return value;
    }

    @Override
    public void close() {
        backend.close();
        admin.close();
    }
}
