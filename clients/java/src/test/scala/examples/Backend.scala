package examples

import computingunits.client.{ComputingUnits, NotReadyException, RejectedException, UnitRequest, UnitState}
import computingunits.v1alpha1.ComputingUnit
import io.fabric8.kubernetes.client.{KubernetesClient, KubernetesClientBuilder}
import io.fabric8.kubernetes.client.informers.SharedIndexInformer

import java.net.URI
import java.time.Duration
import scala.jdk.CollectionConverters._
import scala.jdk.OptionConverters._

/** The operations of a backend, as an example. The build compiles it, so it is that of this release. */
class Backend(client: KubernetesClient, namespace: String, namePrefix: String) {
  private val units = new ComputingUnits(client, namespace, namePrefix)

  /** Creates a unit. The message of a rejection is suitable for its user. */
  def create(cuid: Int, user: String, cpu: String, memory: String, gpus: String): Either[String, ComputingUnit] =
    try Right(
      units.create(
        UnitRequest
          .of(cuid)
          .owner(user)
          .cpu(cpu)
          .memory(memory)
          .limit("nvidia.com/gpu", gpus) // "0" requests none
          .sharedMemory("64Mi")
          .env("JAVA_OPTS", "-Xmx2g")
          .secretEnv("USER_JWT_TOKEN", s"${units.nameOf(cuid)}-credentials", "token")
      )
    )
    catch { case rejected: RejectedException => Left(rejected.getMessage) }

  /** The URL of a unit that answers requests, or the reason why it cannot. */
  def open(cuid: Int): Either[String, Option[URI]] =
    try Right(ComputingUnits.url(units.awaitReady(cuid, Duration.ofMinutes(5)), "http", "/wsapi").toScala)
    catch { case notReady: NotReadyException => Left(notReady.getMessage) }

  /** What a dashboard shows, by the name of the unit: whether requests reach it, and why not. */
  def dashboard(user: String): Map[String, (Boolean, String)] =
    units
      .listByOwner(user)
      .asScala
      .map(unit => unit.getMetadata.getName -> ((UnitState.isReady(unit), UnitState.reason(unit))))
      .toMap

  def suspend(cuid: Int): Unit = units.suspend(cuid)

  def resume(cuid: Int): Unit = units.resume(cuid)

  def terminate(cuid: Int): Unit = units.delete(cuid)

  /** Calls `ended` once for each unit that failed, is finished or is deleted, until the informer is closed. */
  def onEnd(ended: (Long, String) => Unit): SharedIndexInformer[ComputingUnit] =
    units.onEnd(unit => ended(unit.getSpec.getCuid, UnitState.reason(unit)))
}

object Backend {

  /** A client with the service account of the pod, or the current context of a kubeconfig. */
  def connect(namespace: String): Backend = {
    val client = new KubernetesClientBuilder().withKubernetesSerialization(ComputingUnits.serialization()).build()
    new Backend(client, namespace, ComputingUnits.DEFAULT_NAME_PREFIX)
  }
}
