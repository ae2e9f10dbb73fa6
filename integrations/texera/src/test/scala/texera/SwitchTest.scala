package texera

import io.fabric8.kubernetes.client.{ConfigBuilder, KubernetesClientBuilder}
import org.apache.texera.service.util.KubernetesClient
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

/** Without a cluster. */
class SwitchTest {

  /** A companion object whose class is a subclass of its companion class must not need it while it is initialized. */
  @Test
  def singletonOfTheManagerIsInitialized(): Unit =
    assertEquals("computing-unit-42", KubernetesClient.generatePodName(42))

  /** A client that never connects. */
  @Test
  def constructionSendsNoRequest(): Unit = {
    val config = new ConfigBuilder().withMasterUrl("http://127.0.0.1:1").build()
    val client = new KubernetesClientBuilder().withConfig(config).build()
    try {
      for (byOperator <- List(false, true)) {
        val manager = new org.apache.texera.service.util.ComputingUnitKubernetesClient(client, byOperator)
        assertEquals("computing-unit-1", manager.generatePodName(1))
      }
    } finally client.close()
  }
}
