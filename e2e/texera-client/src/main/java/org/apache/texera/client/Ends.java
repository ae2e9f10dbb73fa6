package org.apache.texera.client;

import io.fabric8.kubernetes.client.informers.ResourceEventHandler;
import java.util.function.Consumer;
import org.apache.texera.v1alpha1.ComputingUnit;

/** Tells of each end of a unit once, from what a watch shows. A unit that starts again can end again. */
final class Ends implements ResourceEventHandler<ComputingUnit> {
    private final Consumer<ComputingUnit> told;

    Ends(Consumer<ComputingUnit> told) {
        this.told = told;
    }

    @Override
    public void onAdd(ComputingUnit unit) {
        if (UnitState.isOver(unit)) {
            told.accept(unit);
        }
    }

    @Override
    public void onUpdate(ComputingUnit before, ComputingUnit unit) {
        boolean another = !before.getMetadata().getUid().equals(unit.getMetadata().getUid());
        if (UnitState.isOver(unit) && (another || !UnitState.isOver(before))) {
            told.accept(unit);
        }
    }

    @Override
    public void onDelete(ComputingUnit unit, boolean stateIsOld) {
        if (!UnitState.isOver(unit)) {
            told.accept(unit);
        }
    }
}
