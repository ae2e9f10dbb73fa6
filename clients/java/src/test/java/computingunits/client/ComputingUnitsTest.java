package computingunits.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.SecretBuilder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import computingunits.v1alpha1.ComputingUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Operations on units in a cluster, with the permissions of a backend. */
class ComputingUnitsTest {
    private static final Duration TIMEOUT = Duration.ofMinutes(1);
    private static Cluster cluster;
    private static ComputingUnits units;

    @BeforeAll
    static void open() {
        cluster = new Cluster();
        units = cluster.units;
    }

    @AfterAll
    static void close() {
        if (cluster != null) {
            cluster.close();
        }
    }

    private static UnitRequest small() {
        return UnitRequest.of(Cluster.newCuid()).cpu("100m").memory("64Mi");
    }

    @Test
    void unitHasRequestedSpecAndAnswersFirstRequest() throws Exception {
        long cuid = Cluster.newCuid();
        var secret = units.nameOf(cuid) + "-credentials";
        cluster.admin.secrets().inNamespace(cluster.namespace).resource(new SecretBuilder()
            .withNewMetadata().withName(secret).endMetadata().addToStringData("token", "t").build()).create();
        units.create(UnitRequest.of(cuid).owner("7").cpu("200m").memory("96Mi").limit("nvidia.com/gpu", "0")
            .sharedMemory("16Mi").env("JAVA_OPTS", "-Xmx64m").secretEnv("USER_JWT_TOKEN", secret, "token"));
        var unit = units.awaitReady(cuid, TIMEOUT);
        assertEquals("Ready", unit.getStatus().getPhase());

        var response = Web.get(ComputingUnits.url(unit, "http", "/api/executions/1/stats/2").orElseThrow());
        assertEquals(200, response.statusCode());
        assertTrue(response.body().contains(units.nameOf(cuid)), response.body());
        var socket = ComputingUnits.url(unit, "ws", "/wsapi/workflow-websocket").orElseThrow();
        assertEquals("hello", Web.echo(socket, "hello"));

        assertEquals(Map.of("cpu", new Quantity("200m"), "memory", new Quantity("96Mi")), units.limits(unit));
        var pod = cluster.admin.pods().inNamespace(cluster.namespace).withName(unit.getStatus().getPodName()).get().getSpec();
        var engine = pod.getContainers().get(0);
        assertEquals(units.limits(unit), engine.getResources().getLimits());
        assertTrue(engine.getEnv().stream().anyMatch(env -> env.getName().equals("JAVA_OPTS") && env.getValue().equals("-Xmx64m")));
        assertTrue(engine.getEnv().stream().anyMatch(env -> env.getName().equals("USER_JWT_TOKEN") && env.getValue() == null
            && env.getValueFrom().getSecretKeyRef().getName().equals(secret)));
        assertTrue(engine.getVolumeMounts().stream().anyMatch(mount -> mount.getMountPath().equals("/dev/shm")));
        units.delete(cuid);
        units.awaitDeleted(cuid, TIMEOUT);
        assertEquals(404, Web.get(ComputingUnits.url(unit, "http", "/wsapi").orElseThrow()).statusCode());
        units.delete(cuid);
    }

    @Test
    void unitWithoutLimitsHasLimitsOfPool() {
        var unit = units.create(UnitRequest.of(Cluster.newCuid()));
        assertEquals(Map.of("memory", new Quantity("128Mi")), units.limits(unit));
        units.delete(unit.getSpec().getCuid());
    }

    @Test
    void missingDeviceIsReported() throws Exception {
        var unit = units.create(small().limit("nvidia.com/gpu", "1"));
        long cuid = unit.getSpec().getCuid();
        assertEquals(new Quantity("1"), units.limits(unit).get("nvidia.com/gpu"));
        var reasons = new LinkedBlockingQueue<String>();
        try (var watch = cluster.backend.resources(ComputingUnit.class).inNamespace(cluster.namespace)
            .withName(units.nameOf(cuid)).inform(new ReadyReasons(reasons))) {
            String reason;
            do {
                reason = reasons.poll(TIMEOUT.toSeconds(), TimeUnit.SECONDS);
            } while (reason != null && !reason.contains("nvidia.com/gpu"));
            assertTrue(reason != null && reason.startsWith("Unschedulable"), reason);
        }
        var timeout = assertThrows(NotReadyException.class, () -> units.awaitReady(cuid, Duration.ofMillis(500)));
        assertTrue(timeout.getMessage().contains("Insufficient nvidia.com/gpu"), timeout.getMessage());
        units.delete(cuid);
    }

