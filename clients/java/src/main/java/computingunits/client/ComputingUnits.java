package computingunits.client;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
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
import io.fabric8.kubernetes.client.utils.KubernetesSerialization;
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
import computingunits.v1alpha1.ComputingUnit;
import computingunits.v1alpha1.ComputingUnitPool;
import computingunits.v1alpha1.ComputingUnitStatus;

/**
 * Client for the units of a namespace. Each call is one request to the API server; waiting uses a watch. It requires
 * permissions on {@code computingunits} and read permissions on {@code computingunitpools}, and none on pods, Services or
 * routes. Failed requests throw {@link RejectedException} with a message for the user.
 */
public final class ComputingUnits {
    /** The prefix of the names of units, unless another one is configured. */
    public static final String DEFAULT_NAME_PREFIX = "computing-unit";
    private final KubernetesClient client;
    private final String namespace;
    private final String namePrefix;

    /**
     * A client for units named {@code computing-unit-<cuid>}.
     *
     * @param client used for all requests, and closed by the caller
     * @param namespace the namespace of the units and their pools
     */
    public ComputingUnits(KubernetesClient client, String namespace) {
        this(client, namespace, DEFAULT_NAME_PREFIX);
    }

    /**
     * A client for units named {@code <namePrefix>-<cuid>}.
     *
     * @param client used for all requests, and closed by the caller
     * @param namespace the namespace of the units and their pools
     * @param namePrefix the prefix, without the hyphen: a DNS label that starts with a letter
     * @throws IllegalArgumentException if the prefix is not valid
     */
    public ComputingUnits(KubernetesClient client, String namespace, String namePrefix) {
        if (!namePrefix.matches("[a-z]([-a-z0-9]{0,40}[a-z0-9])?")) {
            throw new IllegalArgumentException("name prefix \"" + namePrefix + "\" is not a DNS label of at most 42 "
                + "characters that starts with a letter");
        }
        this.client = client;
        this.namespace = namespace;
        this.namePrefix = namePrefix;
    }

    /**
     * For {@code KubernetesClientBuilder.withKubernetesSerialization}: reads a value of an enumeration that a later release of
     * the API has added as if the field were absent. Without it, one unit with such a value fails a whole list. Use patches to
     * write such units: an update would replace the value.
     */
    public static KubernetesSerialization serialization() {
        return new KubernetesSerialization(
            JsonMapper.builder().enable(DeserializationFeature.READ_UNKNOWN_ENUM_VALUES_AS_NULL).build(), true);
    }

    /** The name of the unit with this cuid. */
    public String nameOf(long cuid) {
        return namePrefix + "-" + cuid;
    }

    /**
     * Creates a unit, which is then started.
     *
     * @throws RejectedException if the API server rejects it: a validation rule, a quota, or a name that exists
     */
    public ComputingUnit create(UnitRequest request) {
        var unit = request.toUnit(nameOf(request.cuid()));
        return request(unit.getMetadata().getName(), () -> units().resource(unit).create());
    }

    /** The unit, if it exists. */
    public Optional<ComputingUnit> find(long cuid) {
        return Optional.ofNullable(request(nameOf(cuid), () -> one(cuid).get()));
    }

    /** All units of the namespace. */
    public List<ComputingUnit> list() {
        return request("the units of " + namespace, () -> units().list().getItems());
    }

    /** The units of an owner, selected by the API server. */
    public List<ComputingUnit> listByOwner(String owner) {
        return request("the units of " + owner, () -> units().withField("spec.owner", owner).list().getItems());
    }

