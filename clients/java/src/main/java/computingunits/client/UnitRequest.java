package computingunits.client;

import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.EnvVarBuilder;
import io.fabric8.kubernetes.api.model.IntOrString;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.ResourceRequirementsBuilder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.Map;
import computingunits.v1alpha1.ComputingUnit;
import computingunits.v1alpha1.ComputingUnitSpec;

/** A unit to create. Unset fields have the defaults of the pool. Invalid quantities throw {@link IllegalArgumentException}. */
public final class UnitRequest {
    private final long cuid;
    private final Map<String, Quantity> limits = new LinkedHashMap<>();
    private final Map<String, EnvVar> environment = new LinkedHashMap<>();
    private String pool;
    private String owner;
    private String image;
    private String sharedMemory;

    private UnitRequest(long cuid) {
        this.cuid = cuid;
    }

    /** A unit with this cuid, which is its routing key. */
    public static UnitRequest of(long cuid) {
        return new UnitRequest(cuid);
    }

    /** The pool. Defaults to {@code default}. */
    public UnitRequest pool(String name) {
        pool = name;
        return this;
    }

    /** The user that the unit belongs to. It grants no permissions. */
    public UnitRequest owner(String name) {
        owner = name;
        return this;
    }

    /** The name of an image that the pool offers. */
    public UnitRequest image(String name) {
        image = name;
        return this;
    }

    /** The CPU limit, for example {@code 2} or {@code 500m}. */
    public UnitRequest cpu(String quantity) {
        return limit("cpu", quantity);
    }

    /** The memory limit, for example {@code 4Gi}. */
    public UnitRequest memory(String quantity) {
        return limit("memory", quantity);
    }

    /** The limit of a resource, for example {@code nvidia.com/gpu}. A quantity of {@code 0} is omitted. */
    public UnitRequest limit(String resource, String quantity) {
        if (!quantity.equals("0")) {
            limits.put(resource, new Quantity(validated(resource, quantity)));
        }
        return this;
    }

    /** The size of {@code /dev/shm}, which counts against the memory limit. */
    public UnitRequest sharedMemory(String quantity) {
        sharedMemory = validated("sharedMemory", quantity);
        return this;
    }

    /**
     * An environment variable of the engine, which the pool must allow. A variable of the same name in the pool takes
     * precedence. Everyone who may read units can read the value: use {@link #secretEnv} for credentials.
     */
    public UnitRequest env(String name, Object value) {
        environment.put(name, new EnvVarBuilder().withName(name).withValue(value.toString()).build());
        return this;
    }

    /** An environment variable from a key of a Secret. The pool must allow the variable and the Secret. */
    public UnitRequest secretEnv(String name, String secret, String key) {
        environment.put(name, new EnvVarBuilder().withName(name)
            .withNewValueFrom().withNewSecretKeyRef(key, secret, false).endValueFrom().build());
        return this;
    }

    /** Validates a quantity, because the message of the API server is a regular expression. */
    private static String validated(String field, String quantity) {
        try {
            Quantity.getAmountInBytes(Quantity.parse(quantity));
            return quantity;
        } catch (ArithmeticException | IllegalArgumentException e) {
            throw new IllegalArgumentException(field + ": invalid quantity \"" + quantity + "\": use a format such as 500m, 2 or 4Gi", e);
        }
    }

    long cuid() {
        return cuid;
    }

    ComputingUnit toUnit(String name) {
        var spec = new ComputingUnitSpec();
        spec.setCuid(cuid);
        spec.setOwner(owner);
        spec.setImage(image);
        if (sharedMemory != null) {
            spec.setSharedMemory(new IntOrString(sharedMemory));
        }
        if (pool != null) {
            spec.setPoolName(pool);
        }
        if (!limits.isEmpty()) {
            spec.setResources(new ResourceRequirementsBuilder().withLimits(limits).build());
        }
        if (!environment.isEmpty()) {
            spec.setEnv(new ArrayList<>(environment.values()));
        }
        var unit = new ComputingUnit();
        unit.setMetadata(new ObjectMetaBuilder().withName(name).build());
        unit.setSpec(spec);
        return unit;
    }
}
