package org.apache.texera.client;

import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.KubernetesResourceList;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.ResourceRequirements;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.KubernetesClientTimeoutException;
import io.fabric8.kubernetes.client.dsl.NonNamespaceOperation;
import io.fabric8.kubernetes.client.dsl.Resource;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.fabric8.kubernetes.client.informers.SharedIndexInformer;
import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.apache.texera.v1alpha1.ComputingUnit;
import org.apache.texera.v1alpha1.ComputingUnitPool;
import org.apache.texera.v1alpha1.ComputingUnitStatus;

/**
 * The units of a namespace, as a backend uses them: each call is one request to the API server, and whatever is waited for is
 * watched. It needs rights on {@code computingunits} and to read {@code computingunitpools}; none on pods, Services or routes. What
 * the API server does not do is {@link Refused}, with a sentence that can be shown.
 */
public final class ComputingUnits {
    private final KubernetesClient client;
    private final String namespace;

    /** Those of this namespace. */
    public ComputingUnits(KubernetesClient client, String namespace) {
        this.client = client;
        this.namespace = namespace;
    }

    /** How units are called, so that one is found by its number. */
    public static String nameOf(long cuid) {
        return "computing-unit-" + cuid;
    }

    /**
     * Makes a unit, which then starts.
     *
     * @throws Refused if the API server does not take it: a rule, a quota, or a number that is taken
     */
    public ComputingUnit create(UnitRequest request) {
        var unit = request.toUnit();
        return asked(unit.getMetadata().getName(), () -> units().resource(unit).create());
    }

    /** The unit as it is, if it is there. */
    public Optional<ComputingUnit> find(long cuid) {
        return Optional.ofNullable(asked(nameOf(cuid), () -> one(cuid).get()));
    }

    /** The units of somebody, whatever their state. The API server selects them. */
    public List<ComputingUnit> ownedBy(String owner) {
        return asked("the units of " + owner, () -> units().withField("spec.owner", owner).list().getItems());
    }

    /**
     * Waits until requests reach the unit.
     *
     * @throws NotUsable as soon as the unit is known not to get there, or when the time is over
     */
    public ComputingUnit awaitUsable(long cuid, Duration limit) throws NotUsable {
        var name = nameOf(cuid);
        var now = find(cuid).orElseThrow(() -> new NotUsable(name, "there is no such unit"));
        // A watch may begin with a state that is older than what was just read.
        long generation = now.getMetadata().getGeneration();
        var seen = new AtomicBoolean();
        Predicate<ComputingUnit> decided = unit -> {
            if (unit == null) {
                return seen.get();
            }
            seen.set(true);
            return unit.getMetadata().getGeneration() >= generation
                && (UnitState.isUsable(unit) || UnitState.isOver(unit) || UnitState.isRefused(unit));
        };
        ComputingUnit unit;
        try {
            unit = one(cuid).waitUntilCondition(decided, limit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (KubernetesClientTimeoutException e) {
            var last = find(cuid).map(UnitState::why).orElse("it is gone");
            throw new NotUsable(name, "not within " + limit.toSeconds() + " s: " + last);
        }
        if (unit == null) {
            throw new NotUsable(name, "it is gone");
        }
        if (!UnitState.isUsable(unit)) {
            throw new NotUsable(name, UnitState.why(unit));
        }
        return unit;
    }

    /**
     * Where a unit of a pool in Query mode answers requests for this path, by {@code http} or {@code ws}; empty while that is
     * not known.
     */
    public static Optional<URI> url(ComputingUnit unit, String scheme, String path) {
        return Optional.ofNullable(unit.getStatus()).map(ComputingUnitStatus::getUrl).map(URI::create).map(url ->
            URI.create((url.getScheme().equals("https") ? scheme + "s" : scheme)
                + "://" + url.getRawAuthority() + path + "?" + url.getRawQuery()));
    }

    /** The most that the unit may use, by resource: what it asks for, and what its pool says where it asks for nothing. */
    public Map<String, Quantity> limits(ComputingUnit unit) {
        var name = unit.getSpec().getPoolName();
        var pool = asked(name, () -> client.resources(ComputingUnitPool.class).inNamespace(namespace).withName(name).get());
        var all = new HashMap<String, Quantity>();
        Optional.ofNullable(pool)
            .map(p -> p.getSpec().getTemplate().getSpec().getContainers().get(0))
            .map(Container::getResources).map(ResourceRequirements::getLimits).ifPresent(all::putAll);
        Optional.ofNullable(unit.getSpec().getResources()).map(ResourceRequirements::getLimits).ifPresent(all::putAll);
        return all;
    }

    /** Stops the unit and keeps its number, its URL and its volumes. */
    public void suspend(long cuid) {
        mode(cuid, "Suspended");
    }

    /** Starts the unit again. */
    public void resume(long cuid) {
        mode(cuid, "Running");
    }

    /** Deletes the unit: its route is closed first. One that is not there is as good. */
    public void delete(long cuid) {
        asked(nameOf(cuid), () -> one(cuid).delete());
    }

    /**
     * Waits until the unit is gone, and its number may be used again.
     *
     * @throws NotUsable if it is still there after that time
     */
    public void awaitGone(long cuid, Duration limit) throws NotUsable {
        try {
            one(cuid).waitUntilCondition(Objects::isNull, limit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (KubernetesClientTimeoutException e) {
            throw new NotUsable(nameOf(cuid), "still being deleted after " + limit.toSeconds() + " s");
        }
    }

    /**
     * Tells of each unit that is dead, once: those that are so already, and those that become so, whoever brings it about. One
     * watch serves all units; closing the informer ends it. Units that were deleted before it began are those of whoever keeps
     * count that are not in {@link SharedIndexInformer#getStore()}.
     */
    public SharedIndexInformer<ComputingUnit> whenOver(Consumer<ComputingUnit> told) {
        return units().inform(new Ends(told));
    }

    private void mode(long cuid, String mode) {
        var patch = "{\"spec\":{\"operatingMode\":\"" + mode + "\"}}";
        asked(nameOf(cuid), () -> one(cuid).patch(PatchContext.of(PatchType.JSON_MERGE), patch));
    }

    private static <T> T asked(String what, Supplier<T> request) {
        try {
            return request.get();
        } catch (KubernetesClientException e) {
            throw Refused.of(what, e);
        }
    }

    private Resource<ComputingUnit> one(long cuid) {
        return units().withName(nameOf(cuid));
    }

    private NonNamespaceOperation<ComputingUnit, KubernetesResourceList<ComputingUnit>, Resource<ComputingUnit>> units() {
        return client.resources(ComputingUnit.class).inNamespace(namespace);
    }
}
