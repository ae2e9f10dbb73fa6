package computingunits.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;

/** Names of units, without a cluster. */
class NamePrefixTest {
    private static final KubernetesClient CLIENT = new KubernetesClientBuilder().withConfig(new ConfigBuilder().build()).build();

    @AfterAll
    static void close() {
        CLIENT.close();
    }

    private static ComputingUnits named(String prefix) {
        return new ComputingUnits(CLIENT, "units", prefix);
    }

    @Test
    void unitIsNamedByPrefixAndCuid() {
        assertEquals("computing-unit-42", new ComputingUnits(CLIENT, "units").nameOf(42));
        assertEquals("cu-42", named("cu").nameOf(42));
        assertEquals("cu-42", UnitRequest.of(42).toUnit(named("cu").nameOf(42)).getMetadata().getName());
    }

    @Test
    void prefixThatIsNoDnsLabelIsRejected() {
        for (String prefix : new String[] {"", "CU", "1cu", "cu-", "a.b", "a".repeat(43)}) {
            assertThrows(IllegalArgumentException.class, () -> named(prefix), prefix);
        }
        assertEquals("a".repeat(42) + "-1", named("a".repeat(42)).nameOf(1));
    }
}
