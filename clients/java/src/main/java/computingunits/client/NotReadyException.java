package computingunits.client;

/** A unit is not ready. The message has the reason. */
public final class NotReadyException extends Exception {
    NotReadyException(String name, String reason) {
        super(name + " is not ready: " + reason);
    }
}
