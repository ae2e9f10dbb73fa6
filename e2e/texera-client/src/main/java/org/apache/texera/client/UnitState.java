package org.apache.texera.client;

import io.fabric8.kubernetes.api.model.Condition;
import java.util.List;
import java.util.Optional;
import org.apache.texera.v1alpha1.ComputingUnit;
import org.apache.texera.v1alpha1.ComputingUnitStatus;

/** What a unit's status says. Nothing is asked of the cluster here. */
public final class UnitState {
    private UnitState() {
    }

    /** Whether requests reach the unit as it is asked for now; false while the operator has not seen a change. */
    public static boolean isUsable(ComputingUnit unit) {
        return condition(unit, "Ready").filter(ready -> ready.getStatus().equals("True")).isPresent();
    }

    /** Whether the unit is dead: it failed, is finished, or is being deleted. A pod that is made anew is not the end. */
    public static boolean isOver(ComputingUnit unit) {
        var phase = status(unit).map(ComputingUnitStatus::getPhase);
        return unit.getMetadata().getDeletionTimestamp() != null
            || phase.filter(p -> p == ComputingUnitStatus.Phase.FAILED || p == ComputingUnitStatus.Phase.FINISHED).isPresent();
    }

    /** Whether the unit will not start unless somebody changes it, its pool, or what is in its way. */
    public static boolean isRefused(ComputingUnit unit) {
        return condition(unit, "Accepted")
            .filter(accepted -> accepted.getStatus().equals("False") && !accepted.getReason().equals("PoolNotFound"))
            .isPresent();
    }

    /** Why it cannot be used, in a sentence for its user. */
    public static String why(ComputingUnit unit) {
        if (unit.getMetadata().getDeletionTimestamp() != null) {
            return "Terminating: it is being deleted";
        }
        return condition(unit, "Ready")
            .map(ready -> ready.getReason() + ": " + ready.getMessage())
            .orElse("Pending: the operator has not looked at it yet");
    }

    private static Optional<ComputingUnitStatus> status(ComputingUnit unit) {
        return Optional.ofNullable(unit.getStatus());
    }

    /** A condition that speaks of the present spec. */
    private static Optional<Condition> condition(ComputingUnit unit, String type) {
        return status(unit).map(ComputingUnitStatus::getConditions).orElse(List.of()).stream()
            .filter(condition -> condition.getType().equals(type))
            .filter(condition -> unit.getMetadata().getGeneration().equals(condition.getObservedGeneration()))
            .findFirst();
    }
}
