package computingunits.client;

import io.fabric8.kubernetes.client.informers.ResourceEventHandler;
import java.util.concurrent.BlockingQueue;
import computingunits.v1alpha1.ComputingUnit;

/** Records the reason of the condition Ready at each change of a unit. */
final class ReadyReasons implements ResourceEventHandler<ComputingUnit> {
    private final BlockingQueue<String> reasons;

    ReadyReasons(BlockingQueue<String> reasons) {
        this.reasons = reasons;
    }

    @Override
    public void onAdd(ComputingUnit unit) {
        reasons.add(UnitState.reason(unit));
    }

    @Override
    public void onUpdate(ComputingUnit before, ComputingUnit unit) {
        reasons.add(UnitState.reason(unit));
    }

    @Override
    public void onDelete(ComputingUnit unit, boolean stateIsOld) {
        reasons.add(UnitState.reason(unit));
    }
}
