package org.apache.texera.client;

import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.EnvVarBuilder;
import io.fabric8.kubernetes.api.model.IntOrString;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.ResourceRequirementsBuilder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.texera.v1alpha1.ComputingUnit;
import org.apache.texera.v1alpha1.ComputingUnitSpec;

/**
 * What somebody asks a unit to be. What is not asked for is as the pool says. An amount that cannot be read is an
 * {@link IllegalArgumentException} that names it.
 */
public final class UnitRequest {
    private final long cuid;
    private final Map<String, Quantity> limits = new LinkedHashMap<>();
    private final Map<String, String> environment = new LinkedHashMap<>();
    private String pool;
    private String owner;
    private String image;
    private String sharedMemory;

    private UnitRequest(long cuid) {
        this.cuid = cuid;
    }

    /** A unit with this number, by which requests find it. */
    public static UnitRequest of(long cuid) {
        return new UnitRequest(cuid);
    }

    /** The pool, where it is not the one named {@code default}. */
    public UnitRequest pool(String name) {
        pool = name;
        return this;
    }

    /** Whom the unit is for. Units can be listed by it; it permits nothing. */
    public UnitRequest owner(String who) {
        owner = who;
        return this;
    }

    /** One of the images that the pool offers, by name. */
    public UnitRequest image(String name) {
        image = name;
        return this;
    }

    /** Cores, such as {@code 2} or {@code 500m}. */
    public UnitRequest cpu(String amount) {
        return limit("cpu", amount);
    }

    /** Memory, such as {@code 4Gi}. */
    public UnitRequest memory(String amount) {
        return limit("memory", amount);
    }

    /** Any resource of the nodes: {@code nvidia.com/gpu}. An amount of {@code 0} asks for none. */
    public UnitRequest limit(String resource, String amount) {
        if (!amount.equals("0")) {
            limits.put(resource, new Quantity(amount(resource, amount)));
        }
        return this;
    }

    /** Size of {@code /dev/shm}, which is taken from the unit's memory. */
    public UnitRequest sharedMemory(String amount) {
        sharedMemory = amount("sharedMemory", amount);
        return this;
    }

    /** A variable of the engine's environment. One of the same name in the pool wins. */
    public UnitRequest env(String name, Object value) {
        environment.put(name, value.toString());
        return this;
    }

    /** The API server would answer with a regular expression. */
    private static String amount(String of, String written) {
        try {
            Quantity.getAmountInBytes(Quantity.parse(written));
            return written;
        } catch (ArithmeticException | IllegalArgumentException e) {
            throw new IllegalArgumentException(of + ": \"" + written + "\" is no amount: write it as 500m, 2 or 4Gi", e);
        }
    }

    ComputingUnit toUnit() {
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
            var env = new ArrayList<EnvVar>();
            environment.forEach((name, value) -> env.add(new EnvVarBuilder().withName(name).withValue(value).build()));
            spec.setEnv(env);
        }
        var unit = new ComputingUnit();
        unit.setMetadata(new ObjectMetaBuilder().withName(ComputingUnits.nameOf(cuid)).build());
        unit.setSpec(spec);
        return unit;
    }
}
