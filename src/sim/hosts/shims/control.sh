#!/bin/sh
# Asks the host's first process; the name of this file is the question's first word.
exec /run/rehearsal/control __host shim "${0##*/}" "$@"
