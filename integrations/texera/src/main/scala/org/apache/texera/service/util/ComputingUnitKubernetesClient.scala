/*
 * Copyright the Computing Unit Operator authors
 *
 * Licensed under the Apache License, Version 2.0 (the "License");
 * you may not use this file except in compliance with the License.
 * You may obtain a copy of the License at
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

package org.apache.texera.service.util

import io.fabric8.kubernetes.api.model._
import io.fabric8.kubernetes.client.dsl.base.{PatchContext, PatchType, ResourceDefinitionContext}
import io.fabric8.kubernetes.client.utils.Serialization
import org.apache.texera.common.config.KubernetesConfig

import scala.jdk.CollectionConverters._
import scala.util.control.NonFatal

/**
  * The client of the manager, with units that are ComputingUnits instead of bare pods if `byOperator` is true. The operator gives a
  * unit a pod of the same name, so all other operations are inherited.
  *
  * A unit can be without a pod: before its pod is created, while the pod is replaced, and while the unit is suspended. It is then
  * reported as a pending pod, because the manager marks units without a pod as terminated.
  */
class ComputingUnitKubernetesClient(
    client: io.fabric8.kubernetes.client.KubernetesClient,
    byOperator: Boolean = KubernetesConfig.unitsByOperator,
    imageCatalog: String = KubernetesConfig.unitsImageCatalog
) extends KubernetesClient(client) {

  private val namespace = KubernetesConfig.computeUnitPoolNamespace

  // Without discovery, so that nothing is requested where there is no operator.
  private val definition = new ResourceDefinitionContext.Builder()
    .withGroup("texera.apache.org")
    .withVersion("v1alpha1")
    .withKind("ComputingUnit")
    .withPlural("computingunits")
    .withNamespaced(true)
    .build()

  private def units = client.genericKubernetesResources(definition).inNamespace(namespace)

  override def createPod(
      cuid: Int,
      cpuLimit: String,
      memoryLimit: String,
      gpuLimit: String,
      envVars: Map[String, Any],
      shmSize: Option[String] = None,
      curatedImage: Option[String] = None
  ): Pod =
    // Without a catalog the pool offers a fixed list of images, so a unit with an image of its own stays a bare pod.
    if (!byOperator || (curatedImage.isDefined && imageCatalog.isEmpty))
      super.createPod(cuid, cpuLimit, memoryLimit, gpuLimit, envVars, shmSize, curatedImage)
    else {
      if (podExists(cuid)) throw new Exception(s"Computing unit with cuid $cuid already exists")
      curatedImage.foreach(register)
      val unit = units.resource(newUnit(cuid, cpuLimit, memoryLimit, gpuLimit, shmSize, curatedImage)).create()
      try client.secrets().inNamespace(namespace).resource(environment(unit, envVars)).create()
      catch {
        case NonFatal(e) =>
          deleteUnit(unit.getMetadata.getName)
          throw e
      }
      withoutPod(unit)
    }

  /** Deletes the unit; or the pod, if it is one without a unit. Otherwise the operator would replace the pod. */
  override def deletePod(cuid: Int): Unit = {
    val name = generatePodName(cuid)
    val hasUnit = byOperator || super.getPodByName(name).exists(isOfUnit)
    if (!hasUnit || !deleteUnit(name)) super.deletePod(cuid)
  }

  override def getPodByName(podName: String): Option[Pod] =
    super
      .getPodByName(podName)
      .orElse(
        if (byOperator) Option(units.withName(podName).get()).filter(isKept).map(withoutPod)
        else None
      )

  override def getAllPodPhases: Map[String, String] =
    if (!byOperator) super.getAllPodPhases
    else {
      // Before the pods: a unit that is created in between has a pod.
      val kept = units.list().getItems.asScala.filter(isKept)
      kept.map(unit => unit.getMetadata.getName -> podPhase(unit)).toMap ++ super.getAllPodPhases
    }

  private def newUnit(
      cuid: Int,
      cpuLimit: String,
      memoryLimit: String,
      gpuLimit: String,
      shmSize: Option[String],
      curatedImage: Option[String]
  ): GenericKubernetesResource = {
    val withGpu = gpuLimit != "0"
    val gpu = if (withGpu) Map(KubernetesConfig.gpuResourceKey -> gpuLimit) else Map.empty
    val limits = Map("cpu" -> cpuLimit, "memory" -> memoryLimit) ++ gpu
    val name = generatePodName(cuid)
    val spec = Map[String, Any](
      "cuid" -> cuid,
      "poolName" -> (if (withGpu) KubernetesConfig.unitsGpuPool else KubernetesConfig.unitsPool),
      "resources" -> Map("limits" -> limits.asJava).asJava,
      "envFrom" -> List(Map("secretRef" -> Map("name" -> environmentName(name)).asJava).asJava).asJava
    ) ++ shmSize.map("sharedMemory" -> _) ++ curatedImage.map("image" -> _)
    new GenericKubernetesResourceBuilder()
      .withApiVersion("texera.apache.org/v1alpha1")
      .withKind("ComputingUnit")
      .withNewMetadata()
      .withName(name)
      .endMetadata()
      .addToAdditionalProperties("spec", spec.asJava)
      .build()
  }

  /**
    * Adds an image, which has a digest, to the catalog of the pool. It runs as Texera runs curated images: as non-root, without
    * capabilities. An image stays in the catalog, which has at most 256, until somebody removes it.
    */
  private def register(image: String): Unit = {
    val security = Map[String, Any](
      "runAsNonRoot" -> true,
      "allowPrivilegeEscalation" -> false,
      "capabilities" -> Map("drop" -> List("ALL").asJava).asJava
    ).asJava
    val entry = Serialization.asJson(Map[String, Any]("image" -> image, "securityContext" -> security).asJava)
    val name = "curated-" + image.split(':').last.take(32)
    val patch = Serialization.asJson(Map("data" -> Map(name -> entry).asJava).asJava)
    val _ = client
      .configMaps()
      .inNamespace(namespace)
      .withName(imageCatalog)
      .patch(PatchContext.of(PatchType.JSON_MERGE), patch)
  }

  private def environmentName(unitName: String): String = s"environment-of-$unitName"

  /**
    * The variables of a unit. They include passwords and a token, and a Secret is readable by fewer people than a unit. It is deleted
    * with its unit. The container starts once it exists.
    */
  private def environment(unit: GenericKubernetesResource, envVars: Map[String, Any]): Secret =
    new SecretBuilder()
      .withNewMetadata()
      .withName(environmentName(unit.getMetadata.getName))
      .addNewOwnerReference()
      .withApiVersion(unit.getApiVersion)
      .withKind(unit.getKind)
      .withName(unit.getMetadata.getName)
      .withUid(unit.getMetadata.getUid)
      .endOwnerReference()
      .endMetadata()
      .withStringData(envVars.map { case (key, value) => key -> value.toString }.asJava)
      .build()

  private def deleteUnit(name: String): Boolean = !units.withName(name).delete().isEmpty

  private def isOfUnit(pod: Pod): Boolean =
    pod.getMetadata.getOwnerReferences.asScala.exists(_.getKind == "ComputingUnit")

  private def isKept(unit: GenericKubernetesResource): Boolean = unit.getMetadata.getDeletionTimestamp == null

  private def podPhase(unit: GenericKubernetesResource): String =
    unit.get[String]("status", "phase") match {
      case "Failed"   => "Failed"
      case "Finished" => "Succeeded"
      case _          => "Pending"
    }

  /** A unit as the pod that it does not have: what callers read of a pod is its name, phase and limits. */
  private def withoutPod(unit: GenericKubernetesResource): Pod = {
    val limits = unit.get[java.util.Map[String, Any]]("spec", "resources", "limits").asScala
    new PodBuilder()
      .withNewMetadata()
      .withName(unit.getMetadata.getName)
      .withNamespace(namespace)
      .endMetadata()
      .withNewSpec()
      .addNewContainer()
      .withName("computing-unit-master")
      .withNewResources()
      .withLimits(limits.map { case (key, value) => key -> new Quantity(value.toString) }.asJava)
      .endResources()
      .endContainer()
      .endSpec()
      .withNewStatus()
      .withPhase(podPhase(unit))
      .endStatus()
      .build()
  }
}
