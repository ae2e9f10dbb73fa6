package org.apache.texera.client;

import io.fabric8.kubernetes.api.model.StatusCause;
import io.fabric8.kubernetes.client.KubernetesClientException;
import java.util.List;
import java.util.stream.Collectors;

/** The API server does not do what it was asked. The message says what is wrong and what to do; it can be shown to a user. */
public final class Refused extends RuntimeException {
    /** The API server's remark on rules that it did not look at because others do not hold. */
    private static final String FOLLOWS = "some validation rules were not checked";
    private final int code;

    private Refused(String message, KubernetesClientException cause) {
        super(message, cause);
        this.code = Math.max(0, cause.getCode());
    }

    /** The HTTP status: 409 for a number that is taken, 422 for a rule, 403 for rights and quotas, 0 without an answer. */
    public int code() {
        return code;
    }

    static Refused of(String name, KubernetesClientException e) {
        return new Refused(sentence(name, e), e);
    }

    private static String sentence(String name, KubernetesClientException e) {
        var status = e.getStatus();
        if (status == null) {
            return "the API server does not answer: " + e.getMessage();
        }
        var causes = status.getDetails() == null ? List.<StatusCause>of() : status.getDetails().getCauses();
        if (e.getCode() == 422 && !causes.isEmpty()) {
            return causes.stream().filter(cause -> !cause.getMessage().contains(FOLLOWS)).map(Refused::rule)
                .collect(Collectors.joining("; "));
        }
        if (e.getCode() == 409 && status.getMessage().startsWith("object is being deleted")) {
            return name + " is still being deleted: wait until it is gone";
        }
        if (e.getCode() == 409) {
            return name + " exists already";
        }
        return status.getMessage();
    }

    /** A rule of the CRD speaks for itself; what the schema says needs the name of the field. */
    private static String rule(StatusCause cause) {
        var said = cause.getMessage().replaceFirst("^Invalid value: ((\"[^\"]*\"|[-0-9.]+): )?", "");
        return said.contains("spec.") ? said : cause.getField() + ": " + said;
    }
}
