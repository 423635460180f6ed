#!/bin/sh
exec python "$@" $CLI_ARGS
