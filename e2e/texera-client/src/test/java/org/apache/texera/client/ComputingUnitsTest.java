package org.apache.texera.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.fabric8.kubernetes.api.model.Quantity;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.texera.v1alpha1.ComputingUnit;
import org.apache.texera.v1alpha1.ComputingUnitStatus.Phase;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What a backend does with units, on a real cluster, with the rights of a backend. */
class ComputingUnitsTest {
    private static final Duration SOON = Duration.ofMinutes(1);
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
        return UnitRequest.of(Cluster.number()).cpu("100m").memory("64Mi");
    }

    @Test
    void aUnitIsMadeAsAskedAndAnswersTheFirstRequest() throws Exception {
        long cuid = Cluster.number();
        units.create(UnitRequest.of(cuid).owner("7").cpu("200m").memory("96Mi").limit("nvidia.com/gpu", "0")
            .sharedMemory("16Mi").env("JAVA_OPTS", "-Xmx64m").env("USER_JWT_TOKEN", "t"));
        var unit = units.awaitUsable(cuid, SOON);
        assertEquals(Phase.READY, unit.getStatus().getPhase());

        var answer = Web.get(ComputingUnits.url(unit, "http", "/api/executions/1/stats/2").orElseThrow());
        assertEquals(200, answer.statusCode());
        assertTrue(answer.body().contains(ComputingUnits.nameOf(cuid)), answer.body());
        var socket = ComputingUnits.url(unit, "ws", "/wsapi/workflow-websocket").orElseThrow();
        assertEquals("hello", Web.echo(socket, "hello"));

        assertEquals(Map.of("cpu", new Quantity("200m"), "memory", new Quantity("96Mi")), units.limits(unit));
        var pod = cluster.admin.pods().inNamespace(cluster.namespace).withName(unit.getStatus().getPodName()).get().getSpec();
        var engine = pod.getContainers().get(0);
        assertEquals(units.limits(unit), engine.getResources().getLimits());
        assertTrue(engine.getEnv().stream().anyMatch(env -> env.getName().equals("JAVA_OPTS") && env.getValue().equals("-Xmx64m")));
        assertTrue(engine.getVolumeMounts().stream().anyMatch(mount -> mount.getMountPath().equals("/dev/shm")));
        units.delete(cuid);
        units.awaitGone(cuid, SOON);
        assertEquals(404, Web.get(ComputingUnits.url(unit, "http", "/wsapi").orElseThrow()).statusCode());
        units.delete(cuid);
    }

    @Test
    void aUnitThatAsksForNothingHasThePoolsLimits() {
        var unit = units.create(UnitRequest.of(Cluster.number()));
        assertEquals(Map.of("memory", new Quantity("128Mi")), units.limits(unit));
        units.delete(unit.getSpec().getCuid());
    }

    @Test
    void aDeviceThatNoNodeHasIsSaidSo() throws Exception {
        var unit = units.create(small().limit("nvidia.com/gpu", "1"));
        long cuid = unit.getSpec().getCuid();
        assertEquals(new Quantity("1"), units.limits(unit).get("nvidia.com/gpu"));
        var told = new LinkedBlockingQueue<String>();
        try (var watch = cluster.backend.resources(ComputingUnit.class).inNamespace(cluster.namespace)
            .withName(ComputingUnits.nameOf(cuid)).inform(new Said(told))) {
            String why;
            do {
                why = told.poll(SOON.toSeconds(), TimeUnit.SECONDS);
            } while (why != null && !why.contains("nvidia.com/gpu"));
            assertTrue(why != null && why.startsWith("Unschedulable"), why);
        }
        var late = assertThrows(NotUsable.class, () -> units.awaitUsable(cuid, Duration.ofMillis(500)));
        assertTrue(late.getMessage().contains("Insufficient nvidia.com/gpu"), late.getMessage());
        units.delete(cuid);
    }

    @Test
    void theUnitsOfAUserAreListed() {
        var ada = "ada-" + Cluster.number();
        var mine = Set.of(units.create(small().owner(ada)), units.create(small().owner(ada))).stream()
            .map(unit -> unit.getMetadata().getName()).collect(Collectors.toSet());
        long other = units.create(small().owner(ada + "-2")).getSpec().getCuid();
        var listed = units.ownedBy(ada);
        assertEquals(mine, listed.stream().map(unit -> unit.getMetadata().getName()).collect(Collectors.toSet()));
        listed.forEach(unit -> units.delete(unit.getSpec().getCuid()));
        units.delete(other);
    }

    @Test
    void aUnitIsSuspendedAndResumedUnderTheSameAddress() throws Exception {
        long cuid = units.create(small()).getSpec().getCuid();
        var before = units.awaitUsable(cuid, SOON);
        units.suspend(cuid);
        var told = assertThrows(NotUsable.class, () -> units.awaitUsable(cuid, Duration.ofSeconds(2)));
        assertTrue(told.getMessage().contains("Suspend"), told.getMessage());
        units.resume(cuid);
        var after = units.awaitUsable(cuid, SOON);
        assertEquals(before.getStatus().getUrl(), after.getStatus().getUrl());
        assertEquals(200, Web.get(ComputingUnits.url(after, "http", "/wsapi").orElseThrow()).statusCode());
        units.delete(cuid);
    }

    @Test
    void aDeadUnitIsSeenWithoutListing() throws Exception {
        var over = new LinkedBlockingQueue<ComputingUnit>();
        try (var watch = units.whenOver(over::add)) {
            long crashes = units.create(small().env("CRASH_AFTER", "2")).getSpec().getCuid();
            var failed = take(over, crashes);
            assertEquals(Phase.FAILED, failed.getStatus().getPhase());
            assertTrue(failed.getStatus().getLastFailure().getExitCode() != 0, UnitState.why(failed));
            assertThrows(NotUsable.class, () -> units.awaitUsable(crashes, SOON));

            long deleted = units.create(small()).getSpec().getCuid();
            units.awaitUsable(deleted, SOON);
            cluster.admin.resources(ComputingUnit.class).inNamespace(cluster.namespace)
                .withName(ComputingUnits.nameOf(deleted)).delete();
            take(over, deleted);
            units.delete(crashes);
            units.awaitGone(deleted, SOON);
            assertTrue(over.stream().noneMatch(unit -> unit.getSpec().getCuid() == deleted), "told once");
        }
    }

    @Test
    void manyAreMadeAtOnce() throws Exception {
        var workers = Executors.newFixedThreadPool(10);
        try {
            var all = new ArrayList<CompletableFuture<Void>>();
            for (int i = 0; i < 10; i++) {
                all.add(CompletableFuture.runAsync(() -> fromStartToEnd(small()), workers));
            }
            CompletableFuture.allOf(all.toArray(new CompletableFuture[0])).get(3, TimeUnit.MINUTES);
        } finally {
            workers.shutdownNow();
        }
    }

    private static void fromStartToEnd(UnitRequest request) {
        try {
            long cuid = units.create(request).getSpec().getCuid();
            var unit = units.awaitUsable(cuid, SOON.multipliedBy(2));
            var answer = Web.get(ComputingUnits.url(unit, "http", "/wsapi").orElseThrow());
            assertEquals(200, answer.statusCode());
            assertTrue(answer.body().contains(ComputingUnits.nameOf(cuid)), answer.body());
            units.delete(cuid);
            units.awaitGone(cuid, SOON);
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    private static ComputingUnit take(LinkedBlockingQueue<ComputingUnit> over, long cuid) throws InterruptedException {
        ComputingUnit unit;
        do {
            unit = over.poll(SOON.toSeconds(), TimeUnit.SECONDS);
            assertFalse(unit == null, "nothing is told of unit " + cuid);
        } while (unit.getSpec().getCuid() != cuid);
        return unit;
    }
}
