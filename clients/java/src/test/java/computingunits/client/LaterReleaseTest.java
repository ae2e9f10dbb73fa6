package computingunits.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Units of a later release of the API, from a server that answers every request with the same list. */
class LaterReleaseTest {
    private static HttpServer server;
    private static KubernetesClient client;
    private static KubernetesClient tolerant;

    @BeforeAll
    static void open() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", exchange -> {
            boolean enumeration = exchange.getRequestURI().getPath().contains("/enumeration/");
            var body = list(enumeration ? "Hibernated" : "Suspended").getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("content-type", "application/json");
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
        var config = new ConfigBuilder().withMasterUrl("http://127.0.0.1:" + server.getAddress().getPort()).build();
        client = new KubernetesClientBuilder().withConfig(config).build();
        tolerant = new KubernetesClientBuilder().withConfig(config)
            .withKubernetesSerialization(ComputingUnits.serialization()).build();
    }

    @AfterAll
    static void close() {
        if (tolerant != null) {
            client.close();
            tolerant.close();
        }
        server.stop(0);
    }

    /** One unit that this release knows, and one with a phase, a condition and fields that it does not. */
    private static String list(String operatingMode) {
        return "{\"apiVersion\":\"texera.apache.org/v1alpha1\",\"kind\":\"ComputingUnitList\",\"metadata\":{},\"items\":["
            + "{\"metadata\":{\"name\":\"cu-1\",\"generation\":1},\"spec\":{\"cuid\":1,\"poolName\":\"default\","
            + "\"operatingMode\":\"Running\"},\"status\":{\"phase\":\"Ready\",\"conditions\":[" + condition("Ready") + "]}},"
            + "{\"metadata\":{\"name\":\"cu-2\",\"generation\":1},\"spec\":{\"cuid\":2,\"poolName\":\"default\","
            + "\"operatingMode\":\"" + operatingMode + "\",\"depth\":{\"level\":3}},\"status\":{\"phase\":\"Hibernating\",\"warmth\":7,"
            + "\"conditions\":[" + condition("Hibernated") + "," + condition("Ready") + "]}}]}";
    }

    private static String condition(String type) {
        return "{\"type\":\"" + type + "\",\"status\":\"True\",\"reason\":\"Asleep\",\"message\":\"\",\"observedGeneration\":1,"
            + "\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"}";
    }

    @Test
    void unknownPhaseConditionAndFieldsDoNotFailAList() {
        var units = new ComputingUnits(client, "units", "cu");
        assertEquals(2, units.listByOwner("ada").size());
        var all = units.list();
        assertEquals("Running", all.get(0).getSpec().getOperatingMode().getValue());
        var later = all.get(1);
        assertEquals(units.nameOf(2), later.getMetadata().getName());
        assertEquals("Hibernating", later.getStatus().getPhase());
        assertTrue(UnitState.isReady(later));
        assertFalse(UnitState.hasEnded(later));
        assertFalse(UnitState.isRejected(later));
        assertEquals(7, later.getStatus().getAdditionalProperties().get("warmth"));
    }

    @Test
    void unknownValueOfAnEnumerationIsReadAsAbsent() {
        var all = new ComputingUnits(tolerant, "enumeration").list();
        assertEquals(2, all.size());
        assertEquals("Running", all.get(1).getSpec().getOperatingMode().getValue(), "the default");
        assertThrows(RejectedException.class, () -> new ComputingUnits(client, "enumeration").list(), "without it");
    }
}
