package computingunits.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.ResourceQuotaBuilder;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Messages of rejected requests. */
class RejectionsTest {
    private static final Duration TIMEOUT = Duration.ofMinutes(1);
    private static Cluster cluster;

    @BeforeAll
    static void open() {
        cluster = new Cluster();
    }

    @AfterAll
    static void close() {
        if (cluster != null) {
            cluster.close();
        }
    }

    private static void assertRejected(int code, String message, UnitRequest request) {
        var rejection = assertThrows(RejectedException.class, () -> cluster.units.create(request));
        assertEquals(code, rejection.code(), rejection.getMessage());
        assertEquals(message, rejection.getMessage());
    }

    @Test
    void messagesOfRulesArePassedOn() {
        assertRejected(422, "spec.sharedMemory must not exceed spec.resources.limits.memory",
            UnitRequest.of(Cluster.newCuid()).memory("64Mi").sharedMemory("128Mi"));
        assertRejected(422, "spec.cuid in body should be greater than or equal to 1", UnitRequest.of(0));
        assertRejected(422, "spec.env must not have names that start with COMPUTING_UNIT_; they are reserved for the operator",
            UnitRequest.of(Cluster.newCuid()).env("COMPUTING_UNIT_NAME", "mine"));
    }

    @Test
    void invalidQuantityIsRejected() {
        var request = UnitRequest.of(Cluster.newCuid());
        for (String quantity : new String[] {"much", "", "4 Gi", "4GB"}) {
            var rejection = assertThrows(IllegalArgumentException.class, () -> request.memory(quantity));
            assertEquals("memory: invalid quantity \"" + quantity + "\": use a format such as 500m, 2 or 4Gi", rejection.getMessage());
        }
    }

    @Test
    void duplicateNameIsRejected() {
        var request = UnitRequest.of(Cluster.newCuid());
        long cuid = cluster.units.create(request).getSpec().getCuid();
        assertRejected(409, cluster.units.nameOf(cuid) + " already exists", request);
        cluster.units.delete(cuid);
    }

    @Test
    void imageThatIsNotOfferedIsReported() {
        long cuid = cluster.units.create(UnitRequest.of(Cluster.newCuid()).image("mine")).getSpec().getCuid();
        var rejection = assertThrows(NotReadyException.class, () -> cluster.units.awaitReady(cuid, TIMEOUT));
        assertTrue(rejection.getMessage().contains("ImageNotOffered: "), rejection.getMessage());
        cluster.units.delete(cuid);
    }

    @Test
    void exceededQuotaIsReported() {
        var resource = "count/computingunits.texera.apache.org";
        var quota = new ResourceQuotaBuilder().withNewMetadata().withName("units").withNamespace(cluster.namespace).endMetadata()
            .withNewSpec().addToHard(resource, new Quantity("0")).endSpec().build();
        cluster.admin.resource(quota).create();
        try {
            // The API server enforces the quota once its usage is calculated.
            cluster.admin.resource(quota).waitUntilCondition(
                q -> q != null && q.getStatus() != null && q.getStatus().getUsed() != null && q.getStatus().getUsed().containsKey(resource),
                TIMEOUT.toMillis(), TimeUnit.MILLISECONDS);
            var rejection = assertThrows(RejectedException.class, () -> cluster.units.create(UnitRequest.of(Cluster.newCuid())));
            assertEquals(403, rejection.code());
            assertTrue(rejection.getMessage().contains("exceeded quota: units"), rejection.getMessage());
        } finally {
            cluster.admin.resource(quota).delete();
        }
    }

    @Test
    void missingPermissionIsReported() {
        var forbidden = new ComputingUnits(cluster.backend, "default");
        var rejection = assertThrows(RejectedException.class, () -> forbidden.create(UnitRequest.of(Cluster.newCuid())));
        assertEquals(403, rejection.code());
        assertTrue(rejection.getMessage().contains("cannot create resource \"computingunits\""), rejection.getMessage());
        assertThrows(RejectedException.class, () -> forbidden.find(1));
        assertThrows(RejectedException.class, () -> forbidden.listByOwner("ada"));
        assertThrows(RejectedException.class, () -> forbidden.delete(1));
        assertThrows(RejectedException.class, () -> forbidden.suspend(1));
    }

    @Test
    void unreachableApiServerIsReported() {
        var unreachable = new ConfigBuilder().withMasterUrl("http://127.0.0.1:1")
            .withRequestRetryBackoffLimit(0).build();
        try (var client = new KubernetesClientBuilder().withConfig(unreachable).build()) {
            var units = new ComputingUnits(client, "default");
            var rejection = assertThrows(RejectedException.class, () -> units.create(UnitRequest.of(Cluster.newCuid())));
            assertEquals(0, rejection.code());
            assertTrue(rejection.getMessage().startsWith("the API server did not respond: "), rejection.getMessage());
        }
    }
}
