// Interfaces with the names and parameters of Texera's that the class in `org/apache/texera/service/util` is compiled against. Their
// implementations are of this project. The version that they are like is in edit-points.toml.

package org.apache.texera.common.config {

  /** The settings that are read, as they are after the change of `KubernetesConfig.scala`. */
  object KubernetesConfig {
    private def setting(variable: String, default: String): String = sys.env.getOrElse(variable, default)

    val computeUnitPoolNamespace: String = setting("UNITS_NAMESPACE", "units")
    val computeUnitPodNamePrefix: String = "computing-unit"
    val gpuResourceKey: String = "nvidia.com/gpu"

    val unitsByOperator: Boolean = setting("KUBERNETES_UNITS_BY_OPERATOR", "false").toBoolean
    val unitsPool: String = setting("KUBERNETES_UNITS_POOL", "default")
    val unitsGpuPool: String = setting("KUBERNETES_UNITS_GPU_POOL", "default")
    val unitsImageCatalog: String = setting("KUBERNETES_UNITS_IMAGE_CATALOG", "")
  }
}

package org.apache.texera.service.util {

  import io.fabric8.kubernetes.api.model.{Pod, PodBuilder}
  import io.fabric8.kubernetes.client.KubernetesClientBuilder
  import org.apache.texera.common.config.KubernetesConfig

  import scala.jdk.CollectionConverters._

  /** The operations on pods. `createPod` creates a pod that is never scheduled. */
  class KubernetesClient(client: io.fabric8.kubernetes.client.KubernetesClient) {
    private def all = client.pods().inNamespace(KubernetesConfig.computeUnitPoolNamespace)

    def generatePodName(cuid: Int): String = s"${KubernetesConfig.computeUnitPodNamePrefix}-$cuid"

    def podExists(cuid: Int): Boolean = getPodByName(generatePodName(cuid)).nonEmpty

    def getPodByName(podName: String): Option[Pod] = Option(all.withName(podName).get())

    def getAllPodPhases: Map[String, String] =
      all.list().getItems.asScala.map(pod => (pod.getMetadata.getName, pod.getStatus.getPhase)).toMap

    def getPodLimits(cuid: Int): Map[String, String] =
      getPodByName(generatePodName(cuid)).toList
        .flatMap(_.getSpec.getContainers.get(0).getResources.getLimits.asScala)
        .map { case (resource, amount) => resource -> amount.toString }
        .toMap

    def createPod(
        cuid: Int,
        cpuLimit: String,
        memoryLimit: String,
        gpuLimit: String,
        envVars: Map[String, Any],
        shmSize: Option[String] = None,
        curatedImage: Option[String] = None
    ): Pod = {
      val arguments = List(cpuLimit, memoryLimit, gpuLimit, envVars.size.toString) ++ shmSize ++ curatedImage
      val comment = arguments.mkString(",")
      val pod = new PodBuilder()
        .withNewMetadata()
        .withName(generatePodName(cuid))
        .addToAnnotations("arguments", comment)
        .endMetadata()
        .withNewSpec()
        .addToNodeSelector("node", "none")
        .addNewContainer()
        .withName("none")
        .withImage("image.invalid/none")
        .endContainer()
        .endSpec()
        .build()
      all.resource(pod).create()
    }

    def deletePod(cuid: Int): Unit = {
      val _ = all.withName(generatePodName(cuid)).delete()
    }
  }

  /** As it is after the change of `KubernetesClient.scala`. */
  object KubernetesClient extends ComputingUnitKubernetesClient(new KubernetesClientBuilder().build())
}
