package computingunits.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.fabric8.kubernetes.client.utils.KubernetesSerialization;
import computingunits.v1alpha1.ComputingUnit;
import org.junit.jupiter.api.Test;

/** Evaluation of statuses, without a cluster. */
class UnitStateTest {
    private static ComputingUnit unit(String phase) {
        return new KubernetesSerialization().unmarshal("{\"apiVersion\":\"texera.apache.org/v1alpha1\",\"kind\":\"ComputingUnit\","
            + "\"metadata\":{\"name\":\"ada\",\"generation\":1},\"spec\":{\"poolName\":\"default\"},"
            + "\"status\":{\"phase\":\"" + phase + "\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"Ready\","
            + "\"message\":\"\",\"observedGeneration\":1,\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"}]}}", ComputingUnit.class);
    }

    @Test
    void unknownPhaseIsRead() {
        var unit = unit("NewPhase");
        assertEquals("NewPhase", unit.getStatus().getPhase());
        assertTrue(UnitState.isReady(unit));
        assertFalse(UnitState.hasEnded(unit));
    }

    @Test
    void failedAndFinishedUnitHasEnded() {
        assertTrue(UnitState.hasEnded(unit("Failed")));
        assertTrue(UnitState.hasEnded(unit("Finished")));
    }
}
