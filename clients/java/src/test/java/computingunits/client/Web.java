package computingunits.client;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;

/** Requests to units, without retries: a unit that is ready responses the first request. */
final class Web {
    private static final Duration TIMEOUT = Duration.ofSeconds(10);
    private static final HttpClient CLIENT =
        HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(TIMEOUT).build();

    private Web() {
    }

    static HttpResponse<String> get(URI url) throws Exception {
        return CLIENT.send(HttpRequest.newBuilder(url).timeout(TIMEOUT).build(), HttpResponse.BodyHandlers.ofString());
    }

    /** The response of a WebSocket to a text message. */
    static String echo(URI url, String text) throws Exception {
        var response = new CompletableFuture<String>();
        var socket = CLIENT.newWebSocketBuilder().connectTimeout(TIMEOUT).buildAsync(url, new WebSocket.Listener() {
            @Override
            public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
                response.complete(data.toString());
                socket.request(1);
                return null;
            }

            @Override
            public void onError(WebSocket socket, Throwable error) {
                response.completeExceptionally(error);
            }
        }).get(10, TimeUnit.SECONDS);
        socket.sendText(text, true);
        try {
            return response.get(10, TimeUnit.SECONDS);
        } finally {
            socket.abort();
        }
    }
}
