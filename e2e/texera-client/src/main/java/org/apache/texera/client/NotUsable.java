package org.apache.texera.client;

/** A unit cannot be used, or not within the time given. The message says why. */
public final class NotUsable extends Exception {
    NotUsable(String name, String why) {
        super(name + " cannot be used: " + why);
    }
}
