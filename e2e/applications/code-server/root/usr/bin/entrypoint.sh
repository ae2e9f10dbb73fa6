#!/bin/sh
exec code-server "$@"
