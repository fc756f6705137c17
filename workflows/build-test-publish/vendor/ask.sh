#!/bin/sh
# ask NAME DEFAULT: the value of a variable, or the default when it is empty.
ask() {
    eval "value=\${$1:-}"
    echo "${value:-$2}"
}