    @Test
    void unitsAreListedByOwner() {
        var ada = "ada-" + Cluster.newCuid();
        var mine = Set.of(units.create(small().owner(ada)), units.create(small().owner(ada))).stream()
            .map(unit -> unit.getMetadata().getName()).collect(Collectors.toSet());
        long other = units.create(small().owner(ada + "-2")).getSpec().getCuid();
        var listed = units.listByOwner(ada);
        assertEquals(mine, listed.stream().map(unit -> unit.getMetadata().getName()).collect(Collectors.toSet()));
        listed.forEach(unit -> units.delete(unit.getSpec().getCuid()));
        units.delete(other);
    }

    @Test
    void resumedUnitHasTheSameUrl() throws Exception {
        long cuid = units.create(small()).getSpec().getCuid();
        var before = units.awaitReady(cuid, TIMEOUT);
        units.suspend(cuid);
        var suspended = assertThrows(NotReadyException.class, () -> units.awaitReady(cuid, Duration.ofSeconds(2)));
        assertTrue(suspended.getMessage().contains("Suspend"), suspended.getMessage());
        units.resume(cuid);
        var after = units.awaitReady(cuid, TIMEOUT);
        assertEquals(before.getStatus().getUrl(), after.getStatus().getUrl());
        assertEquals(200, Web.get(ComputingUnits.url(after, "http", "/wsapi").orElseThrow()).statusCode());
        units.delete(cuid);
    }

    @Test
    void endOfUnitIsReportedOnce() throws Exception {
        var ended = new LinkedBlockingQueue<ComputingUnit>();
        try (var watch = units.onEnd(ended::add)) {
            long crashes = units.create(small().env("CRASH_AFTER", "2")).getSpec().getCuid();
            var failed = take(ended, crashes);
            assertEquals("Failed", failed.getStatus().getPhase());
            assertTrue(failed.getStatus().getLastFailure().getExitCode() != 0, UnitState.reason(failed));
            assertThrows(NotReadyException.class, () -> units.awaitReady(crashes, TIMEOUT));

            long deleted = units.create(small()).getSpec().getCuid();
            units.awaitReady(deleted, TIMEOUT);
            cluster.admin.resources(ComputingUnit.class).inNamespace(cluster.namespace)
                .withName(units.nameOf(deleted)).delete();
            take(ended, deleted);
            units.delete(crashes);
            units.awaitDeleted(deleted, TIMEOUT);
            assertTrue(ended.stream().noneMatch(unit -> unit.getSpec().getCuid() == deleted), "reported once");
        }
    }

    @Test
    void unitsAreCreatedConcurrently() throws Exception {
        var workers = Executors.newFixedThreadPool(10);
        try {
            var all = new ArrayList<CompletableFuture<Void>>();
            for (int i = 0; i < 10; i++) {
                all.add(CompletableFuture.runAsync(() -> createAndDelete(small()), workers));
            }
            CompletableFuture.allOf(all.toArray(new CompletableFuture[0])).get(3, TimeUnit.MINUTES);
        } finally {
            workers.shutdownNow();
        }
    }

    private static void createAndDelete(UnitRequest request) {
        try {
            long cuid = units.create(request).getSpec().getCuid();
            var unit = units.awaitReady(cuid, TIMEOUT.multipliedBy(2));
            var response = Web.get(ComputingUnits.url(unit, "http", "/wsapi").orElseThrow());
            assertEquals(200, response.statusCode());
            assertTrue(response.body().contains(units.nameOf(cuid)), response.body());
            units.delete(cuid);
            units.awaitDeleted(cuid, TIMEOUT);
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    private static ComputingUnit take(LinkedBlockingQueue<ComputingUnit> ended, long cuid) throws InterruptedException {
        ComputingUnit unit;
        do {
            unit = ended.poll(TIMEOUT.toSeconds(), TimeUnit.SECONDS);
            assertFalse(unit == null, "the end of unit " + cuid + " is not reported");
        } while (unit.getSpec().getCuid() != cuid);
        return unit;
    }
}
