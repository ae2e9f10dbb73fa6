package computingunits.client;

import io.fabric8.kubernetes.api.model.StatusCause;
import io.fabric8.kubernetes.client.KubernetesClientException;
import java.util.List;
import java.util.stream.Collectors;

/** The API server rejected a request. The message is suitable for users. */
public final class RejectedException extends RuntimeException {
    /** The note of the API server that it skipped validation rules. */
    private static final String SKIPPED_RULES = "some validation rules were not checked";
    private final int code;

    private RejectedException(String message, KubernetesClientException cause) {
        super(message, cause);
        this.code = Math.max(0, cause.getCode());
    }

    /** The HTTP status: 409 for a name that exists, 422 for a validation rule, 403 for permissions and quotas, 0 without a response. */
    public int code() {
        return code;
    }

    static RejectedException of(String name, KubernetesClientException e) {
        return new RejectedException(message(name, e), e);
    }

    private static String message(String name, KubernetesClientException e) {
        var status = e.getStatus();
        if (status == null) {
            return "the API server did not respond: " + (e.getMessage() == null ? e.getCause() : e.getMessage());
        }
        var causes = status.getDetails() == null ? List.<StatusCause>of() : status.getDetails().getCauses();
        if (e.getCode() == 422 && !causes.isEmpty()) {
            return causes.stream().filter(cause -> !cause.getMessage().contains(SKIPPED_RULES)).map(RejectedException::rule)
                .collect(Collectors.joining("; "));
        }
        if (e.getCode() == 409 && status.getMessage().startsWith("object is being deleted")) {
            return name + " is still being deleted";
        }
        if (e.getCode() == 409) {
            return name + " already exists";
        }
        return status.getMessage();
    }

    /** Messages of CEL rules name the field. It is added to those of the schema. */
    private static String rule(StatusCause cause) {
        var message = cause.getMessage().replaceFirst("^Invalid value: ((\"[^\"]*\"|[-0-9.]+): )?", "");
        return message.contains("spec.") ? message : cause.getField() + ": " + message;
    }
}
