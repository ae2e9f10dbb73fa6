package texera

import io.fabric8.kubernetes.api.model.{ConfigMapBuilder, GenericKubernetesResource}
import io.fabric8.kubernetes.api.model.rbac.{PolicyRuleBuilder, Role, RoleBindingBuilder, RoleBuilder}
import io.fabric8.kubernetes.client.dsl.base.{PatchContext, PatchType}
import io.fabric8.kubernetes.client.utils.{KubernetesSerialization, Serialization}
import io.fabric8.kubernetes.client.{Config, ConfigBuilder, KubernetesClientBuilder, KubernetesClientException}
import org.apache.texera.common.config.KubernetesConfig
import org.apache.texera.service.util.ComputingUnitKubernetesClient
import org.junit.jupiter.api.Assertions.{assertEquals, assertFalse, assertThrows, assertTrue}
import org.junit.jupiter.api.{AfterAll, BeforeAll, Test, TestInstance}

import java.nio.file.{Files, Path}
import java.util.concurrent.TimeUnit
import scala.jdk.CollectionConverters._
import scala.util.Random

/** The operations of the manager in a cluster with a pool and an operator, with its permissions. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ManagerTest {
  private val User = "texera-manager"
  private val Token = "a-token-of-a-user"
  private val namespace = KubernetesConfig.computeUnitPoolNamespace
  private val admin = new KubernetesClientBuilder().build()
  private val client = new KubernetesClientBuilder()
    .withConfig(new ConfigBuilder(Config.autoConfigure(null)).withImpersonateUsername(User).build())
    .build()
  private val manager = new ComputingUnitKubernetesClient(client, byOperator = true)
  private val switchedOff = new ComputingUnitKubernetesClient(client, byOperator = false)
  private val units =
    admin.genericKubernetesResources("texera.apache.org/v1alpha1", "ComputingUnit").inNamespace(namespace)

  @BeforeAll
  def grant(): Unit = {
    assertTrue(sys.env.contains("UNITS_NAMESPACE"), "run `make java-client`, which creates a namespace with an operator")
    val before = new PolicyRuleBuilder()
      .withApiGroups("")
      .withResources("pods")
      .withVerbs("get", "list", "watch", "create", "delete")
      .build()
    val added = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nrules:\n" +
      Files.readString(Path.of("chart/role-rules.yaml"))
    val role = new RoleBuilder(new KubernetesSerialization().unmarshal(added, classOf[Role]))
      .withNewMetadata()
      .withName(User)
      .withNamespace(namespace)
      .endMetadata()
      .addToRules(before)
    admin.resource(role.build()).serverSideApply()
    val binding = new RoleBindingBuilder()
      .withNewMetadata()
      .withName(User)
      .withNamespace(namespace)
      .endMetadata()
      .withNewRoleRef("rbac.authorization.k8s.io", "Role", User)
      .addNewSubject("rbac.authorization.k8s.io", "User", User, null)
    admin.resource(binding.build()).serverSideApply()
    // Permissions take effect after some time.
    until("permissions")(
      try { manager.getAllPodPhases; true }
      catch { case _: KubernetesClientException => false }
    )
  }

  @AfterAll
  def close(): Unit = {
    client.close()
    admin.close()
  }

  private def newCuid(): Int = Random.between(100000000, 2000000000)

  private def until(what: String)(condition: => Boolean): Unit = {
    val deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(1)
    while (!condition) {
      assertTrue(System.nanoTime() < deadline, s"timed out: $what")
      Thread.sleep(50)
    }
  }

  private def wait(cuid: Int)(condition: GenericKubernetesResource => Boolean): Unit = {
    val _ = units
      .withName(manager.generatePodName(cuid))
      .waitUntilCondition(unit => condition(unit), 1, TimeUnit.MINUTES)
  }

  private def setMode(name: String, mode: String): Unit = {
    val patch = s"""{"spec":{"operatingMode":"$mode"}}"""
    val _ = units.withName(name).patch(PatchContext.of(PatchType.JSON_MERGE), patch)
  }

  private def phase(unit: GenericKubernetesResource): String =
    Option(unit).map(_.get[String]("status", "phase")).orNull

  private def create(cuid: Int, shmSize: String = "16Mi") =
    manager.createPod(
      cuid,
      "100m",
      "64Mi",
      "0",
      Map("USER_JWT_TOKEN" -> Token, "MAX_SIZE_KB" -> 64),
      Some(shmSize)
    )

  /** A unit that a listing does not report is marked as terminated, for ever. */
  private def assertListed(cuid: Int): Unit = {
    assertTrue(manager.podExists(cuid), "exists")
    assertTrue(manager.getAllPodPhases.contains(manager.generatePodName(cuid)), "listed")
  }

  @Test
  def unitIsListedFromItsCreationToItsDeletion(): Unit = {
    val cuid = newCuid()
    val name = manager.generatePodName(cuid)
    val created = create(cuid)
    assertEquals((name, "Pending"), (created.getMetadata.getName, created.getStatus.getPhase))
    until("readiness") {
      assertListed(cuid)
      phase(units.withName(name).get()) == "Ready"
    }
    assertEquals(Some("Running"), manager.getAllPodPhases.get(name))
    assertEquals(Map("cpu" -> "100m", "memory" -> "64Mi"), manager.getPodLimits(cuid))
    assertThrows(classOf[Exception], () => create(cuid))

    // The variables are in a Secret that is deleted with the unit.
    val secret = admin.secrets().inNamespace(namespace).withName(s"environment-of-$name")
    assertEquals(Set("USER_JWT_TOKEN", "MAX_SIZE_KB"), secret.get().getData.keySet.asScala.toSet)
    assertFalse(Serialization.asJson(units.withName(name).get()).contains(Token))
    val engine = manager.getPodByName(name).get.getSpec.getContainers.get(0)
    assertEquals(s"environment-of-$name", engine.getEnvFrom.get(0).getSecretRef.getName)

    // A suspended unit has no pod.
    setMode(name, "Suspended")
    until("suspension") {
      assertListed(cuid)
      phase(units.withName(name).get()) == "Suspended"
    }
    assertEquals(Some("Pending"), manager.getAllPodPhases.get(name))
    assertEquals(Map("cpu" -> "100m", "memory" -> "64Mi"), manager.getPodLimits(cuid))
    assertEquals(None, switchedOff.getPodByName(name))
    setMode(name, "Running")
    wait(cuid)(unit => phase(unit) == "Ready")

    // The way back: units are deleted without the switch, too.
    switchedOff.deletePod(cuid)
    wait(cuid)(_ == null)
    until("deletion of the Secret")(secret.get() == null)
    until("deletion of the pod")(!manager.podExists(cuid))
    manager.deletePod(cuid)
  }

  @Test
  def rejectedUnitLeavesNothing(): Unit = {
    val cuid = newCuid()
    val rejection = assertThrows(classOf[KubernetesClientException], () => create(cuid, "128Mi"))
    assertTrue(rejection.getMessage.contains("must not exceed spec.resources.limits.memory"), rejection.getMessage)
    assertFalse(manager.podExists(cuid))
    val name = s"environment-of-${manager.generatePodName(cuid)}"
    assertEquals(null, admin.secrets().inNamespace(namespace).withName(name).get())
  }

  @Test
  def unitWithoutItsEnvironmentIsDeleted(): Unit = {
    val cuid = newCuid()
    val variables = Map("not a key of a Secret" -> "")
    assertThrows(
      classOf[KubernetesClientException],
      () => manager.createPod(cuid, "100m", "64Mi", "0", variables)
    )
    wait(cuid)(_ == null)
  }

  @Test
  def barePodsAreCreatedWithoutTheSwitchAndDeletedWithIt(): Unit = {
    val cuid = newCuid()
    val pod = switchedOff.createPod(cuid, "1", "1Gi", "2", Map("A" -> 1, "B" -> 2), Some("64Mi"))
    assertEquals("1,1Gi,2,2,64Mi", pod.getMetadata.getAnnotations.get("arguments"))
    assertListed(cuid)
    assertEquals(null, units.withName(manager.generatePodName(cuid)).get())
    manager.deletePod(cuid)
    until("deletion")(!switchedOff.podExists(cuid))
  }

  @Test
  def unitWithCuratedImageStaysABarePod(): Unit = {
    val cuid = newCuid()
    val pod = manager.createPod(cuid, "1", "1Gi", "0", Map.empty, Some("64Mi"), Some("owner/name@sha256:0"))
    assertEquals("1,1Gi,0,0,64Mi,owner/name@sha256:0", pod.getMetadata.getAnnotations.get("arguments"))
    manager.deletePod(cuid)
    until("deletion")(!manager.podExists(cuid))
  }

  @Test
  def curatedImageIsRegisteredInTheCatalog(): Unit = {
    val catalog = "computing-unit-images"
    val map = new ConfigMapBuilder()
      .withNewMetadata()
      .withName(catalog)
      .withNamespace(namespace)
      .addToLabels("texera.apache.org/image-catalog", "true")
      .endMetadata()
    admin.resource(map.build()).serverSideApply()
    val curating = new ComputingUnitKubernetesClient(client, byOperator = true, imageCatalog = catalog)
    val cuid = newCuid()
    val image = "image.invalid/owner/name@sha256:" + "0" * 64
    until("permission")(
      try { curating.createPod(cuid, "100m", "64Mi", "0", Map.empty, None, Some(image)); true }
      catch { case e: KubernetesClientException if e.getCode == 403 => false }
    )
    // The image cannot be pulled, but the pool offers it.
    wait(cuid)(unit => phase(unit) == "Pending" || phase(unit) == "Starting")
    until("pod")(manager.getPodByName(manager.generatePodName(cuid)).exists(!_.getMetadata.getOwnerReferences.isEmpty))
    val container = manager.getPodByName(manager.generatePodName(cuid)).get.getSpec.getContainers.get(0)
    assertEquals(image, container.getImage)
    assertEquals(true, container.getSecurityContext.getRunAsNonRoot)
    assertEquals("ALL", container.getSecurityContext.getCapabilities.getDrop.get(0))
    manager.deletePod(cuid)
    wait(cuid)(_ == null)
  }

  @Test
  def gpusAreRequestedFromThePool(): Unit = {
    val cuid = newCuid()
    manager.createPod(cuid, "100m", "64Mi", "1", Map.empty)
    val unit = units.withName(manager.generatePodName(cuid)).get()
    assertEquals("1", unit.get[Any]("spec", "resources", "limits", "nvidia.com/gpu").toString)
    assertEquals(null, unit.get[Any]("spec", "sharedMemory"))
    manager.deletePod(cuid)
    wait(cuid)(_ == null)
  }
}
