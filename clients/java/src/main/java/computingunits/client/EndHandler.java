package computingunits.client;

import io.fabric8.kubernetes.client.informers.ResourceEventHandler;
import java.util.function.Consumer;
import computingunits.v1alpha1.ComputingUnit;

/** Reports the end of each unit once. A unit that is restarted can end again. */
final class EndHandler implements ResourceEventHandler<ComputingUnit> {
    private final Consumer<ComputingUnit> listener;

    EndHandler(Consumer<ComputingUnit> listener) {
        this.listener = listener;
    }

    @Override
    public void onAdd(ComputingUnit unit) {
        if (UnitState.hasEnded(unit)) {
            listener.accept(unit);
        }
    }

    @Override
    public void onUpdate(ComputingUnit before, ComputingUnit unit) {
        boolean replaced = !before.getMetadata().getUid().equals(unit.getMetadata().getUid());
        if (UnitState.hasEnded(unit) && (replaced || !UnitState.hasEnded(before))) {
            listener.accept(unit);
        }
    }

    @Override
    public void onDelete(ComputingUnit unit, boolean stateIsOld) {
        if (!UnitState.hasEnded(unit)) {
            listener.accept(unit);
        }
    }
}
