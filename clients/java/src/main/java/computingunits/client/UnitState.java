package computingunits.client;

import io.fabric8.kubernetes.api.model.Condition;
import java.util.List;
import java.util.Optional;
import computingunits.v1alpha1.ComputingUnit;
import computingunits.v1alpha1.ComputingUnitStatus;

/** Evaluation of a unit's status. The phase is an open set: later releases can add values. */
public final class UnitState {
    private UnitState() {
    }

    /** Whether the unit is ready with its current spec. */
    public static boolean isReady(ComputingUnit unit) {
        return condition(unit, "Ready").filter(ready -> ready.getStatus().equals("True")).isPresent();
    }

    /** Whether the unit failed, is finished, or is being deleted. A pod that is recreated does not end its unit. */
    public static boolean hasEnded(ComputingUnit unit) {
        var phase = status(unit).map(ComputingUnitStatus::getPhase);
        return unit.getMetadata().getDeletionTimestamp() != null
            || phase.filter(p -> p.equals("Failed") || p.equals("Finished")).isPresent();
    }

    /** Whether the unit is not accepted, and does not start without intervention. */
    public static boolean isRejected(ComputingUnit unit) {
        return condition(unit, "Accepted")
            .filter(accepted -> accepted.getStatus().equals("False") && !accepted.getReason().equals("PoolNotFound"))
            .isPresent();
    }

    /**
     * The reason and message of the condition {@code Ready}, for the user. A unit that is suspended or finished has none;
     * another condition explains that.
     */
    public static String reason(ComputingUnit unit) {
        if (unit.getMetadata().getDeletionTimestamp() != null) {
            return "Terminating: the unit is being deleted";
        }
        return condition(unit, "Ready")
            .or(() -> condition(unit, "Finished"))
            .or(() -> condition(unit, "Suspended"))
            .map(ready -> ready.getReason() + ": " + ready.getMessage())
            .orElse("Pending: the unit is not reconciled yet");
    }

    private static Optional<ComputingUnitStatus> status(ComputingUnit unit) {
        return Optional.ofNullable(unit.getStatus());
    }

    /** A condition of the current generation. */
    private static Optional<Condition> condition(ComputingUnit unit, String type) {
        return status(unit).map(ComputingUnitStatus::getConditions).orElse(List.of()).stream()
            .filter(condition -> condition.getType().equals(type))
            .filter(condition -> unit.getMetadata().getGeneration().equals(condition.getObservedGeneration()))
            .findFirst();
    }
}
