package org.apache.texera.client;

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

/** What cannot be is refused, with a sentence that can be shown to whoever asked. */
class RefusalsTest {
    private static final Duration SOON = Duration.ofMinutes(1);
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

    private static void refused(int code, String sentence, UnitRequest request) {
        var refusal = assertThrows(Refused.class, () -> cluster.units.create(request));
        assertEquals(code, refusal.code(), refusal.getMessage());
        assertEquals(sentence, refusal.getMessage());
    }

    @Test
    void rulesAreSaidAsTheyAreWritten() {
        refused(422, "spec.sharedMemory is taken from the unit's memory: make it at most spec.resources.limits.memory",
            UnitRequest.of(Cluster.number()).memory("64Mi").sharedMemory("128Mi"));
        refused(422, "spec.cuid in body should be greater than or equal to 1", UnitRequest.of(0));
        refused(422, "spec.env: names starting with COMPUTING_UNIT_ are set by the operator: choose another name",
            UnitRequest.of(Cluster.number()).env("COMPUTING_UNIT_NAME", "mine"));
    }

    @Test
    void anAmountThatCannotBeReadIsSaidSo() {
        var request = UnitRequest.of(Cluster.number());
        for (String amount : new String[] {"much", "", "4 Gi", "4GB"}) {
            var refusal = assertThrows(IllegalArgumentException.class, () -> request.memory(amount));
            assertEquals("memory: \"" + amount + "\" is no amount: write it as 500m, 2 or 4Gi", refusal.getMessage());
        }
    }

    @Test
    void aNumberThatIsTakenIsSaidSo() {
        var request = UnitRequest.of(Cluster.number());
        long cuid = cluster.units.create(request).getSpec().getCuid();
        refused(409, ComputingUnits.nameOf(cuid) + " exists already", request);
        cluster.units.delete(cuid);
    }

    @Test
    void anImageThatIsNotOfferedIsSaidSo() {
        long cuid = cluster.units.create(UnitRequest.of(Cluster.number()).image("mine")).getSpec().getCuid();
        var refusal = assertThrows(NotUsable.class, () -> cluster.units.awaitUsable(cuid, SOON));
        assertTrue(refusal.getMessage().contains("ImageNotOffered: "), refusal.getMessage());
        cluster.units.delete(cuid);
    }

    @Test
    void aQuotaIsSaidSo() {
        var resource = "count/computingunits.texera.apache.org";
        var quota = new ResourceQuotaBuilder().withNewMetadata().withName("units").withNamespace(cluster.namespace).endMetadata()
            .withNewSpec().addToHard(resource, new Quantity("0")).endSpec().build();
        cluster.admin.resource(quota).create();
        try {
            // The API server holds to a quota once the usage is counted.
            cluster.admin.resource(quota).waitUntilCondition(
                q -> q != null && q.getStatus() != null && q.getStatus().getUsed() != null && q.getStatus().getUsed().containsKey(resource),
                SOON.toMillis(), TimeUnit.MILLISECONDS);
            var refusal = assertThrows(Refused.class, () -> cluster.units.create(UnitRequest.of(Cluster.number())));
            assertEquals(403, refusal.code());
            assertTrue(refusal.getMessage().contains("exceeded quota: units"), refusal.getMessage());
        } finally {
            cluster.admin.resource(quota).delete();
        }
    }

    @Test
    void rightsThatAreMissingAreSaidSo() {
        var elsewhere = new ComputingUnits(cluster.backend, "default");
        var refusal = assertThrows(Refused.class, () -> elsewhere.create(UnitRequest.of(Cluster.number())));
        assertEquals(403, refusal.code());
        assertTrue(refusal.getMessage().contains("cannot create resource \"computingunits\""), refusal.getMessage());
        assertThrows(Refused.class, () -> elsewhere.find(1));
        assertThrows(Refused.class, () -> elsewhere.ownedBy("ada"));
        assertThrows(Refused.class, () -> elsewhere.delete(1));
        assertThrows(Refused.class, () -> elsewhere.suspend(1));
    }

    @Test
    void anApiServerThatIsNotThereIsSaidSo() {
        var nowhere = new ConfigBuilder().withMasterUrl("http://127.0.0.1:1")
            .withRequestRetryBackoffLimit(0).build();
        try (var client = new KubernetesClientBuilder().withConfig(nowhere).build()) {
            var units = new ComputingUnits(client, "default");
            var refusal = assertThrows(Refused.class, () -> units.create(UnitRequest.of(Cluster.number())));
            assertEquals(0, refusal.code());
            assertTrue(refusal.getMessage().startsWith("the API server does not answer: "), refusal.getMessage());
        }
    }
}
