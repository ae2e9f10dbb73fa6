package org.apache.texera.client;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;

/** Requests for units, each sent once: a unit that is usable answers the first. */
final class Web {
    private static final Duration LIMIT = Duration.ofSeconds(10);
    private static final HttpClient CLIENT =
        HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(LIMIT).build();

    private Web() {
    }

    static HttpResponse<String> get(URI url) throws Exception {
        return CLIENT.send(HttpRequest.newBuilder(url).timeout(LIMIT).build(), HttpResponse.BodyHandlers.ofString());
    }

    /** What a WebSocket answers to a text. */
    static String echo(URI url, String text) throws Exception {
        var answer = new CompletableFuture<String>();
        var socket = CLIENT.newWebSocketBuilder().connectTimeout(LIMIT).buildAsync(url, new WebSocket.Listener() {
            @Override
            public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
                answer.complete(data.toString());
                socket.request(1);
                return null;
            }

            @Override
            public void onError(WebSocket socket, Throwable error) {
                answer.completeExceptionally(error);
            }
        }).get(10, TimeUnit.SECONDS);
        socket.sendText(text, true);
        try {
            return answer.get(10, TimeUnit.SECONDS);
        } finally {
            socket.abort();
        }
    }
}
