#!/bin/sh
set -e
echo "${HOME} is ready"