    /**
     * Waits until the unit is ready.
     *
     * @throws NotReadyException if the unit cannot become ready without intervention, or is not ready in time
     */
    public ComputingUnit awaitReady(long cuid, Duration limit) throws NotReadyException {
        var name = nameOf(cuid);
        var now = find(cuid).orElseThrow(() -> new NotReadyException(name, "not found"));
        // A watch may start with an older state than that of the request above.
        long generation = now.getMetadata().getGeneration();
        var seen = new AtomicBoolean();
        Predicate<ComputingUnit> decided = unit -> {
            if (unit == null) {
                return seen.get();
            }
            seen.set(true);
            return unit.getMetadata().getGeneration() >= generation
                && (UnitState.isReady(unit) || UnitState.hasEnded(unit) || UnitState.isRejected(unit));
        };
        ComputingUnit unit;
        try {
            unit = one(cuid).waitUntilCondition(decided, limit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (KubernetesClientTimeoutException e) {
            var last = find(cuid).map(UnitState::reason).orElse("deleted");
            throw new NotReadyException(name, "timed out after " + limit.toSeconds() + " s: " + last);
        }
        if (unit == null) {
            throw new NotReadyException(name, "deleted");
        }
        if (!UnitState.isReady(unit)) {
            throw new NotReadyException(name, UnitState.reason(unit));
        }
        return unit;
    }

    /**
     * The URL for a path of a unit in Query mode, with the scheme {@code http} or {@code ws} or their TLS variants. Empty while
     * the unit has no URL.
     */
    public static Optional<URI> url(ComputingUnit unit, String scheme, String path) {
        return Optional.ofNullable(unit.getStatus()).map(ComputingUnitStatus::getUrl).map(URI::create).map(url ->
            URI.create((url.getScheme().equals("https") ? scheme + "s" : scheme)
                + "://" + url.getRawAuthority() + path + "?" + url.getRawQuery()));
    }

    /** The limits of the unit by resource, including the defaults of its pool. */
    public Map<String, Quantity> limits(ComputingUnit unit) {
        var name = unit.getSpec().getPoolName();
        var pool = request(name, () -> client.resources(ComputingUnitPool.class).inNamespace(namespace).withName(name).get());
        var all = new HashMap<String, Quantity>();
        Optional.ofNullable(pool)
            .map(p -> p.getSpec().getTemplate().getSpec().getContainers().get(0))
            .map(Container::getResources).map(ResourceRequirements::getLimits).ifPresent(all::putAll);
        Optional.ofNullable(unit.getSpec().getResources()).map(ResourceRequirements::getLimits).ifPresent(all::putAll);
        return all;
    }

    /** Stops the unit, and keeps its URL and its volumes. */
    public void suspend(long cuid) {
        mode(cuid, "Suspended");
    }

    /** Starts the unit again. */
    public void resume(long cuid) {
        mode(cuid, "Running");
    }

    /** Deletes the unit. Does nothing if it does not exist. */
    public void delete(long cuid) {
        request(nameOf(cuid), () -> one(cuid).delete());
    }

    /**
     * Waits until the unit is deleted, and its cuid can be used again.
     *
     * @throws NotReadyException if it still exists after that time
     */
    public void awaitDeleted(long cuid, Duration limit) throws NotReadyException {
        try {
            one(cuid).waitUntilCondition(Objects::isNull, limit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (KubernetesClientTimeoutException e) {
            throw new NotReadyException(nameOf(cuid), "still being deleted after " + limit.toSeconds() + " s");
        }
    }

    /**
     * Calls the listener once for each unit that has ended or ends: it failed, is finished, or is being deleted. The informer
     * watches all units until it is closed. It does not report units that were deleted before; they are not in
     * {@link SharedIndexInformer#getStore()}.
     */
    public SharedIndexInformer<ComputingUnit> onEnd(Consumer<ComputingUnit> listener) {
        return units().inform(new EndHandler(listener));
    }

    private void mode(long cuid, String mode) {
        var patch = "{\"spec\":{\"operatingMode\":\"" + mode + "\"}}";
        request(nameOf(cuid), () -> one(cuid).patch(PatchContext.of(PatchType.JSON_MERGE), patch));
    }

    private static <T> T request(String what, Supplier<T> request) {
        try {
            return request.get();
        } catch (KubernetesClientException e) {
            throw RejectedException.of(what, e);
        }
    }

    private Resource<ComputingUnit> one(long cuid) {
        return units().withName(nameOf(cuid));
    }

    private NonNamespaceOperation<ComputingUnit, KubernetesResourceList<ComputingUnit>, Resource<ComputingUnit>> units() {
        return client.resources(ComputingUnit.class).inNamespace(namespace);
    }
}
