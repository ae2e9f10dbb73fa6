package org.apache.texera.client;

import io.fabric8.kubernetes.client.informers.ResourceEventHandler;
import java.util.concurrent.BlockingQueue;
import org.apache.texera.v1alpha1.ComputingUnit;

/** Collects why a unit cannot be used, at each change. */
final class Said implements ResourceEventHandler<ComputingUnit> {
    private final BlockingQueue<String> told;

    Said(BlockingQueue<String> told) {
        this.told = told;
    }

    @Override
    public void onAdd(ComputingUnit unit) {
        told.add(UnitState.why(unit));
    }

    @Override
    public void onUpdate(ComputingUnit before, ComputingUnit unit) {
        told.add(UnitState.why(unit));
    }

    @Override
    public void onDelete(ComputingUnit unit, boolean stateIsOld) {
        told.add(UnitState.why(unit));
    }
}
